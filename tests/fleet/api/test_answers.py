"""What a list leaves out because it would only be noise."""

from __future__ import annotations

from pathlib import Path

from fleet.api.answers import Answers
from fleet.model import Selector
from tests.fleet.api.served import small_rig


def listed(answers: Answers, name: str = "") -> list[str]:
    """Names of bundles as listed."""
    return [row["bundle"] for row in answers.bundles(Selector(), name)["items"]]


def test_a_groups_own_bundle_is_listed_only_where_it_holds_something(tmp_path: Path) -> None:
    rig = small_rig(tmp_path, web="v1", **{"production-cluster": "v1"})
    with rig.store.write() as c:
        for name in ("staging-cluster", "idle"):
            c.execute("INSERT INTO bundle (name, declared) VALUES (?, 1)", (name,))
    answers = Answers(rig.store, "a repository")
    assert listed(answers) == ["idle", "production-cluster", "web"]
    assert listed(answers, "staging-cluster") == ["staging-cluster"], "asked for, it is there"
