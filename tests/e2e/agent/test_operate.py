"""Operating a real cluster: syncs that fail and are mended, Events, metrics, logs, the manifests.

Hub and agent are processes, the API server is a real one, people are the command line and kubectl.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.controlplane.real_cluster import RealCluster
from tests.e2e.agent.every_command import MEANT, every_line
from tests.e2e.agent.operated import (
    BY_HAND,
    CANARY,
    CLUSTER,
    REFUSED,
    SPACE,
    Operated,
    encoded,
)
from tests.e2e.fleet_processes import run_fleet, wait_for

CALM = "configmap/bundle-calm"
ACCOUNT = "system:serviceaccount:fleet-system:fleet-agent"


@pytest.fixture(scope="module")
def operated(
    real_cluster: RealCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operated]:
    """`calm` is in order, `web` is refused: another tool has a field of its."""
    with ExitStack() as opened:
        operated = Operated(real_cluster, tmp_path_factory.mktemp("operate"), opened)
        rows = "bundledeployments"
        wait_for("calm is in order", lambda: "Synced" in operated.asked(rows, "calm").stdout, 60)
        wait_for("web is refused", lambda: "Failed" in operated.asked(rows, "web").stdout, 60)
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


@pytest.fixture(scope="module")
def printed(operated: Operated) -> dict[str, str]:
    """What everything prints while a Secret is refused, another drifts and a third is no YAML."""
    assert encoded(REFUSED) in operated.quotes(REFUSED), "the server itself does quote it"
    why = ("explain", CLUSTER, "quoted")
    wait_for("quoted is refused", lambda: "Policy" in operated.asked(*why).stdout, 60)
    patch = json.dumps({"stringData": {"text": BY_HAND}})
    operated.kubectl("patch", "secret", "vault", "-n", SPACE, "-p", patch)
    row = ("bundledeployments", "vault", "-o", "wide")
    wait_for("the drift of vault", lambda: "OutOfSync" in operated.asked(*row).stdout, 60)
    found = dict(_answers(operated))
    found["agent's log"] = operated.agent.log.read_text("utf-8")
    found["hub's log"] = operated.hub.log.read_text("utf-8")
    for name, url in (("agent", operated.agent_metrics), ("hub", operated.hub_metrics)):
        found[f"metrics of the {name}"] = httpx.get(f"http://{url}/metrics").text
    found["Events"] = operated.kubectl("get", "events", "-A", "-o", "yaml")
    return found


def _answers(operated: Operated) -> Iterator[tuple[str, str]]:
    """What each command prints."""
    manifests = operated.folder / "manifests.yaml"
    values = {
        "hub": operated.hub.url,
        "state": operated.hub.state_dir,
        "repo": operated.root,
        "manifests": manifests,
    }
    for name, line in every_line():
        words = [word.format(**values) for word in line]
        done = operated.asked(*words)
        assert done.exception is None or isinstance(done.exception, SystemExit), words
        assert done.exit_code in (0, 1), (words, done.output)
        if name == "render":
            manifests.write_text(done.stdout, "utf-8")
        yield " ".join(words), done.output


@pytest.mark.slow
def test_nothing_that_is_printed_holds_a_secret(
    operated: Operated, printed: dict[str, str]
) -> None:
    secrets = operated.secrets()
    forms = {form for value in secrets for form in (value, encoded(value))}
    leaks = [
        (line, form)
        for line, text in printed.items()
        for form in sorted(forms)
        if form in text and not line.startswith(tuple(MEANT))
    ]
    assert leaks == [], leaks
    (render,) = (text for line, text in printed.items() if line.startswith("render"))
    assert CANARY in render, "the search does find what is there"


@pytest.mark.slow
def test_what_is_refused_drifts_or_is_no_yaml_is_told_all_the_same(
    printed: dict[str, str],
) -> None:
    """A search of empty answers would find nothing either."""
    explained = printed[f"explain {CLUSTER} quoted -o json"]
    assert f"ValidatingAdmissionPolicy '{SPACE}'" in explained
    assert "data.text" in printed[f"explain {CLUSTER} vault -o json"]
    assert "yaml-invalid" in printed["query SELECT * FROM problems -o json"]
    assert "127.0.0.1" in printed["runs gated -o json"]
    assert SPACE in printed["Events"]


@pytest.mark.slow
@pytest.mark.workloads
def test_the_manifests_are_taken_and_their_pod_is_admitted(operated: Operated) -> None:
    words = ("--cluster", CLUSTER, "--hub", operated.hub.url, "--image", "sleep:1")
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
        may = operated.kubectl("auth", "can-i", "--list", "-n", SPACE, "--as", ACCOUNT)
        assert "configmaps" in may
        assert "deployments" not in may, "nothing that the hub wants here is one"
    finally:
        kept = "kind: Namespace"  # the inventories of others are in it
        rest = [part for part in printed.out.split("---\n") if kept not in part]
        operated.kubectl("delete", "--ignore-not-found", "-f-", stdin="---\n".join(rest))
