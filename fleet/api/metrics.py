"""What a hub tells Prometheus, and the small application that answers it. No token opens it.

It counts by closed words and names no cluster, bundle or commit: what an alert needs to know is how
many, and `fleet status` says which. The counts are those of `GET /v1/status`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from agents.protocol import Health, SyncState
from fleet.api.answers import Answers
from fleet.api.inbound import guarded
from fleet.rollout.states import RunState

CLUSTER_STATES = ("Online", "Offline", "Pending", "Unclaimed", "Undeclared", "Leaving", "Left")


def make_metrics_app(answers: Answers) -> Starlette:
    """`/metrics` and `/healthz`."""

    async def metrics(request: Request) -> Response:
        page = await run_in_threadpool(answers.fleet)
        return Response(exposition(page), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    return Starlette(
        routes=[Route("/metrics", guarded(metrics)), Route("/healthz", guarded(healthz))]
    )


def exposition(page: Mapping[str, Any]) -> bytes:
    """The text of a scrape from the document of the whole fleet."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Values(page))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Values:
    """One scrape."""

    def __init__(self, page: Mapping[str, Any]) -> None:
        self._page = page

    def collect(self) -> Iterator[Metric]:
        """Every metric of the hub."""
        page, deployments = self._page, self._page["bundleDeployments"]
        info = GaugeMetricFamily("fleet_hub_info", "Which hub this is.", labels=["version"])
        info.add_metric([page["hub"]["version"]], 1)
        yield info
        yield _counts("fleet_clusters", "Clusters.", "state", page["clusters"], CLUSTER_STATES)
        for what, words in (("sync", SyncState), ("health", Health)):
            text = f"Bundle deployments in clusters that are online, by {what}."
            name = f"fleet_bundle_deployments_{what}"
            yield _counts(name, text, what, deployments[what], words)
        for what, text in (
            ("offline", "Bundle deployments whose cluster is offline: nothing is known of them."),
            ("drifted", "Bundle deployments that differ now."),
        ):
            name = f"fleet_bundle_deployments_{what}"
            yield GaugeMetricFamily(name, text, value=float(deployments[what]))
        live = [run["state"] for run in page["runs"]]
        states = {state: live.count(state) for state in live}
        yield _counts("fleet_runs", "Runs that have not ended.", "state", states, RunState)
        problems = {"error": page["problems"]["errors"], "warning": page["problems"]["warnings"]}
        yield _counts("fleet_problems", "Problems.", "severity", problems, ("error", "warning"))


def _counts(
    name: str, text: str, label: str, counts: Mapping[str, int], words: Any
) -> GaugeMetricFamily:
    """A gauge with one series for each word, those with none included."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for word in words:
        family.add_metric([str(word)], float(counts.get(str(word), 0)))
    return family
