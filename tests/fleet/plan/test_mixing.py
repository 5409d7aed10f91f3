"""Plans whose bundles come from several commits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.protocol import BundleDeployment, Options
from fleet.model import Problem, Severity
from fleet.plan import Plan, PlanEntry, held_back, mixed


def entry(bundle: str, content: str) -> PlanEntry:
    return PlanEntry(bundle, BundleDeployment.of(bundle, content, {}, Options(), "c"), "because")


def made(commit: str, clusters: dict[str, dict[str, str]], **said: object) -> Plan:
    classes = tuple(
        tuple(entry(b, content) for b, content in sorted(some.items()))
        for some in clusters.values()
    )
    plan = Plan(commit, classes, {name: index for index, name in enumerate(clusters)})
    return replace(plan, **said)  # type: ignore[arg-type]


def problem(what: str, severity: Severity = Severity.ERROR, **said: str) -> Problem:
    return Problem("code", severity, what, "a.yaml", "mend it", **said)


BASE = made(
    "new", {"a": {"api": "2", "web": "2"}, "b": {"api": "2", "web": "2"}, "c": {"api": "2"}}
)
PART = made("old", {"a": {"api": "1", "web": "1"}, "b": {"web": "1b"}, "c": {"api": "1"}})
WEB = frozenset({"web"})


def artifacts(plan: Plan, cluster: str) -> dict[str, str]:
    return {
        e.bundle: e.deployment.artifact if e.deployment else "" for e in plan.entries_of(cluster)
    }


def test_a_bundle_is_taken_from_exactly_one_plan() -> None:
    found = mixed(BASE, [(PART, WEB)])
    assert found.commit == "new"
    assert artifacts(found, "a") == {"api": "2", "web": "1"}
    assert artifacts(found, "b") == {"api": "2", "web": "1b"}
    assert artifacts(found, "c") == {"api": "2"}


def test_what_the_other_commit_does_not_have_is_not_wanted() -> None:
    found = mixed(BASE, [(made("old", {"a": {}, "b": {}, "c": {}}), WEB)])
    assert artifacts(found, "a") == {"api": "2"}
    assert found.held == frozenset()


def test_clusters_that_run_the_same_share_their_entries() -> None:
    many = made("new", {f"c{i}": {"api": "2"} for i in range(3)})
    base = replace(many, classes=many.classes[:1], class_of=dict.fromkeys(many.class_of, 0))
    assert len(mixed(base, [(base, frozenset({"api"}))]).classes) == 1


def test_a_problem_of_the_other_commit_counts_for_its_bundles_alone() -> None:
    base = replace(BASE, problems=(problem("old news", bundle="web"), problem("api", bundle="api")))
    mine, other = problem("web", bundle="web"), problem("api at old", bundle="api")
    found = mixed(base, [(replace(PART, problems=(mine, other)), WEB)])
    assert set(found.problems) == {mine, problem("api", bundle="api")}


@pytest.mark.parametrize(
    "said",
    [
        {"problems": (problem("unreadable"),)},
        {"held_clusters": frozenset({"a"})},
        {"held": WEB},
    ],
)
def test_what_cannot_be_read_there_holds_the_bundles_from_there_alone(
    said: dict[str, object],
) -> None:
    found = mixed(BASE, [(replace(PART, **said), WEB)])  # type: ignore[arg-type]
    assert found.held == WEB
    assert all(p.severity is Severity.WARNING for p in found.problems)
    assert found.held_clusters == frozenset()


def test_a_bundle_of_the_first_plan_is_not_held_because_the_other_commit_holds_it() -> None:
    assert mixed(BASE, [(replace(PART, held=frozenset({"api", "lost"})), WEB)]).held == {"lost"}


def test_what_is_held_back_keeps_its_entry_and_has_no_deployment() -> None:
    found = held_back(BASE, WEB)
    assert artifacts(found, "a") == {"api": "2", "web": ""}
    assert found.held == WEB
