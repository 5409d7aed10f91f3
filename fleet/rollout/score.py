"""The expression of `order: {by: Score}`: arithmetic over what a cluster declares.

::

    labels["traffic"] * 2 + values["nodes"] - 10          + - * / ( ) and numbers; nothing else

`read_score` refuses everything else, so that an expression from Git can do nothing but count. What
cannot be worked out for a cluster (no such label, no number, division by zero) is `None`: such
clusters go last. Exact: fractions, no floating point. Pure.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

LONGEST = 500
"""Characters of an expression."""
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,9})?", re.ASCII)

Facts = Mapping[str, Mapping[str, Any]]
"""`labels` and `values` of one cluster."""
Score = Callable[[Facts], Fraction | None]


def read_score(text: str) -> Score:
    """The expression as a function of a cluster's facts. Errors: `ValueError`, with the place."""
    if len(text) > LONGEST:
        raise ValueError(f"an expression has at most {LONGEST} characters")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(f"{text!r} is no arithmetic expression") from None
    return _read(tree)


def _read(node: ast.expr) -> Score:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _constant(number)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _minus(_read(operand))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            return _both(_OPERATIONS[type(op)], _read(left), _read(right))
        case ast.Subscript(value=ast.Name(id=("labels" | "values") as name), slice=part):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                return _fact(name, part.value)
    raise ValueError(
        f'{ast.unparse(node)!r} is not known: write numbers, labels["name"], values["name"],'
        " + - * / and parentheses"
    )


def _constant(number: float) -> Score:
    said = number_of(repr(number))
    if said is None:
        raise ValueError(f"{number!r} is too large or too fine")
    return lambda facts: said


def _minus(inner: Score) -> Score:
    def negated(facts: Facts) -> Fraction | None:
        found = inner(facts)
        return None if found is None else -found

    return negated


def _both(
    operation: Callable[[Fraction, Fraction], Fraction | None], left: Score, right: Score
) -> Score:
    def worked_out(facts: Facts) -> Fraction | None:
        one, other = left(facts), right(facts)
        return None if one is None or other is None else operation(one, other)

    return worked_out


def _fact(kind: str, name: str) -> Score:
    return lambda facts: number_of(facts[kind].get(name))


def number_of(value: object) -> Fraction | None:
    """A declared value as a number, if it is one."""
    if isinstance(value, bool):
        return None
    text = str(value) if isinstance(value, int | float | str) else ""
    return Fraction(text) if _NUMBER.fullmatch(text) else None


_OPERATIONS: Mapping[type[ast.operator], Callable[[Fraction, Fraction], Fraction | None]] = {
    ast.Add: lambda one, other: one + other,
    ast.Sub: lambda one, other: one - other,
    ast.Mult: lambda one, other: one * other,
    ast.Div: lambda one, other: one / other if other else None,
}
