"""The namespace that a bundle's objects go to: made, labelled, never owned."""

from __future__ import annotations

from agents.inventory import PART_OF
from agents.protocol import BundleDeployment, Options, SyncState
from tests.agents.lab import Lab
from tests.agents.samples import config_map, hook, job, key, namespace

SHOP = key("Namespace", "shop", "")
LABELLED = Options(
    namespace="shop",
    namespace_labels=(("team", "shop"), ("tier", "one")),
    namespace_annotations=(("owner", "sre"),),
)


async def test_a_missing_namespace_is_made_with_its_labels_and_never_owned(lab: Lab) -> None:
    lab.release("web", config_map(), options=LABELLED)
    await lab.settled("web")
    metadata = lab.there("Namespace", "shop", "")["metadata"]
    assert {"team": "shop", "tier": "one"}.items() <= metadata["labels"].items()
    assert metadata["annotations"]["owner"] == "sre"
    assert PART_OF not in metadata["labels"]
    lab.hub.offer("removal", BundleDeployment.absent("web"))
    await lab.until(lambda: "web" not in lab.agent.reports)
    assert lab.there("Namespace", "shop", "")["metadata"]["labels"]["team"] == "shop"


async def test_a_namespace_that_is_there_keeps_its_own_labels_beside_them(lab: Lab) -> None:
    theirs = namespace("shop")
    theirs["metadata"]["labels"] = {"who": "admin"}
    lab.cluster.server.create(theirs, manager="kubectl-create")
    lab.release("web", config_map(), options=LABELLED)
    await lab.settled("web")
    labels = lab.there("Namespace", "shop", "")["metadata"]["labels"]
    assert {"who": "admin", "team": "shop"}.items() <= labels.items()


async def test_a_label_that_is_no_longer_asked_for_goes(lab: Lab) -> None:
    lab.release("web", config_map(), options=LABELLED)
    await lab.settled("web")
    fewer = Options(namespace="shop", namespace_labels=(("team", "shop"),))
    lab.release("web", config_map(colour="a"), options=fewer, run="second")
    await lab.settled("web")
    assert lab.there("Namespace", "shop", "")["metadata"]["labels"]["team"] == "shop"
    lab.release("web", config_map(), run="third")
    await lab.settled("web")
    labels = lab.there("Namespace", "shop", "")["metadata"]["labels"]
    assert not {"team", "tier"} & labels.keys()


async def test_labels_that_are_there_cost_no_write(lab: Lab) -> None:
    lab.release("web", config_map(), options=LABELLED)
    await lab.settled("web")
    lab.recorder.writes.clear()
    lab.release("web", config_map(colour="a"), options=LABELLED, run="second")
    await lab.settled("web")
    assert "apply Namespace shop" not in lab.recorder.writes


async def test_two_bundles_with_different_values_of_one_label_are_a_conflict(lab: Lab) -> None:
    lab.release("web", config_map(), options=LABELLED)
    await lab.settled("web")
    other = Options(namespace="shop", namespace_labels=(("team", "other"),))
    lab.release("other", config_map("others"), options=other, run="second")
    await lab.until(lambda: "other" in lab.agent.reports)
    await lab.until(lambda: lab.report("other").sync is SyncState.FAILED)
    assert lab.report("other").code == "conflict"
    assert "fleet/web/namespace" in lab.report("other").message


async def test_labels_survive_a_bundle_that_brings_the_namespace_itself(lab: Lab) -> None:
    lab.release("spaces", namespace("shop"))
    await lab.settled("spaces")
    lab.release("web", config_map(), options=LABELLED, run="second")
    await lab.settled("web")
    changed = namespace("shop")
    changed["metadata"]["labels"] = {"brought": "yes"}
    lab.release("spaces", changed, run="third")
    await lab.settled("spaces", "web")
    labels = lab.there("Namespace", "shop", "")["metadata"]["labels"]
    assert {"brought": "yes", "team": "shop"}.items() <= labels.items()


async def test_a_namespace_in_the_bundle_itself_says_its_own_labels(lab: Lab) -> None:
    hooks = (hook(job("before"), "pre-install"),)
    lab.release("web", namespace("shop"), config_map(), hooks=hooks, options=LABELLED)
    await lab.settled("web")
    assert "team" not in lab.there("Namespace", "shop", "")["metadata"]["labels"]
