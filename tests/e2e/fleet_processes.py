"""A fleet as an operator runs it: processes over HTTP, and simulated clusters that keep a record.

`ClustersOnLoopback` serves simulated clusters from a thread of its own and writes down every change
of a Deployment's spec, `FleetOfProcesses` puts a `fleet hub` and a `fleet agent` for each of them
around it. No Ray, no call that does not go over a socket; kubectl is the real one.

Every wait is bounded, and its failure says what was waited for and what there was instead.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from clusters.clock import SystemClock
from clusters.simulation import SimulatedCluster
from clusters.simulation.controllers import Controllers
from clusters.simulation.http import serve, write_kubeconfig
from clusters.simulation.server.changes import Change
from fleet.api.client import TOKEN_FILE, ApiClient
from fleet.render.renderer import find_tools
from fleet.world.example import ExampleRepository
from fleet.world.hub import HubProcess
from fleet.world.served import seed_of
from fleet.world.session import HUB_OPTIONS, free_port

STAGING, EU, US = CLUSTERS = ("stg-eu-1", "prd-eu-1", "prd-us-1")
NAMESPACE = APP = "storefront"
IMAGE = "ghcr.io/stefanprodan/podinfo"
CANARY = "canary-value-that-nobody-may-print"
BY_HAND = "canary-value-typed-by-hand"

LOOK_SECONDS = 0.1
"""How often a process is asked that cannot tell by itself."""
COMMAND_SECONDS = 40
ROLLOUT = """\
apiVersion: fleet.dev/v1
kind: Rollout
metadata: {name: default}
spec:
  source: {coalesce: 1s}
  stages:
    - {name: staging, group: staging, gates: {after: [{soak: 1s}]}}
    - {name: production-eu, group: production-eu, gates: {after: [{soak: 1s}]}}
    - {name: production-us, group: production-us}
"""
SECRET = f"""\
apiVersion: v1
kind: Secret
metadata: {{name: scrape}}
stringData: {{password: {CANARY}}}
"""


@dataclass(frozen=True, slots=True)
class SpecWrite:
    """One change of the storefront's spec, as the cluster stored it."""

    cluster: str
    image: str
    replicas: int
    generation: int


@dataclass(frozen=True, slots=True)
class Output:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str


def wait_for(what: str, condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Return once it is so; fail the test, naming `what`, when it takes longer."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        pause.wait(LOOK_SECONDS)


def run_fleet(*words: str, env: dict[str, str]) -> Output:
    """`fleet …` as a process of its own, to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "fleet", *words],
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    return Output(done.returncode, done.stdout, done.stderr)


class ClustersOnLoopback:
    """Simulated clusters behind one port, on an event loop in a thread of their own."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.spec_writes: list[SpecWrite] = []
        """Every change of the storefront's spec in any cluster, in the order of the writes."""
        self._written = threading.Condition()
        self._serving = threading.Event()
        self._stop: Callable[[], object] = lambda: None
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="clusters", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._serving.wait(20), "the clusters did not begin to serve"
        assert self._failed is None, f"the clusters could not be served: {self._failed!r}"
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop()
        self._thread.join(timeout=20)
        assert not self._thread.is_alive(), "the clusters did not stop"
        assert self._failed is None, f"a cluster fell over: {self._failed!r}"

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self._failed = error
        finally:
            self._serving.set()

    async def _main(self) -> None:
        clock, stopped = SystemClock(), asyncio.Event()
        clusters = {
            name: SimulatedCluster(name, clock, seed=seed_of(name), controllers=Controllers)
            for name in CLUSTERS
        }
        for name, cluster in clusters.items():
            cluster.server.subscribe(partial(self._note, name))
        running = [asyncio.create_task(cluster.run()) for cluster in clusters.values()]
        server = await serve(clusters)
        write_kubeconfig(self.kubeconfig, server)
        loop = asyncio.get_running_loop()
        self._stop = partial(loop.call_soon_threadsafe, stopped.set)
        self._serving.set()
        try:
            await stopped.wait()
        finally:
            for task in running:
                task.cancel()
            ended = await asyncio.gather(*running, return_exceptions=True)
            await server.close()
        for result in ended:
            if isinstance(result, Exception):
                raise result

    def _note(self, cluster: str, change: Change) -> None:
        if (change.key.kind, change.key.name) != ("Deployment", APP):
            return
        before = change.previous["spec"] if change.previous else None
        spec = change.object["spec"]
        if spec == before:
            return
        image = spec["template"]["spec"]["containers"][0]["image"]
        generation = change.object["metadata"]["generation"]
        with self._written:
            write = SpecWrite(cluster, image.removeprefix(IMAGE), spec["replicas"], generation)
            self.spec_writes.append(write)
            self._written.notify_all()

    def wait_for_image(self, cluster: str, tag: str, seconds: float = 30.0) -> None:
        """Return in the moment in which the cluster's storefront gets this tag."""
        with self._written:
            came = self._written.wait_for(
                lambda: any(
                    w.cluster == cluster and w.image == f":{tag}" for w in self.spec_writes
                ),
                timeout=seconds,
            )
        assert came, f"{cluster} did not get {tag} within {seconds:.0f} s: {self.spec_writes}"

    def kubectl(self, cluster: str, *words: str) -> str:
        """What the real kubectl prints."""
        done = subprocess.run(
            [
                *(find_tools().kustomize[0], "--kubeconfig", str(self.kubeconfig)),
                *("--context", cluster, *words),
            ],
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert not done.returncode, f"kubectl {' '.join(words)}: {done.stderr}"
        return done.stdout.strip()

    def kubectl_image(self, cluster: str) -> str:
        """The tag that runs there, as kubectl shows it."""
        path = "jsonpath={.spec.template.spec.containers[0].image}"
        image = self.kubectl(cluster, "-n", NAMESPACE, "get", f"deployment/{APP}", "-o", path)
        return image.removeprefix(f"{IMAGE}:")

    def kubectl_replicas(self, cluster: str) -> int:
        """The replicas wanted there, as kubectl shows them."""
        words = ("-n", NAMESPACE, "get", f"deployment/{APP}", "-o", "jsonpath={.spec.replicas}")
        return int(self.kubectl(cluster, *words))


class AgentProcess:
    """One `fleet agent`; started again, it has the same state directory."""

    def __init__(
        self,
        folder: Path,
        hub: str,
        cluster: str,
        kubeconfig: Path,
        token: str,
        *,
        context: str | None = "",
        options: tuple[str, ...] = (),
    ) -> None:
        """`context` is the cluster's name unless said otherwise; `None`: the current one."""
        context = cluster if context == "" else context
        self.cluster, self.token = cluster, token
        self.log = folder / f"agent-{cluster}.log"
        self._env = {**os.environ, "FLEET_TOKEN": token}
        self._command = [
            *(sys.executable, "-m", "fleet", "agent", "--hub", hub, "--cluster", cluster),
            *("--kubeconfig", str(kubeconfig), *(("--context", context) if context else ())),
            *("--state-dir", str(folder / "agents" / cluster), "--health-interval", "0.3"),
            *options,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; it registers by itself."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def run_to_its_end(self) -> Output:
        """The process in the foreground, for an agent that is expected to give up."""
        done = subprocess.run(
            self._command,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        return Output(done.returncode, done.stdout, done.stderr)

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(timeout=20)


class FleetOfProcesses:
    """The example fleet, cut to a cluster for each group, with everything that runs it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.example = trimmed_example(folder / "fleet-repository")
        self.tag = "6.9.0"
        self.agents: dict[str, AgentProcess] = {}
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        try:
            enter = self._opened.enter_context
            self.clusters = enter(ClustersOnLoopback(self.folder / "kubeconfig"))
            self.hub = HubProcess(
                self.folder, str(self.example.root), port=free_port(), options=HUB_OPTIONS
            )
            self._opened.callback(self.hub.stop)
            self.hub.start()
            self.api: ApiClient = enter(self.hub.client())
            wait_for("the first plan", lambda: bool(self.status()["source"]["plannedCommit"]))
            for name in CLUSTERS:
                self._start_agent(name)
        except BaseException:
            self._opened.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._opened.close()

    def _start_agent(self, name: str) -> None:
        token = self.fleet("cluster", "token", name).out.strip().splitlines()[-1]
        agent = AgentProcess(self.folder, self.hub.url, name, self.clusters.kubeconfig, token)
        self.agents[name] = agent
        agent.start()
        self._opened.callback(agent.kill)

    def fleet(self, *words: str) -> Output:
        """`fleet …` of a person on the hub's machine."""
        env = {
            "FLEET_HUB": self.hub.url,
            "FLEET_TOKEN_FILE": str(self.hub.state_dir / TOKEN_FILE),
            "HOME": str(self.folder / "home"),
        }
        return run_fleet(*words, env=env)

    def status(self) -> Any:
        """The fleet on one page, as a document."""
        return self.api.get("/v1/status")

    def converged(self) -> bool:
        """Does every cluster run what Git wants, healthy, with no run left?"""
        fleet = self.status()
        count = fleet["bundleDeployments"]
        done = count["synced"] == count["total"] > 0 and not fleet["runs"]
        return done and set(count["health"]) <= {"Healthy"}

    def wait_until_converged(self, what: str, seconds: float = 45.0) -> None:
        """Every cluster runs what Git wants, healthy. Says what is missing if it takes longer."""
        try:
            wait_for(what, self.converged, seconds)
        except AssertionError as error:
            rows = self.api.get("/v1/bundledeployments")["items"]
            runs = self.api.get("/v1/runs")["items"]
            raise AssertionError(f"{error}\n{json.dumps([rows, runs], indent=1)}") from error

    def release(self, tag: str) -> str:
        """Commit a new tag of the storefront and have the hub look; the commit."""
        commit = self.example.set_image_tag(self.tag, tag, f"{APP} {tag}")
        self.tag = tag
        assert self.fleet("refresh").code == 0
        return commit

    def runs_of(self, commit: str) -> list[Any]:
        """The runs that a commit made."""
        return [r for r in self.api.get("/v1/runs")["items"] if r["commit"] == commit]

    def wait_until_released(self, commit: str) -> Any:
        """The one run of a commit, once it has ended and the fleet is converged."""
        wait_for(
            "the end of the run",
            lambda: any(r["ended"] for r in self.runs_of(commit)),
            45,
        )
        self.wait_until_converged(f"the fleet at {commit[:12]}")
        (run,) = self.runs_of(commit)
        return run

    def rows(self, sql: str) -> list[Any]:
        """What the hub's store answers."""
        answer = self.api.post("/v1/query", {"sql": sql})
        return [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]

    def logs(self) -> str:
        """All that hub and agents have written."""
        files = [self.hub.log, *(agent.log for agent in self.agents.values())]
        return "".join(file.read_text("utf-8", errors="replace") for file in files)


def trimmed_example(root: Path) -> ExampleRepository:
    """The example fleet with a cluster for each group, quick stages, and a Secret to look out for.

    The Secret is in the bundle whose drift is only reported, so that a difference of it is shown.
    """
    example = ExampleRepository.make(root)
    for name in CLUSTERS:
        group = {STAGING: "staging", EU: "production-eu", US: "production-us"}[name]
        path = root / "clusters" / group / "clusters.yaml"
        documents = path.read_text("utf-8").split("---\n")
        path.write_text(next(d for d in documents if f"name: {name}\n" in d), "utf-8")
    (root / "clusters" / "rollout.yaml").write_text(ROLLOUT, "utf-8")
    monitoring = root / "infrastructure" / "monitoring"
    (monitoring / "secret.yaml").write_text(SECRET, "utf-8")
    with (monitoring / "kustomization.yaml").open("a", encoding="utf-8") as file:
        file.write("  - secret.yaml\n")
    example.commit("Three clusters, quick stages, one Secret")
    return example


def git_repository(root: Path, files: Mapping[str, str]) -> ExampleRepository:
    """A fresh Git repository with these files."""
    import git

    with git.Repo.init(root, initial_branch="main"):
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, "utf-8")
    repository = ExampleRepository(root)
    repository.commit("A fleet")
    return repository
