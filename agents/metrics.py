"""What an agent tells Prometheus, from values to text. Names and labels are in docs/operate.md.

Labels are bundles and closed words, never objects or messages; at most `MOST_BUNDLES` bundles are
named, and those that are left out are counted in `fleet_agent_bundles`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from agents.protocol import DeploymentReport, Health, SyncState
from agents.standing import Standing

CONTENT_TYPE = CONTENT_TYPE_LATEST
MOST_BUNDLES = 500


def exposition(standing: Standing) -> bytes:
    """The text of a scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Values(standing))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Values:
    """One scrape."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    def collect(self) -> Iterator[Metric]:
        """Every metric of the agent."""
        yield from _own(self._standing)
        yield from _bundles(self._standing.reports)


def _own(standing: Standing) -> Iterator[Metric]:
    info = GaugeMetricFamily("fleet_agent_info", "Who this is.", labels=["cluster", "version"])
    info.add_metric([standing.cluster, standing.version], 1)
    yield info
    for name, text, value in (
        ("ready", "Are inventories and a target there?", standing.opened and standing.has_target),
        ("registered", "Did the hub take this agent?", standing.registered),
        ("left", "Has the cluster left the fleet?", standing.has_left),
        ("hub_failures", "Requests to the hub that failed in a row.", standing.polls_failed),
    ):
        yield GaugeMetricFamily(f"fleet_agent_{name}", text, value=float(value))
    passes = CounterMetricFamily(
        "fleet_agent_passes", "Passes over bundles, by what they came to.", labels=["sync"]
    )
    for state in SyncState:
        passes.add_metric([state.value], standing.passes.get(state, 0))
    yield passes


def _bundles(reports: Mapping[str, DeploymentReport]) -> Iterator[Metric]:
    counted = Counter((item.sync, item.health) for item in reports.values())
    all_of = GaugeMetricFamily(
        "fleet_agent_bundles", "Bundles by sync and health.", labels=["sync", "health"]
    )
    for sync in SyncState:
        for health in Health:
            if counted[sync, health]:
                all_of.add_metric([sync.value, health.value], counted[sync, health])
    yield all_of
    named = [reports[name] for name in sorted(reports)[:MOST_BUNDLES]]
    state = GaugeMetricFamily(
        "fleet_agent_bundle_state",
        "1 for the state that the bundle is in.",
        labels=["bundle", "sync", "health"],
    )
    for item in named:
        state.add_metric([item.bundle, item.sync.value, item.health.value], 1)
    yield state
    yield from _numbers(named)


def _numbers(named: list[DeploymentReport]) -> Iterator[Metric]:
    objects = GaugeMetricFamily(
        "fleet_agent_bundle_objects", "Objects of the bundle.", labels=["bundle"]
    )
    ready = GaugeMetricFamily(
        "fleet_agent_bundle_objects_ready", "Those that are healthy.", labels=["bundle"]
    )
    drifted = GaugeMetricFamily(
        "fleet_agent_bundle_objects_drifted", "Those that differ now.", labels=["bundle"]
    )
    healed = CounterMetricFamily(
        "fleet_agent_bundle_healed", "Objects set back since the start.", labels=["bundle"]
    )
    for item in named:
        objects.add_metric([item.bundle], item.objects_total)
        ready.add_metric([item.bundle], item.objects_ready)
        drifted.add_metric([item.bundle], item.drifted)
        healed.add_metric([item.bundle], item.healed)
    yield from (objects, ready, drifted, healed)
