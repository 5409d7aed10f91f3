"""A defect of one line, put into the running engine and taken out again.

A `Mutant` names a line of a module of the engine, what stands there and what a careless change
would make of it, and the narrow tests that promise to notice. `applied` compiles the changed source
and gives every function of the module the code that it has there: who imported a function earlier
runs the defect too, which a patched name would not reach. Nothing is written to disk. A line that
is not there exactly once is an error: a mutant never goes stale in silence.

`survives` runs the tests as pytest would, all cases of a parametrized one, without fixtures. Only a
promise or an expectation that does not hold counts as noticed, never a crash of the engine.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import product
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest


@dataclass(frozen=True, slots=True)
class Mutant:
    """One careless change of one line."""

    name: str
    """What becomes of the engine, as a sentence without spaces."""
    promises: str
    """Those of rollouts.md that it breaks: `I3 I9`."""
    module: str
    old: str
    new: str
    tests: tuple[str, ...]
    """`tests.fleet.rollout.test_gates:test_…`; one of them must fail."""


def in_engine(name: str, promises: str, module: str, old: str, new: str, *tests: str) -> Mutant:
    """Modules are those of `fleet.rollout`, tests those beside them, unless written in full."""
    where = module if module.startswith(("agents.", "fleet.")) else f"fleet.rollout.{module}"
    beside = "tests.fleet.rollout.test_"
    named = tuple(test if test.startswith("tests.") else beside + test for test in tests)
    return Mutant(name, promises, where, old, new, named)


@contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    """The engine with the defect; afterwards it is as it was."""
    module = import_module(mutant.module)
    source = inspect.getsource(module)
    found = source.count(mutant.old)
    if found != 1:
        raise ValueError(f"{mutant.name}: {mutant.old!r} is {found} times in {mutant.module}")
    codes = dict(
        _codes(compile(source.replace(mutant.old, mutant.new), module.__file__ or "", "exec"))
    )
    changed = {f: f.__code__ for f in _functions(module) if f.__qualname__ in codes}
    kept = {f: code for f, code in changed.items() if code != codes[f.__qualname__]}
    if not kept:
        raise ValueError(f"{mutant.name}: no function of {mutant.module} has changed")
    for function in kept:
        function.__code__ = codes[function.__qualname__]
    _forget(module)
    try:
        yield
    finally:
        for function, code in kept.items():
            function.__code__ = code
        _forget(module)


def survives(mutant: Mutant) -> bool:
    """Does no test notice?"""
    return not any(fails(case) for name in mutant.tests for case in cases(name))


def cases(name: str) -> Iterator[Callable[[], object]]:
    """Every case of one test, `module:function`, ready to be called."""
    module, _, function = name.partition(":")
    test = getattr(import_module(module), function)
    marks = [m for m in getattr(test, "pytestmark", ()) if m.name == "parametrize"]
    for chosen in product(*(_arguments(mark) for mark in marks)):
        said = {key: value for part in chosen for key, value in part.items()}
        yield partial(test, **said)


def _arguments(mark: pytest.Mark) -> Iterator[Mapping[str, Any]]:
    names = mark.args[0]
    keys = [one.strip() for one in names.split(",")] if isinstance(names, str) else list(names)
    for row in mark.args[1]:
        values = row.values if hasattr(row, "marks") else row if len(keys) > 1 else (row,)
        yield dict(zip(keys, values, strict=True))


def fails(case: Callable[[], object]) -> bool:
    """Does an expectation not hold?"""
    try:
        case()
    except (AssertionError, pytest.fail.Exception):
        return True
    except ExceptionGroup as several:
        return several.split(AssertionError)[1] is None
    return False


def _codes(code: CodeType) -> Iterator[tuple[str, CodeType]]:
    """Qualified name → code, of all that is defined in a compiled module."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield inner.co_qualname, inner
            yield from _codes(inner)


def _functions(owner: ModuleType | type) -> Iterator[FunctionType]:
    """The functions and methods that a module defines itself."""
    name = owner.__name__ if isinstance(owner, ModuleType) else owner.__module__
    for found in vars(owner).values():
        inner = getattr(found, "__func__", None) or getattr(found, "fget", None) or found
        inner = inspect.unwrap(inner) if callable(inner) else inner
        if isinstance(inner, FunctionType) and inner.__module__ == name:
            yield inner
        elif isinstance(found, type) and found.__module__ == name and found is not owner:
            yield from _functions(found)


def _forget(module: ModuleType) -> None:
    """What was remembered of earlier answers, with the defect or without it."""
    for found in vars(module).values():
        if callable(clear := getattr(found, "cache_clear", None)):
            clear()
