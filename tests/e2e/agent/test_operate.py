"""Operating a real cluster: syncs that fail and are mended, Events, metrics, logs, the manifests.

Hub and agent are processes, the API server is a real one, people are the command line and kubectl.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from fleet.api.client import TOKEN_FILE
from fleet.render.renderer import find_tools
from fleet.world.hub import HubProcess
from fleet.world.session import HUB_OPTIONS, free_port
from tests.controlplane.real_cluster import RealCluster
from tests.e2e.fleet_processes import AgentProcess, Output, git_repository, run_fleet, wait_for

CLUSTER, SPACE = "real-1", "fleet-operate"
CALM = "configmap/bundle-calm"
ACCOUNT = "system:serviceaccount:fleet-system:fleet-agent"
CANARY = "c4n4ry-of-a-secret"
FILES = {
    "clusters/clusters.yaml": "apiVersion: fleet.dev/v1\nkind: Cluster\n"
    f"metadata: {{name: {CLUSTER}, labels: {{env: staging}}}}\n",
    "apps/staging/web/fleet.yaml": f"defaultNamespace: {SPACE}\n",
    "apps/staging/web/settings.yaml": "apiVersion: v1\nkind: ConfigMap\n"
    "metadata: {name: settings}\ndata: {mode: ours}\n",
    "apps/staging/web/secret.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: password}\n"
    f"stringData: {{password: {CANARY}}}\n",
    "apps/staging/calm/fleet.yaml": f"defaultNamespace: {SPACE}\n",
    "apps/staging/calm/settings.yaml": "apiVersion: v1\nkind: ConfigMap\n"
    "metadata: {name: calm}\ndata: {mode: calm}\n",
}
THEIRS = f"""\
apiVersion: v1
kind: Namespace
metadata: {{name: {SPACE}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings, namespace: {SPACE}}}
data: {{mode: theirs}}
"""


class Operated:
    """One real cluster with its agent, a hub, and who asks them."""

    def __init__(self, real: RealCluster, folder: Path, opened: ExitStack) -> None:
        self._real, self.folder = real, folder
        self.hub_metrics, self.agent_metrics = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.kubectl("apply", "--server-side", "--field-manager=other-tool", "-f-", stdin=THEIRS)
        opened.callback(self._leave_nothing)
        root = git_repository(folder / "repository", FILES).root
        options = (*HUB_OPTIONS, "--metrics-listen", self.hub_metrics)
        self.hub = HubProcess(folder, str(root), port=free_port(), options=options)
        opened.callback(self.hub.stop)
        self.hub.start()
        wait_for("the first plan", lambda: CLUSTER in self.fleet("clusters").out)
        self.token = self.fleet("cluster", "token", CLUSTER).out.split()[-1]
        self.agent = AgentProcess(
            folder,
            self.hub.url,
            CLUSTER,
            real.kubeconfig,
            self.token,
            context=real.context,
            options=("--metrics-listen", self.agent_metrics, "--log-format", "json"),
        )
        opened.callback(self.agent.kill)
        self.agent.start()

    def fleet(self, *words: str) -> Output:
        """`fleet …` as the operator."""
        token = (self.hub.state_dir / TOKEN_FILE).read_text("utf-8").strip()
        return run_fleet(*words, env={"FLEET_HUB": self.hub.url, "FLEET_TOKEN": token})

    def kubectl(self, *words: str, stdin: str = "") -> str:
        """What the real kubectl prints."""
        program = find_tools(None, None).kustomize[0]
        where = ["--kubeconfig", str(self._real.kubeconfig)]
        where += ["--context", self._real.context] if self._real.context else []
        done = subprocess.run(
            [program, *where, *words], input=stdin, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def settings(self) -> str:
        """The live value that the story is about."""
        path = "jsonpath={.data.mode}"
        return self.kubectl("get", "configmap", "settings", "-n", SPACE, "-o", path)

    def _leave_nothing(self) -> None:
        self.kubectl("delete", "namespace", SPACE, "--ignore-not-found")
        names = ("bundle-web", "bundle-calm")
        self.kubectl("delete", "configmap", *names, "-n", "fleet-system", "--ignore-not-found")


@pytest.fixture(scope="module")
def operated(
    real_cluster: RealCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operated]:
    """`calm` is in order, `web` is refused: another tool has a field of its."""
    with ExitStack() as opened:
        operated = Operated(real_cluster, tmp_path_factory.mktemp("operate"), opened)
        rows = "bundledeployments"
        wait_for("calm is in order", lambda: "Synced" in operated.fleet(rows, "calm").out, 60)
        wait_for("web is refused", lambda: "Failed" in operated.fleet(rows, "web").out, 60)
        yield operated


@pytest.mark.slow
def test_a_failed_sync_is_understood_and_mended_from_one_place(operated: Operated) -> None:
    assert operated.settings() == "theirs"
    failed = operated.fleet("sync", "web")
    assert failed.code == 1, failed
    (line,) = [line for line in failed.out.splitlines() if line.startswith("  Failed")]
    for word in (f"ConfigMap {SPACE}/settings", "[conflict]", "mode", "other-tool", "fix:"):
        assert word in line, line
    tried = operated.fleet("sync", "web", "--dry-run", "--force")
    assert tried.code == 0, tried
    assert "data.mode: theirs → ours (set by other-tool)" in tried.out
    assert operated.settings() == "theirs", "a dry run changes nothing"
    forced = operated.fleet("sync", "web", "--force", "-m", "moved here", "--as", "ana")
    assert forced.code == 0, forced
    assert f"Applied    ConfigMap {SPACE}/settings" in forced.out
    assert operated.settings() == "ours"
    again = operated.fleet("sync", "web", "-o", "json")
    assert again.code == 0, again
    (item,) = json.loads(again.out)["items"]
    assert item["counts"] == {"Unchanged": 2}
    history = operated.fleet("query", "SELECT message FROM events WHERE kind = 'sync-asked'").out
    assert "ana: sync" in history
    assert "forced (moved here)" in history
    assert CANARY not in failed.out + tried.out + forced.out + again.out


@pytest.mark.slow
def test_a_sync_of_everything_that_a_selector_selects_names_who_is_in_order(
    operated: Operated,
) -> None:
    done = operated.fleet("sync", "calm", "-l", "env=staging")
    assert done.code == 0, done
    assert done.out.splitlines()[1].split()[:3] == [CLUSTER, "calm", "Synced"]
    missed = operated.fleet("sync", "calm", "-l", "env=production")
    assert missed.code == 1
    assert "no cluster that 'env=production' selects runs bundle 'calm'" in missed.err


@pytest.mark.slow
def test_kubectl_shows_events_about_the_bundle_and_what_failed(operated: Operated) -> None:
    described = operated.kubectl("describe", "configmap", "settings", "-n", SPACE)
    assert "SyncFailed" in described
    assert "other-tool" in described
    wait_for(
        "the Event of calm",
        lambda: "Synced" in operated.kubectl("events", "-n", "fleet-system", "--for", CALM),
    )
    warnings = operated.kubectl("events", "-n", "fleet-system", "--for", "configmap/bundle-web")
    assert "Warning" in warnings
    assert "SyncFailed" in warnings
    assert CANARY not in described + warnings


@pytest.mark.slow
def test_agent_and_hub_are_scraped_over_http(operated: Operated) -> None:
    agent = httpx.get(f"http://{operated.agent_metrics}/metrics").text
    assert 'fleet_agent_bundle_state{bundle="calm",health="Healthy",sync="Synced"} 1.0' in agent
    assert 'fleet_agent_bundle_objects{bundle="web"} 2.0' in agent
    for path in ("healthz", "readyz"):
        assert httpx.get(f"http://{operated.agent_metrics}/{path}").status_code == 200
    hub = httpx.get(f"http://{operated.hub_metrics}/metrics").text
    assert 'fleet_clusters{state="Online"} 1.0' in hub
    for secret in (CANARY, operated.token):
        assert secret not in agent + hub


@pytest.mark.slow
def test_the_agents_log_is_a_fact_on_a_line_without_a_secret(operated: Operated) -> None:
    text = operated.agent.log.read_text("utf-8")
    facts = [json.loads(line) for line in text.splitlines()]
    refused = [fact for fact in facts if fact["event"] == "bundle" and fact["bundle"] == "web"]
    assert "conflict" in {fact["code"] for fact in refused}
    for secret in (CANARY, operated.token):
        assert secret not in text


@pytest.mark.slow
@pytest.mark.workloads
def test_the_manifests_are_taken_and_their_pod_is_admitted(operated: Operated) -> None:
    words = ("--cluster", CLUSTER, "--hub", "https://hub.example:8780", "--image", "sleep:1")
    printed = run_fleet("agent", "install", *words, env={"FLEET_TOKEN": operated.token})
    assert printed.code == 0, printed
    apply = ("apply", "--server-side", "-f-")
    tried = operated.kubectl(*apply, "--dry-run=server", stdin=printed.out)
    try:
        assert operated.kubectl(*apply, stdin=printed.out) == tried.replace(
            " (server dry run)", ""
        ).replace("serverside-applied (server dry run)", "serverside-applied")
        label = "app.kubernetes.io/name=fleet-agent"
        pods = ("get", "pods", "-n", "fleet-system", "-l", label, "-o", "name")
        wait_for("a pod under Pod Security restricted", lambda: bool(operated.kubectl(*pods)))
        role = operated.kubectl("auth", "can-i", "create", "deployments", "-A", "--as", ACCOUNT)
        assert role.strip() == "yes"
    finally:
        kept = "kind: Namespace"  # the inventories of others are in it
        rest = [part for part in printed.out.split("---\n") if kept not in part]
        operated.kubectl("delete", "--ignore-not-found", "-f-", stdin="---\n".join(rest))
