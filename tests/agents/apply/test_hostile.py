"""Hostile inputs, group 6: whatever a cluster answers, there is a clear error, and nothing is lost.

One refusal at a time is put in the way of an agent on a simulated cluster; what each becomes in a
report (code, sync state), what it costs the other objects and bundles, and that the agent converges
once it is gone. The real API server's own refusals are in `tests/e2e/agent`.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from agents.protocol import BundleDeployment, Options, SyncState
from clusters.errors import (
    AdmissionError,
    ClusterError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    ImmutableError,
    InvalidError,
    QuotaError,
    TimedOutError,
    TooManyRequestsError,
    UnreachableError,
)
from clusters.objects import Object
from tests.agents.lab import Lab
from tests.agents.samples import config_map, deployment, job, key

UNREACHED = AdmissionError('failed calling webhook "check.example.com": deadline exceeded')
UNREACHED.retryable = True


@dataclass(frozen=True)
class Row:
    """One refusal of a dry-run, its code in a report, and whether it counts as Failed at once."""

    error: ClusterError
    code: str
    at_once: bool = True


ROWS = {
    "409 with a manager": Row(ConflictError("x", ("helm",), (".data.colour",)), "conflict"),
    "409 stale": Row(ConflictError("the object has been modified"), "stale", False),
    "422 immutable": Row(ImmutableError("field is immutable", ("data",)), "immutable"),
    "422 other": Row(InvalidError("data: Invalid value"), "invalid"),
    "403 RBAC": Row(ForbiddenError('User "agent" cannot patch'), "forbidden"),
    "403 quota": Row(QuotaError("exceeded quota: small"), "quota"),
    "403 namespace going": Row(
        ForbiddenError("because it is being terminated"), "terminating", False
    ),
    "webhook denies": Row(AdmissionError('admission webhook "x" denied'), "admission", False),
    "webhook times out": Row(UNREACHED, "webhook", False),
    "429": Row(TooManyRequestsError("slow down", 7.0), "too-many-requests", False),
    "5xx": Row(ClusterError("etcdserver: leader changed"), "cluster-error", False),
    "503": Row(TooManyRequestsError("apiserver is shutting down"), "too-many-requests", False),
    "504": Row(TimedOutError("no answer within 30 s"), "timed-out", False),
    "reset": Row(UnreachableError("connection reset by peer"), "unreachable", False),
}


def refuse(lab: Lab, name: str, error: ClusterError, *calls: str) -> None:
    """Answer calls about the object of that name with this error."""

    def answer(call: str, said: str) -> ClusterError | None:
        return error if said == name and call in calls else None

    lab.recorder.refuse = answer


def allow(lab: Lab) -> None:
    """Refuse nothing any more."""
    lab.recorder.refuse = lambda call, name: None


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
async def test_a_refused_dry_run_has_its_own_code_and_keeps_the_stage_unwritten(
    lab: Lab, row: Row
) -> None:
    refuse(lab, "settings", row.error, "dry-run")
    lab.release("web", config_map(), config_map("other"))
    lab.release("good", config_map("good"), run="b")
    await lab.settled("good")
    await lab.until(lambda: "web" in lab.agent.reports and lab.report("web").code != "")
    report = lab.report("web")
    assert report.code == row.code
    assert report.sync is (SyncState.FAILED if row.at_once else SyncState.SYNCING)
    assert [item.object for item in report.objects if item.code] == ["ConfigMap shop/settings"]
    assert lab.live("ConfigMap", "other") is None
    allow(lab)
    await lab.settled("web")
    assert lab.live("ConfigMap", "other") is not None


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
async def test_a_refused_write_is_told_and_what_was_written_beside_it_stays_owned(
    lab: Lab, row: Row
) -> None:
    refuse(lab, "settings", row.error, "apply")
    lab.release("web", config_map(), config_map("other"))
    await lab.until(lambda: "web" in lab.agent.reports and lab.report("web").code != "")
    assert lab.report("web").code == row.code
    assert lab.live("ConfigMap", "other") is not None
    lab.hub.offer("removal", BundleDeployment.absent("web"))
    allow(lab)
    await lab.until(lambda: "web" not in lab.agent.reports)
    assert lab.live("ConfigMap", "other") is None, "the inventory owned it"


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS.values() if not isinstance(row.error, ImmutableError)],
    ids=[name for name in ROWS if name != "422 immutable"],
)
async def test_only_a_proven_immutable_field_ever_leads_to_a_deletion(lab: Lab, row: Row) -> None:
    options = Options(namespace="shop", force=True, take_ownership=True)
    lab.release("web", deployment(), options=options)
    await lab.settled("web")
    refuse(lab, "web", row.error, "apply", "dry-run")
    lab.release("web", deployment(image="example/web:2"), options=options, run="second")
    await lab.run_for(30)
    assert not any(line.startswith("delete") for line in lab.recorder.writes)
    assert lab.live("Deployment", "web", group="apps") is not None


async def test_a_recreation_whose_deletion_is_refused_leaves_the_old_object(lab: Lab) -> None:
    options = Options(namespace="shop", force=True)
    lab.release("web", job(), options=options)
    await lab.settled("web")
    uid = lab.there("Job", "migrate", group="batch")["metadata"]["uid"]
    refuse(lab, "migrate", ForbiddenError('User "agent" cannot delete'), "delete")
    lab.release("web", job(image="example/migrate:2"), options=options, run="second")
    await lab.until(lambda: lab.report("web").sync is SyncState.FAILED)
    assert lab.report("web").code == "forbidden"
    assert lab.there("Job", "migrate", group="batch")["metadata"]["uid"] == uid


async def test_the_time_that_a_server_asks_for_is_waited(lab: Lab) -> None:
    refuse(lab, "settings", TooManyRequestsError("slow down", 30.0), "dry-run")
    lab.release("web", config_map())
    await lab.until(lambda: "web" in lab.agent.reports)
    tried = lab.recorder.dry_runs
    await lab.run_for(28)
    assert lab.recorder.dry_runs == tried
    allow(lab)
    await lab.settled("web")


async def test_a_webhook_that_cannot_dry_run_costs_its_object_the_dry_run_not_the_stage(
    lab: Lab,
) -> None:
    error = AdmissionError('admission webhook "x" does not support dry run')
    error.refuses_dry_run = True
    refuse(lab, "settings", error, "dry-run")
    lab.release("web", config_map(), config_map("other"))
    await lab.settled("web")
    assert lab.live("ConfigMap", "settings") is not None
    bad = deployment("bad")
    bad["spec"]["selector"] = {"matchLabels": {"app": "x"}}
    lab.release("web", config_map(colour="red"), config_map("other"), bad, run="second")
    await lab.until(lambda: lab.report("web").sync is SyncState.FAILED)
    assert lab.there("ConfigMap", "settings")["data"] == {"colour": "blue"}


async def test_a_refusal_that_names_an_object_of_the_same_stage_waits_for_that_one(
    lab: Lab,
) -> None:
    def answer(call: str, name: str) -> ClusterError | None:
        if name == "web" and lab.live("ConfigMap", "settings") is None:
            return ForbiddenError('error looking up "settings": not found')
        return None

    lab.recorder.refuse = answer
    lab.release("web", deployment(), config_map())
    await lab.settled("web")
    assert lab.report("web").code == ""


async def test_a_refusal_that_names_nothing_of_the_stage_keeps_it_unwritten(lab: Lab) -> None:
    refuse(lab, "web", ForbiddenError('error looking up "elsewhere": not found'), "dry-run")
    lab.release("web", deployment(), config_map())
    await lab.until(lambda: "web" in lab.agent.reports)
    assert lab.live("ConfigMap", "settings") is None


@pytest.mark.parametrize(
    "error",
    [
        UnreachableError("reset in the middle of the listing"),
        ExpiredError("the continue token is too old"),
        ForbiddenError("cannot list"),
        TooManyRequestsError("slow down"),
    ],
    ids=lambda error: error.code,
)
async def test_a_listing_that_fails_is_never_taken_for_an_empty_one(
    lab: Lab, error: ClusterError
) -> None:
    lab.release("web", config_map(), *(config_map(f"old-{number}") for number in range(6)))
    await lab.settled("web")
    lab.recorder.writes.clear()
    refuse(lab, "ConfigMap", error, "list")
    lab.new_agent()
    lab.release("web", config_map(), run="second")
    await lab.run_for(40)
    assert not any("old-" in line for line in lab.recorder.writes)
    assert lab.live("ConfigMap", "old-0") is not None
    allow(lab)
    await lab.settled("web")
    assert lab.live("ConfigMap", "old-0") is None


async def test_a_removal_that_cannot_list_lets_go_of_nothing(lab: Lab) -> None:
    lab.release("web", *(config_map(f"old-{number}") for number in range(6)))
    await lab.settled("web")
    refuse(lab, "ConfigMap", ForbiddenError("cannot list"), "list")
    lab.hub.offer("removal", BundleDeployment.absent("web"))
    await lab.run_for(20)
    assert lab.report("web").code == "forbidden"
    parent = lab.there("ConfigMap", "bundle-web", "fleet-system")
    assert len(parent["data"]["objects"].splitlines()) == 6
    allow(lab)
    await lab.until(lambda: "web" not in lab.agent.reports)
    assert lab.live("ConfigMap", "old-0") is None


async def test_a_conflict_that_names_no_manager_is_never_forced(lab: Lab) -> None:
    refuse(lab, "settings", ConflictError("the object has been modified"), "dry-run", "apply")
    options = Options(namespace="shop", take_ownership=True)
    lab.release("web", config_map(), options=options)
    await lab.run_for(20)
    assert "settings" not in lab.recorder.forced


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ForbiddenError('User "agent" cannot delete'), "forbidden"),
        (AdmissionError('admission webhook "x" denied the request: keep it'), "admission"),
        (UNREACHED, "webhook"),
        (ClusterError("internal error"), "cluster-error"),
    ],
    ids=["forbidden", "denied", "webhook", "5xx"],
)
async def test_a_refused_deletion_is_reported_and_tried_again(
    lab: Lab, error: ClusterError, code: str
) -> None:
    lab.release("web", config_map(), config_map("old"))
    await lab.settled("web")
    refuse(lab, "old", error, "delete")
    lab.release("web", config_map(), run="second")
    await lab.until(lambda: lab.report("web").code == code)
    (said,) = [item for item in lab.report("web").objects if item.code]
    assert said.object == "ConfigMap shop/old"
    assert "(fix: " in said.message or code == "cluster-error"
    assert lab.live("ConfigMap", "old") is not None
    allow(lab)
    await lab.settled("web")
    assert lab.live("ConfigMap", "old") is None


async def test_a_secrets_value_is_in_no_report_whatever_the_server_says(lab: Lab) -> None:
    canary = "canary-8f1d"
    body: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "password"},
        "stringData": {"word": canary},
    }
    for error in (InvalidError, ForbiddenError, AdmissionError, QuotaError, ConflictError):
        refuse(lab, "password", error(f"refused: {canary} Y2FuYXJ5LThmMWQ="), "dry-run")
        lab.release("web", body, config_map(n=error.__name__), run=error.__name__)
        await lab.run_for(15)
        assert lab.report("web").code != ""
        told = lab.report("web").model_dump_json()
        assert canary not in told
        assert "Y2FuYXJ5LThmMWQ" not in told


async def test_a_missing_namespace_and_a_missing_kind_are_told_apart(lab: Lab) -> None:
    astray = config_map()
    astray["metadata"]["namespace"] = "nowhere"
    lab.release("astray", astray)
    unknown = {"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "one"}}
    lab.release("unknown", unknown, run="b")
    await lab.until(lambda: {"astray", "unknown"} <= lab.agent.reports.keys())
    assert lab.report("astray").code == "not-found"
    assert lab.report("unknown").code == "kind-not-found"
    lab.cluster.server.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "nowhere"}}
    )
    await lab.settled("astray")


async def test_a_relabelling_between_look_and_deletion_saves_the_object(lab: Lab) -> None:
    lab.release("web", config_map(), config_map("old"))
    await lab.settled("web")
    taken: list[str] = []

    def take(what: str, obj: Object | None) -> None:
        if what == "delete" and not taken:
            taken.append(what)
            label = {"applyset.kubernetes.io/part-of": "somebody-else"}
            lab.edit(key("ConfigMap", "old"), {"metadata": {"labels": label}})

    lab.recorder.before_write = take
    lab.release("web", config_map(), run="second")
    await lab.settled("web")
    assert taken
    assert lab.live("ConfigMap", "old") is not None


async def test_an_object_that_changes_all_the_time_is_stale_and_not_deleted_unseen(
    lab: Lab,
) -> None:
    lab.release("web", config_map(), config_map("old"))
    await lab.settled("web")
    turns: list[str] = []

    def change(what: str, obj: Object | None) -> None:
        if what == "delete":
            turns.append(what)
            lab.edit(key("ConfigMap", "old"), {"data": {"turn": str(len(turns))}})

    lab.recorder.before_write = change
    lab.release("web", config_map(), run="second")
    await lab.run_for(3)
    assert lab.live("ConfigMap", "old") is not None
    assert {item.code for item in lab.report("web").objects} == {"stale"}
    lab.recorder.before_write = lambda what, obj: None
    await lab.settled("web")
    assert lab.live("ConfigMap", "old") is None


async def test_a_lost_answer_to_a_write_leaves_nothing_of_it_behind(lab: Lab) -> None:
    """The server took the write and the agent never heard: a rollback takes it all back."""
    lab.release("web", config_map(colour="blue"))
    await lab.settled("web")

    def lose(what: str, name: str) -> None:
        if what == "apply" and name == "settings":
            raise TimedOutError("no answer within 30 s")

    lab.recorder.after_write = lose
    lab.release("web", config_map(colour="blue", extra="x"), run="second")
    await lab.until(lambda: "extra" in lab.there("ConfigMap", "settings")["data"])
    lab.recorder.after_write = lambda what, name: None
    lab.release("web", config_map(colour="blue"), run="back")
    await lab.settled("web")
    assert lab.there("ConfigMap", "settings")["data"] == {"colour": "blue"}


async def test_an_unchanged_object_costs_a_restarted_agent_one_dry_run_and_no_write(
    lab: Lab,
) -> None:
    settings = [config_map(f"settings-{number}") for number in range(10)]
    lab.release("web", *settings, deployment())
    await lab.settled("web")
    lab.new_agent()
    lab.recorder.writes.clear()
    lab.recorder.dry_runs = 0
    lab.release("web", *settings, deployment(image="example/web:2"), run="second")
    await lab.settled("web")
    assert [line for line in lab.recorder.writes if "bundle-web" not in line] == [
        "apply Deployment web"
    ]
    assert lab.recorder.dry_runs == 11
