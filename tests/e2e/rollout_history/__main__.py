"""`python -m tests.e2e.rollout_history [safe] [fast] [dag]`: the history as a table per policy."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from fleet.render import Renderer
from tests.conftest import pytest_configure
from tests.e2e.rollout_history.history import history
from tests.e2e.rollout_history.policies import POLICIES
from tests.e2e.rollout_history.shop_commits import END, PUSHES
from tests.e2e.rollout_history.tables import table


def main(policies: list[str]) -> int:
    """Print the tables; what is rendered for one policy is there for the next. Exit code."""
    if not set(policies) <= set(POLICIES):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    pytest_configure()  # the same environment as for tests
    with tempfile.TemporaryDirectory() as name, Renderer(Path(name) / "renders") as renderer:
        for policy in policies or list(POLICIES):
            with history(policy, Path(name) / policy, renderer) as told:
                told.go(PUSHES, END)
                sys.stdout.write("\n".join([f"== {policy}", *table(told), "", ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
