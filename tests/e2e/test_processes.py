"""Hub and agents as processes over HTTP, real kubectl, and kill -9 where it hurts most.

The stories share one running fleet and leave it converged; each makes its own release, so none of
them depends on another having run.
"""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

import pytest

from clusters.objects import read_yaml_documents
from tests.e2e.fleet_processes import (
    APP,
    BY_HAND,
    CANARY,
    CLUSTERS,
    EU,
    NAMESPACE,
    STAGING,
    US,
    AgentProcess,
    FleetOfProcesses,
    SpecWrite,
    run_fleet,
    wait_for,
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("fleet of processes")]

BUNDLES = {"storefront", "orders", "ingress", "monitoring", "policies"}
TAGS = (f"6.9.{number}" for number in itertools.count(1))


def writes_since(fleet: FleetOfProcesses, number: int) -> list[SpecWrite]:
    return fleet.clusters.spec_writes[number:]


def grants(fleet: FleetOfProcesses) -> list[Any]:
    """Every assignment that an agent was let start: what may never be made twice or change."""
    return fleet.rows(
        "SELECT cluster, generation, run, started_at FROM assignments"
        " WHERE started_at IS NOT NULL ORDER BY cluster, generation"
    )


def test_the_first_sync_puts_every_bundle_into_every_cluster(fleet: FleetOfProcesses) -> None:
    rows = fleet.rows("SELECT cluster, bundle, sync, health FROM bundledeployments")
    assert {(r["cluster"], r["sync"], r["health"]) for r in rows} == {
        (name, "Synced", "Healthy") for name in CLUSTERS
    }
    for name in CLUSTERS:
        assert {r["bundle"] for r in rows if r["cluster"] == name} >= BUNDLES
        table = fleet.clusters.kubectl(name, "-n", NAMESPACE, "get", "deployments", "-o", "wide")
        assert table.splitlines()[0].split()[:2] == ["NAME", "READY"]
        replicas = 1 if name == STAGING else 3
        (row,) = table.splitlines()[1:]
        assert row.split()[:2] == [APP, f"{replicas}/{replicas}"]
        assert f"podinfo:{fleet.tag}" in row
        first = next(w for w in fleet.clusters.spec_writes if w.cluster == name)
        assert (first.image, first.replicas) == (":6.9.0", replicas)


def test_a_hub_killed_twice_in_mid_rollout_finishes_it_in_order_and_once(
    fleet: FleetOfProcesses,
) -> None:
    tag, before, seen = next(TAGS), grants(fleet), len(fleet.clusters.spec_writes)
    commit = fleet.release(tag)

    fleet.clusters.wait_for_image(STAGING, tag)
    fleet.hub.kill()
    in_staging = [w.cluster for w in writes_since(fleet, seen)]
    fleet.hub.start()
    fleet.clusters.wait_for_image(EU, tag)
    fleet.hub.kill()
    in_europe = [w.cluster for w in writes_since(fleet, seen)]
    fleet.hub.start()
    run = fleet.wait_until_released(commit)

    assert in_staging == [STAGING]
    assert in_europe == [STAGING, EU]
    writes = writes_since(fleet, seen)
    assert [(w.cluster, w.image) for w in writes] == [(name, f":{tag}") for name in CLUSTERS]
    assert (run["state"], run["healthy"]) == ("Succeeded", 3)
    assert [fleet.clusters.kubectl_image(name) for name in CLUSTERS] == [tag] * 3
    after = grants(fleet)
    assert [row for row in after if row in before] == before, "a grant was lost or rewritten"
    new = [row for row in after if row not in before]
    assert sorted((row["cluster"], row["run"]) for row in new) == sorted(
        (name, run["run"]) for name in CLUSTERS
    )
    for row in new:
        old = [b["generation"] for b in before if b["cluster"] == row["cluster"]]
        assert row["generation"] > max(old)


def test_an_agent_killed_while_it_waits_for_health_goes_on_without_writing_again(
    fleet: FleetOfProcesses,
) -> None:
    tag, seen = next(TAGS), len(fleet.clusters.spec_writes)
    commit = fleet.release(tag)
    fleet.clusters.wait_for_image(EU, tag)
    fleet.agents[EU].kill()
    fleet.agents[EU].start()
    run = fleet.wait_until_released(commit)
    assert run["state"] == "Succeeded"
    assert [w.cluster for w in writes_since(fleet, seen)] == [*CLUSTERS]


def test_an_agent_started_again_in_peace_writes_nothing(fleet: FleetOfProcesses) -> None:
    seen, agent = len(fleet.clusters.spec_writes), fleet.agents[US]
    agent.kill()
    before = len(agent.log.read_text("utf-8"))
    agent.start()

    def in_order() -> set[str]:
        lines = agent.log.read_text("utf-8")[before:].splitlines()
        well = (line for line in lines if "sync=Synced health=Healthy" in line)
        return {line.partition(" bundle=")[2].split()[0] for line in well}

    wait_for("its look at every bundle", lambda: in_order() >= BUNDLES)
    fleet.wait_until_converged("the cluster of the agent that was started again")
    assert writes_since(fleet, seen) == []


def test_a_change_by_hand_is_healed_while_the_hub_is_down(fleet: FleetOfProcesses) -> None:
    seen = len(fleet.clusters.spec_writes)
    fleet.hub.kill()
    try:
        words = ("-n", NAMESPACE, "scale", f"deployment/{APP}", "--replicas=5")
        assert "scaled" in fleet.clusters.kubectl(EU, *words)
        wait_for("the healing", lambda: len(writes_since(fleet, seen)) >= 2, 20)
        assert fleet.clusters.kubectl_replicas(EU) == 3
    finally:
        fleet.hub.start()
    fleet.wait_until_converged("the fleet after the hub came back")
    assert [(w.cluster, w.replicas) for w in writes_since(fleet, seen)] == [(EU, 5), (EU, 3)]


def test_every_question_is_answered_by_its_command(fleet: FleetOfProcesses) -> None:
    count = len(fleet.rows("SELECT cluster FROM bundledeployments"))
    repo = ("--repo", str(fleet.example.root))
    for words, shown in {
        ("status",): ["Repository", "Clusters            3: ", f"{count}/{count} Synced"],
        ("clusters",): ["CLUSTER", "Online", *CLUSTERS],
        ("groups",): ["GROUP", "staging", "production-eu", "production-us"],
        ("bundles",): ["BUNDLE", "3/3", *BUNDLES],
        ("bundledeployments", EU): ["Synced", "Healthy", *BUNDLES],
        ("runs",): ["RUN", "Succeeded"],
        ("explain", EU, "storefront"): [EU, "storefront", "Synced"],
        ("query", "SELECT cluster FROM clusters"): ["CLUSTER", *CLUSTERS],
        ("plan", *repo): ["DIGEST", "apps/production-eu/storefront", *CLUSTERS],
        ("render", EU, *repo): ["kind: Deployment", f"podinfo:{fleet.tag}", CANARY],
    }.items():
        done = fleet.fleet(*words)
        assert (done.code, done.err) == (0, ""), words
        assert [part for part in shown if part not in done.out] == [], (words, done.out)
    documents = json.loads(fleet.fleet("clusters", "-o", "json").out)
    assert sorted(row["cluster"] for row in documents) == sorted(CLUSTERS)


def test_the_hub_says_which_rights_the_agent_of_a_cluster_needs(fleet: FleetOfProcesses) -> None:
    asked = ("agent", "rbac", "--cluster", US, "--hub", fleet.hub.url)
    printed = run_fleet(*asked, env={"FLEET_TOKEN": fleet.agents[US].token})
    assert printed.code == 0, printed.err
    rights = read_yaml_documents(printed.out)
    assert NAMESPACE in {i["metadata"].get("namespace") for i in rights if i["kind"] == "Role"}
    assert not any("*" in str(item["rules"]) for item in rights if "rules" in item)


def test_no_value_of_a_secret_is_ever_printed(fleet: FleetOfProcesses) -> None:
    path = "jsonpath={.data.password}"
    where = ("-n", "monitoring", "get", "secret/scrape", "-o", path)
    assert base64.b64decode(fleet.clusters.kubectl(EU, *where)).decode() == CANARY
    patch = json.dumps({"stringData": {"password": BY_HAND}})
    fleet.clusters.kubectl(EU, "-n", "monitoring", "patch", "secret/scrape", "-p", patch)

    def drift() -> Any:
        return fleet.api.get(f"/v1/explain/{EU}/monitoring")["drift"]

    printed: list[str] = []
    wait_for("the drift of the Secret", lambda: bool(drift()), 20)
    assert [row["object"].split("/")[-1] for row in drift()] == ["scrape"]
    for words in (("explain", EU, "monitoring"), ("plan", "--repo", str(fleet.example.root))):
        done = fleet.fleet(*words, "-o", "wide")
        assert done.code == 0, (words, done.err)
        printed.append(done.out + done.err)
    # The other commands print what these answer; one process for each would only take longer.
    for path in (f"explain/{EU}/monitoring", "status", "bundledeployments", "runs", "problems"):
        printed.append(json.dumps(fleet.api.get(f"/v1/{path}")))
    for view in ("bundledeployments", "events", "problems", "runs"):
        printed.append(json.dumps(fleet.rows(f"SELECT * FROM {view}")))
    printed.append(fleet.logs())
    undo = json.dumps({"stringData": {"password": CANARY}})
    fleet.clusters.kubectl(EU, "-n", "monitoring", "patch", "secret/scrape", "-p", undo)
    wait_for("the end of the drift", lambda: not drift(), 20)
    for value in (CANARY, BY_HAND):
        for form in (value, base64.b64encode(value.encode()).decode()):
            assert not any(form in text for text in printed)


def test_a_wrong_token_ends_the_agent_with_one_error_that_names_the_cure(
    fleet: FleetOfProcesses,
) -> None:
    wrong = AgentProcess(
        fleet.folder / "wrong-token", fleet.hub.url, STAGING, fleet.clusters.kubeconfig, "no-token"
    )
    assert fleet.agents[STAGING].stop() == 0  # beside it the other one would only wait
    try:
        done = wrong.run_to_its_end()
    finally:
        fleet.agents[STAGING].start()
    assert (done.code, done.out) == (1, "")
    assert "Traceback" not in done.err
    assert done.err.count("fix:") == 1
    assert f"fleet cluster token {STAGING}" in done.err
    assert "no-token" not in done.err


def test_a_port_in_use_ends_the_hub_with_what_at_and_fix(fleet: FleetOfProcesses) -> None:
    port = fleet.hub.url.rpartition(":")[2]
    state = fleet.folder / "second"
    repo = str(fleet.example.root)
    done = fleet.fleet("hub", "--repo", repo, "--state-dir", str(state), "--port", port)
    assert done.code == 1
    assert "Traceback" not in done.err
    error = done.err[done.err.index("fleet: ") :].splitlines()
    assert [line.split(":")[0].strip() for line in error] == ["fleet", "at", "fix"]
    assert "port is in use" in error[0]
    assert f"127.0.0.1:{port}" in error[1]
    assert "--port" in error[2]


def test_a_cluster_that_goes_from_git_is_emptied_as_it_said_and_then_forgotten(
    fleet: FleetOfProcesses,
) -> None:
    """The last story: the fleet is smaller afterwards."""

    def states() -> dict[str, str]:
        items = fleet.api.get("/v1/clusters")["items"]
        return {item["cluster"]: item["state"] for item in items}

    def commit(message: str) -> None:
        made = fleet.example.commit(message)
        assert fleet.fleet("refresh").code == 0
        wait_for(message, lambda: fleet.status()["source"]["plannedCommit"] == made)

    declared = fleet.example.root / "clusters" / "production-us" / "clusters.yaml"
    assert fleet.clusters.kubectl_image(US)
    with declared.open("a", encoding="utf-8") as file:
        file.write("spec: {deletionPolicy: wait}\n")
    commit(f"{US} is to leave nothing behind")
    assert states()[US] == "Online"
    declared.unlink()
    commit(f"{US} is given up")
    wait_for("its agent to take leave", lambda: states().get(US) == "Left", 60)
    left = fleet.clusters.kubectl(US, "get", "deployments", "-A", "-o", "name")
    assert left == ""
    assert "what runs here is removed (wait)" in fleet.agents[US].log.read_text("utf-8")
    assert fleet.clusters.kubectl_image(EU), "nobody else is touched"
    assert fleet.agents[US].stop() == 0
    wait_for("the hub to forget it", lambda: US not in states(), 60)
    assert {EU, STAGING} <= states().keys()
