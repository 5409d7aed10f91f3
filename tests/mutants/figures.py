"""Prints for each promise its properties with their examples, and how many mutants are killed.

::

    python -m tests.mutants.figures

Applies every mutant; takes about a minute. Asserts nothing: the tests do.
"""

from __future__ import annotations

from collections.abc import Callable

import click
import pytest

from tests.fleet.rollout.stories import STORIES
from tests.mutants.lines import LINES
from tests.mutants.mutation import applied, fails, survives
from tests.mutants.substitutions import DEFECTS
from tests.mutants.test_table_of_promises import PROMISES, PROPERTIES


def main() -> None:
    """One line for each promise, and the sum."""
    examples = {name: (int(count), test) for name, count, _, test in PROPERTIES}
    killed = {mutant.name: _line_is_killed(index) for index, mutant in enumerate(LINES)}
    killed |= {defect.__name__: _defect_is_killed(defect) for defect in DEFECTS}
    promises_of = {mutant.name: set(mutant.promises.split()) for mutant in LINES}
    for number, properties, mutants in PROMISES:
        names = {name for name, some in promises_of.items() if number in some}
        names |= set(mutants.split())
        count = sum(killed[name] for name in names)
        said = ", ".join(f"{examples[p][1]} ({examples[p][0]})" for p in properties.split())
        click.echo(f"{number:4} {count}/{len(names)} mutants  {said}")
    total = sum(count for count, _ in examples.values())
    click.echo(f"{sum(killed.values())} of {len(killed)} mutants killed; {total} examples a run")


def _line_is_killed(index: int) -> bool:
    with applied(LINES[index]):
        return not survives(LINES[index])


def _defect_is_killed(defect: Callable[[pytest.MonkeyPatch], None]) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        defect(patch)
        return any(fails(story) for story in STORIES)


if __name__ == "__main__":
    main()
