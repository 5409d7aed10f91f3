"""What annotations on an object say about applying it, in Fleet's words and in others'."""

from __future__ import annotations

import pytest

from agents.apply.policy import ApplyPolicy, apply_policy, is_protected, may_recreate, why_kept
from agents.inventory import NAMESPACE, PART_OF, applyset_id, manager_of, read_parent
from agents.protocol import Options, SyncState
from clusters.objects import Object
from tests.agents.lab import Lab
from tests.agents.samples import SETTINGS, config_map, job, key

FLUX = "kustomize.toolkit.fluxcd.io"
ARGO = "argocd.argoproj.io/sync-options"


def said(annotations: dict[str, str], obj: Object | None = None) -> Object:
    """The object (or a ConfigMap) with these annotations."""
    made = obj or config_map()
    made["metadata"]["annotations"] = annotations
    return made


@pytest.mark.parametrize(
    ("annotations", "policy"),
    [
        ({}, ApplyPolicy.JUDGED),
        ({"fleet.dev/apply": "override"}, ApplyPolicy.OVERRIDE),
        ({"fleet.dev/apply": "merge"}, ApplyPolicy.MERGE),
        ({"fleet.dev/apply": "if-not-present"}, ApplyPolicy.IF_NOT_PRESENT),
        ({"fleet.dev/apply": "ignore"}, ApplyPolicy.IGNORE),
        ({f"{FLUX}/ssa": "Override"}, ApplyPolicy.OVERRIDE),
        ({f"{FLUX}/ssa": "Merge"}, ApplyPolicy.MERGE),
        ({f"{FLUX}/ssa": "IfNotPresent"}, ApplyPolicy.IF_NOT_PRESENT),
        ({f"{FLUX}/ssa": "ignore"}, ApplyPolicy.IGNORE),
        ({f"{FLUX}/ssa": "nonsense"}, ApplyPolicy.JUDGED),
        ({ARGO: "Prune=false,Replace=true"}, ApplyPolicy.OVERRIDE),
        ({"fleet.dev/apply": "merge", f"{FLUX}/ssa": "Ignore"}, ApplyPolicy.MERGE),
    ],
)
def test_a_policy_is_read_in_every_spelling(
    annotations: dict[str, str], policy: ApplyPolicy
) -> None:
    assert apply_policy(said(annotations)) is policy


@pytest.mark.parametrize(
    "annotations",
    [{"fleet.dev/force": "true"}, {f"{FLUX}/force": "Enabled"}, {ARGO: "Prune=false, Force=true"}],
)
def test_force_is_read_in_every_spelling(annotations: dict[str, str]) -> None:
    assert may_recreate(said(annotations))
    assert not may_recreate(said(dict.fromkeys(annotations, "no")))


@pytest.mark.parametrize(
    ("annotations", "pruned", "left"),
    [
        ({}, "", ""),
        ({"fleet.dev/prune": "disabled"}, "fleet.dev/prune", "fleet.dev/prune"),
        ({"fleet.dev/prune": "false"}, "fleet.dev/prune", "fleet.dev/prune"),
        ({f"{FLUX}/prune": "disabled"}, f"{FLUX}/prune", f"{FLUX}/prune"),
        ({ARGO: "Prune=false"}, ARGO, ARGO),
        ({ARGO: "Prune=confirm"}, ARGO, ARGO),
        ({ARGO: "Delete=false"}, "", ARGO),
        ({"helm.sh/resource-policy": "keep"}, "helm.sh/resource-policy", "helm.sh/resource-policy"),
    ],
)
def test_why_an_object_is_kept(annotations: dict[str, str], pruned: str, left: str) -> None:
    live = said(annotations)
    for leaving, reason in ((False, pruned), (True, left)):
        found = why_kept(live, SETTINGS, leaving=leaving)
        assert found == (f"annotation {reason}" if reason else "")


def test_only_fleets_own_word_makes_a_protected_kind_removable() -> None:
    where = key("Namespace", "shop", "")
    assert is_protected(said({}), where)
    assert is_protected(said({f"{FLUX}/prune": "enabled"}), where)
    assert not is_protected(said({"fleet.dev/prune": "enabled"}), where)
    assert not is_protected(said({}), SETTINGS)


async def test_an_unknown_policy_is_an_error_that_names_the_known_ones(lab: Lab) -> None:
    lab.release("web", said({"fleet.dev/apply": "sometimes"}))
    await lab.until(lambda: "web" in lab.agent.reports)
    report = lab.report("web")
    assert report.code == "malformed"
    assert "if-not-present" in report.message
    assert lab.live("ConfigMap", "settings") is None


@pytest.mark.parametrize("word", ["override", "merge"])
async def test_override_and_merge_win_over_another_applier(lab: Lab, word: str) -> None:
    _foreign(lab, colour="red", size="9")
    lab.release("web", said({"fleet.dev/apply": word}), options=Options(namespace="default"))
    await lab.settled("web")
    live = lab.there("ConfigMap", "settings", "default")
    assert live["data"] == {"colour": "blue", "size": "9"}
    assert live["metadata"]["labels"][PART_OF] == applyset_id("web")


@pytest.mark.parametrize(("word", "left"), [("override", {}), ("merge", {"extra": "x"})])
async def test_override_takes_away_what_people_added_and_merge_leaves_it(
    lab: Lab, word: str, left: dict[str, str]
) -> None:
    lab.release("web", said({"fleet.dev/apply": word}))
    await lab.settled("web")
    lab.edit(SETTINGS, {"data": {"extra": "x"}}, manager="kubectl-edit")
    changed = said({"fleet.dev/apply": word}, config_map(colour="green"))
    lab.release("web", changed, run="second")
    await lab.settled("web")
    live = lab.there("ConfigMap", "settings")
    assert live["data"] == {"colour": "green", **left}
    managers = {entry["manager"] for entry in live["metadata"]["managedFields"]}
    assert ("kubectl-edit" in managers) == bool(left)


async def test_override_leaves_what_a_controller_added(lab: Lab) -> None:
    lab.release("web", said({"fleet.dev/apply": "override"}))
    await lab.settled("web")
    lab.edit(SETTINGS, {"data": {"extra": "x"}}, manager="some-operator")
    changed = said({"fleet.dev/apply": "override"}, config_map(colour="green"))
    lab.release("web", changed, run="second")
    await lab.settled("web")
    assert lab.there("ConfigMap", "settings")["data"] == {"colour": "green", "extra": "x"}


async def test_if_not_present_makes_and_never_changes(lab: Lab) -> None:
    once = {"fleet.dev/apply": "if-not-present"}
    lab.release("web", said(once))
    await lab.settled("web")
    lab.edit(SETTINGS, {"data": {"colour": "red"}})
    lab.release("web", said(once, config_map(colour="green")), run="second")
    await lab.settled("web")
    await lab.run_for(130)
    assert lab.there("ConfigMap", "settings")["data"] == {"colour": "red"}
    assert (lab.report("web").healed, lab.report("web").drifted) == (0, 0)
    lab.cluster.server.delete(SETTINGS)
    await lab.until(lambda: lab.live("ConfigMap", "settings") is not None)
    assert lab.there("ConfigMap", "settings")["data"] == {"colour": "green"}


async def test_if_not_present_leaves_what_another_made_untouched(lab: Lab) -> None:
    made = _foreign(lab, colour="red")
    once = said({"fleet.dev/apply": "if-not-present"})
    lab.release("web", once, options=Options(namespace="default"))
    await lab.settled("web")
    assert lab.there("ConfigMap", "settings", "default") == made
    lab.release("web", config_map("other"), options=Options(namespace="default"), run="second")
    await lab.settled("web")
    assert lab.there("ConfigMap", "settings", "default") == made, "it was never owned"


async def test_if_not_present_is_handed_over_with_its_content(lab: Lab) -> None:
    lab.release("old", config_map(colour="red"), config_map("stays"))
    await lab.settled("old")
    uid = lab.there("ConfigMap", "settings")["metadata"]["uid"]
    lab.hub.offer(
        "move",
        lab.deployment("old", config_map("stays")),
        lab.deployment("new", said({"fleet.dev/apply": "if-not-present"})),
    )
    await lab.settled("old", "new")
    await lab.run_for(5)
    live = lab.there("ConfigMap", "settings")
    assert (live["metadata"]["uid"], live["data"]) == (uid, {"colour": "red"})
    assert live["metadata"]["labels"][PART_OF] == applyset_id("new")
    managers = {entry["manager"] for entry in live["metadata"]["managedFields"]}
    assert managers == {manager_of("new")}


async def test_an_ignored_object_is_not_applied_and_one_that_was_owned_is_let_go(lab: Lab) -> None:
    ignored = said({"fleet.dev/apply": "ignore"}, config_map(colour="green"))
    lab.release("web", ignored, config_map("other"))
    await lab.settled("web")
    assert lab.live("ConfigMap", "settings") is None
    lab.release("web", config_map(), config_map("other"), run="second")
    await lab.settled("web")
    lab.release("web", ignored, config_map("other"), run="third")
    await lab.settled("web")
    live = lab.there("ConfigMap", "settings")
    assert live["data"] == {"colour": "blue"}
    assert PART_OF not in (live["metadata"].get("labels") or {})
    parent = read_parent(lab.there("ConfigMap", "bundle-web", NAMESPACE))
    assert [item.name for item in parent.objects] == ["other"]


async def test_force_on_one_object_recreates_that_one_only(lab: Lab) -> None:
    forced, plain = said({"fleet.dev/force": "true"}, job("forced")), job("plain")
    lab.release("web", forced, plain)
    await lab.settled("web")
    before = {name: _uid(lab, name) for name in ("forced", "plain")}
    newer = said({"fleet.dev/force": "true"}, job("forced", image="example/migrate:2"))
    lab.release("web", newer, plain, run="second")
    await lab.settled("web")
    assert _uid(lab, "forced") != before["forced"]
    lab.release("web", newer, job("plain", image="example/migrate:2"), run="third")
    await lab.until(lambda: lab.report("web").sync is SyncState.FAILED)
    assert (lab.report("web").code, _uid(lab, "plain")) == ("immutable", before["plain"])


def _uid(lab: Lab, name: str) -> str:
    return str(lab.there("Job", name, group="batch")["metadata"]["uid"])


def _foreign(lab: Lab, **data: str) -> Object:
    foreign = config_map(**data)
    foreign["metadata"]["namespace"] = "default"
    return lab.cluster.server.apply(foreign, manager="helm")
