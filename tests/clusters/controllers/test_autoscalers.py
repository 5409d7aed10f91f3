"""An autoscaler sets replicas by a declared load, as the real one would; else it reports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clusters.errors import NotFoundError
from clusters.objects import Object, ObjectKey
from clusters.simulation.controllers import Timing
from clusters.simulation.controllers.autoscaling import Memory, decide, propose
from tests.clusters.controllers.lab import Lab, deployment

WEB = ObjectKey("apps", "Deployment", "default", "web")
HPA = ObjectKey("autoscaling", "HorizontalPodAutoscaler", "default", "web")
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def autoscaler(low: int, high: int, **spec: Any) -> Object:
    """An autoscaler for the Deployment `web`."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"scaleTargetRef": target, "minReplicas": low, "maxReplicas": high, **spec},
    }


def loaded(load: str | None, replicas: int = 2, request: str | None = "500m") -> Object:
    """A Deployment under a load, of pods that request half a core each."""
    web = deployment("web:1", replicas)
    del web["spec"]["replicas"]  # as one should where an autoscaler sets it
    if request:
        (container,) = web["spec"]["template"]["spec"]["containers"]
        container["resources"] = {"requests": {"cpu": request}}
    if load is not None:
        web["metadata"]["annotations"] = {"simulation.fleet.dev/load": load}
    return web


def lab_with(load: str | None, low: int = 2, high: int = 10, **spec: Any) -> Lab:
    """A lab with a loaded Deployment of so many at least, long settled."""
    lab = Lab(timing=Timing(pod_ready=(1.0, 1.0)))
    lab.apply(loaded(load))
    lab.server.patch(WEB, {"spec": {"replicas": low}}, manager="m", subresource="scale")
    lab.run(5)
    lab.apply(autoscaler(low, high, **spec))
    lab.run(400)
    return lab


def replicas(lab: Lab) -> int:
    """What the Deployment is to have."""
    return int(lab.see(WEB)["spec"]["replicas"])


def test_a_load_brings_as_many_replicas_as_share_it_at_the_target() -> None:
    # 1.6 cores at 80 % of half a core each are four pods.
    lab = lab_with("1600m")
    assert replicas(lab) == 4
    status = lab.status(HPA)
    assert (status["currentReplicas"], status["desiredReplicas"]) == (4, 4)
    (metric,) = status["currentMetrics"]
    current = metric["resource"]["current"]
    assert current == {"averageUtilization": 80, "averageValue": "400m"}
    assert lab.condition(HPA, "ScalingActive") == ("True", "ValidMetricFound")
    assert lab.condition(HPA, "ScalingLimited") == ("False", "DesiredWithinRange")


def test_the_replicas_belong_to_the_controller_manager_and_are_no_conflict() -> None:
    lab = lab_with("1600m")
    entries = lab.see(WEB)["metadata"]["managedFields"]
    (scaler,) = (e for e in entries if e["fieldsV1"].get("f:spec") == {"f:replicas": {}})
    assert (scaler["manager"], scaler["subresource"]) == ("kube-controller-manager", "scale")
    lab.server.apply(loaded("1600m"), manager="fleet/shop")
    assert replicas(lab) == 4


def test_a_load_on_the_pod_template_counts_where_the_workload_says_none() -> None:
    lab = lab_with(None)
    web = loaded(None)
    web["spec"]["template"]["metadata"]["annotations"] = {"simulation.fleet.dev/load": "1600m"}
    lab.apply(web)
    lab.run(60)
    assert replicas(lab) == 4


def test_a_rest_is_a_rest() -> None:
    lab = lab_with("1600m")
    before = lab.server.resource_version
    assert lab.run(3600) is None
    assert lab.server.resource_version == before


def test_it_goes_up_at_once_and_down_only_after_five_minutes() -> None:
    lab = lab_with("800m")
    lab.apply(loaded("1600m"))
    lab.run(1)
    assert replicas(lab) == 4
    lab.apply(loaded("100m"))
    lab.run(290)
    assert replicas(lab) == 4
    assert lab.condition(HPA, "AbleToScale") == ("True", "ScaleDownStabilized")
    lab.run(20)
    assert replicas(lab) == 2
    assert lab.condition(HPA, "ScalingLimited") == ("True", "TooFewReplicas")


def test_a_load_within_a_tenth_of_the_target_changes_nothing() -> None:
    lab = lab_with("1600m")
    lab.apply(loaded("1750m"))
    lab.run(400)
    assert replicas(lab) == 4


def test_it_doubles_at_most_and_rests_between() -> None:
    lab = lab_with("800m", high=100)
    lab.apply(loaded("20"))
    counts = set()
    for _ in range(100):
        lab.run(0.5)
        counts.add(replicas(lab))
    assert sorted(counts) == [4, 8, 16, 32]


def test_it_never_leaves_its_limits() -> None:
    lab = lab_with("100", high=6)
    assert replicas(lab) == 6
    assert lab.condition(HPA, "ScalingLimited") == ("True", "TooManyReplicas")


def test_pods_that_never_become_ready_bring_no_more_of_their_kind() -> None:
    lab = lab_with("800m")
    bad = loaded("1600m")
    bad["spec"]["template"]["spec"]["containers"][0]["image"] = "web:2-neverready"
    lab.apply(bad)
    lab.run(600)
    assert replicas(lab) == 4


@pytest.mark.parametrize(
    ("web", "said"),
    [
        (loaded("800m", request=None), "missing request for cpu in container main of Pod web-"),
        (loaded("a lot"), "'a lot' is no quantity"),
    ],
)
def test_what_cannot_be_measured_is_said_and_changes_nothing(web: Object, said: str) -> None:
    lab = lab_with("800m")
    lab.apply(web)
    lab.run(600)
    assert replicas(lab) == 2
    assert lab.condition(HPA, "ScalingActive") == ("False", "FailedGetResourceMetric")
    assert said in lab.status(HPA)["conditions"][1]["message"]


def test_a_target_scaled_to_nothing_is_left_alone() -> None:
    lab = lab_with("1600m")
    lab.server.patch(WEB, {"spec": {"replicas": 0}}, manager="m", subresource="scale")
    lab.run(600)
    assert replicas(lab) == 0
    assert lab.condition(HPA, "ScalingActive") == ("False", "ScalingDisabled")


def test_an_average_value_is_a_target_too() -> None:
    target = {"type": "AverageValue", "averageValue": "200m"}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    assert replicas(lab_with("1", metrics=[metric])) == 5


def test_a_metric_that_is_not_simulated_forbids_to_go_down() -> None:
    target = {"type": "Utilization", "averageUtilization": 80}
    metrics = [
        {"type": "Resource", "resource": {"name": name, "target": target}}
        for name in ("cpu", "memory")
    ]
    lab = lab_with("1600m", metrics=metrics)
    assert replicas(lab) == 4
    lab.apply(loaded("100m"))
    lab.run(600)
    assert replicas(lab) == 4


def test_behavior_may_forbid_to_go_down_and_slow_the_way_up() -> None:
    policy = {"type": "Pods", "value": 1, "periodSeconds": 60}
    behavior = {"scaleDown": {"selectPolicy": "Disabled"}, "scaleUp": {"policies": [policy]}}
    lab = lab_with("800m", behavior=behavior)
    lab.apply(loaded("1600m"))
    lab.run(30)
    assert replicas(lab) == 3
    lab.run(40)
    assert replicas(lab) == 4
    lab.apply(loaded("100m"))
    lab.run(600)
    assert replicas(lab) == 4


@pytest.mark.parametrize(
    ("current", "ready", "unready", "usage", "proposal"),
    [
        (4, 4, 0, 8.0, 8),
        (4, 4, 0, 4.39, 4),
        (4, 4, 0, 3.5, 4),
        (4, 4, 0, 1.1, 2),
        (4, 2, 2, 4.0, 4),  # too much for two, but not for the four that will be ready
        (4, 2, 2, 4.2, 4),  # within the tolerance for four
        (4, 2, 2, 6.0, 6),
        (2, 3, 3, 3.6, 2),  # nor up because of less than its pods could bear
        (8, 2, 2, 6.0, 8),  # never down because of more load
        (4, 3, 1, 1.5, 2),  # down counts those that are ready only
    ],
)
def test_a_proposal_is_what_kubernetes_would_propose(
    current: int, ready: int, unready: int, usage: float, proposal: int
) -> None:
    assert propose(current, ready, unready, lambda count: usage / count) == proposal


def test_a_proposal_counts_for_as_long_as_it_held() -> None:
    spec = {"minReplicas": 1, "maxReplicas": 10}
    memory = Memory(((NOW, 4),)).noted(NOW + timedelta(seconds=1000), 1)
    early = decide(spec, 4, memory, NOW + timedelta(seconds=1299))
    assert (early.replicas, early.again_at) == (4, NOW + timedelta(seconds=1300))
    assert decide(spec, 4, memory, NOW + timedelta(seconds=1300)).replicas == 1


def test_a_window_for_going_up_takes_the_lowest_proposal() -> None:
    spec = {
        "minReplicas": 1,
        "maxReplicas": 10,
        "behavior": {"scaleUp": {"stabilizationWindowSeconds": 60}},
    }
    memory = Memory(((NOW, 2),)).noted(NOW + timedelta(seconds=100), 6)
    held = decide(spec, 2, memory, NOW + timedelta(seconds=159))
    assert (held.replicas, held.able[0]) == (2, "ScaleUpStabilized")
    assert held.again_at == NOW + timedelta(seconds=160)
    assert decide(spec, 2, memory, NOW + timedelta(seconds=160)).replicas == 6


def test_what_no_window_reaches_any_more_is_forgotten() -> None:
    memory = Memory(((NOW, 1),))
    for hour in range(1, 50):
        memory = memory.noted(NOW + timedelta(hours=hour), hour % 7).changed(NOW, 1)
    assert len(memory.proposals) <= 3
    assert len(memory.changes) <= 3


def test_an_autoscaler_reports_and_leaves_replicas_within_its_limits_alone() -> None:
    lab = Lab()
    lab.apply(deployment("web:1", 5))
    lab.apply(autoscaler(4, 6))
    lab.run(100)
    assert lab.see(WEB)["spec"]["replicas"] == 5
    assert lab.status(HPA)["currentReplicas"] == 5
    assert lab.condition(HPA, "AbleToScale")[0] == "True"


@pytest.mark.parametrize("load", [None, "nonsense", "10m"])
@pytest.mark.parametrize(("found", "set_to"), [(1, 4), (9, 6), (0, 0)])
def test_replicas_outside_the_limits_are_set_right_whatever_the_load(
    load: str | None, found: int, set_to: int
) -> None:
    lab = Lab()
    web = loaded(load)
    web["spec"]["replicas"] = found
    lab.apply(web)
    lab.apply(autoscaler(4, 6))
    lab.run(2)
    assert replicas(lab) == set_to
    status = lab.status(HPA)
    assert ("lastScaleTime" in status) == (found != set_to)
    assert status["desiredReplicas"] == set_to


@pytest.mark.parametrize(("wanted", "got"), [(5, 5), (1, 2), (50, 8)])
def test_an_autoscaler_that_is_told_to_scales_within_its_limits(wanted: int, got: int) -> None:
    lab = Lab()
    lab.apply(deployment("web:1", 3))
    lab.apply(autoscaler(2, 8))
    lab.run(5)
    assert lab.controllers.autoscale(HPA, wanted) == got
    lab.run(5)
    assert lab.see(WEB)["spec"]["replicas"] == got
    assert lab.status(WEB)["readyReplicas"] == got
    assert lab.status(HPA)["desiredReplicas"] == got
    scalers = [
        entry["manager"]
        for entry in lab.see(WEB)["metadata"]["managedFields"]
        if entry.get("subresource") == "scale"
    ]
    assert scalers == ["kube-controller-manager"]


def test_an_autoscaler_that_is_not_there_cannot_scale() -> None:
    with pytest.raises(NotFoundError):
        Lab().controllers.autoscale(HPA, 3)
