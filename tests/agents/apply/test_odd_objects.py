"""Objects of no sensible form: each fails by itself, with a cure, and stops no other bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest

from agents.protocol import BundleDeployment
from clusters.cluster import Discovery, Resource
from clusters.objects import Kind, Object
from tests.agents.lab import Lab
from tests.agents.samples import config_map, crd, deployment, job, secret, widget

CANARY = "c4n4ry-value"
ODD: tuple[Any, ...] = (5, ["x"], {"a": "b"})
MADE: tuple[Callable[[], Object], ...] = (deployment, job, crd, widget, config_map)
OTHERS: tuple[Object, ...] = (
    {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "maxReplicas": 3,
        },
    },
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "web"}},
    },
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "all"},
        "aggregationRule": {"clusterRoleSelectors": []},
        "rules": [],
    },
)


def places(value: Any, depth: int = 3) -> Iterator[tuple[str, ...]]:
    """Where something else may stand, at most so deep."""
    if isinstance(value, dict) and depth:
        for name, below in value.items():
            yield (name,)
            yield from ((name, *rest) for rest in places(below, depth - 1))


def spoiled(obj: Object, place: tuple[str, ...], odd: Any) -> Object:
    """The object with something else in that place."""
    made = deepcopy(obj)
    part = made
    for name in place[:-1]:
        part = part[name]
    part[place[-1]] = odd
    return made


async def test_no_form_of_an_object_stops_another_bundle_or_surprises_the_agent(lab: Lab) -> None:
    samples = [*(make() for make in MADE), *OTHERS]
    extra = [("metadata", name) for name in ("labels", "annotations", "finalizers", "name")]
    released: dict[str, BundleDeployment] = {}
    for obj in samples:
        for place in sorted({*places(obj), *extra}):
            for odd in ODD:
                name = f"bundle-{len(released)}"
                # A Deployment beside it, so that autoscalers and replicas are looked at as well.
                beside = deployment(name)
                released[name] = lab.deployment(name, spoiled(obj, place, odd), beside)
    lab.hub.offer("odd", *released.values(), lab.deployment("good", config_map("good")))
    await lab.settled("good")
    await lab.run_for(0.5)
    assert lab.agent.reports.keys() == {*released, "good"}
    surprised = {name for name, report in lab.agent.reports.items() if report.code == "internal"}
    assert surprised == set()


class Surprising(Discovery):
    """Kinds of which one surprises everybody who asks for it."""

    def find(self, kind: Kind) -> Resource | None:
        """Errors: what nobody foresaw, for a Widget."""
        if kind.kind == "Widget":
            raise LookupError(CANARY)
        return super().find(kind)


async def test_a_bundle_that_nobody_can_prepare_fails_alone_and_nothing_is_pruned_meanwhile(
    lab: Lab,
) -> None:
    lab.release("good", config_map("good"), config_map("old"))
    await lab.settled("good")
    lab.recorder.served = lambda kinds: Surprising(kinds.resources)
    lab.release("bad", widget(), run="b")
    lab.release("good", config_map("good", n="2"), run="c")
    await lab.until(lambda: "bad" in lab.agent.reports and lab.report("bad").code != "")
    assert lab.report("bad").code == "internal"
    assert CANARY not in lab.report("bad").model_dump_json()
    await lab.until(lambda: lab.there("ConfigMap", "good")["data"] == {"n": "2"})
    assert lab.live("ConfigMap", "old") is not None, "perhaps the other bundle wants it"
    lab.recorder.served = lambda kinds: kinds
    await lab.until(lambda: lab.live("ConfigMap", "old") is None)


@pytest.mark.parametrize(
    "fields",
    [
        {"stringData": CANARY},
        {"stringData": [CANARY]},
        {"data": CANARY},
        {"data": {"a": {"b": [CANARY]}}},
        {"data": {"a": CANARY}},
        {"stringData": {"a": {"b": CANARY}}},
        {"type": {CANARY: CANARY}},
        {"immutable": CANARY, "stringData": {"a": CANARY}},
        {"metadata": [CANARY]},
        {"metadata": {"name": "password", "annotations": {"a": [CANARY]}}},
        {"metadata": {"name": "password", "annotations": CANARY}},
        {"kind": [CANARY]},
    ],
    ids=str,
)
async def test_a_secret_of_no_sensible_form_is_told_without_its_values(
    lab: Lab, fields: Object
) -> None:
    lab.release("web", secret(a=CANARY) | fields)
    await lab.until(lambda: "web" in lab.agent.reports and lab.report("web").code != "")
    assert lab.report("web").code in ("invalid", "malformed")
    assert CANARY not in lab.report("web").model_dump_json()
