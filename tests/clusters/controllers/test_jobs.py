"""A Job ends: with success, with failure, by its deadline or by its time to live."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.objects import Object, ObjectKey
from clusters.simulation.controllers import Timing
from clusters.simulation.controllers.tally import read_indexes, write_indexes
from tests.clusters.controllers.lab import Lab, job

MIGRATE = ObjectKey("batch", "Job", "default", "migrate")


def test_a_job_completes_after_its_time() -> None:
    lab = Lab(timing=Timing(job_run=(2.0, 2.0)))
    lab.apply(job("migrate:1"))
    lab.run(1.9)
    assert lab.status(MIGRATE)["active"] == 1
    assert lab.condition(MIGRATE, "Complete") == ("", "")
    lab.run(0.2)
    status = lab.status(MIGRATE)
    assert lab.condition(MIGRATE, "Complete") == ("True", "CompletionsReached")
    assert status["succeeded"] == 1
    assert "active" not in status
    assert status["startTime"] < status["completionTime"]
    (pod,) = lab.pods()
    assert pod["status"]["phase"] == "Succeeded"
    assert pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "migrate"


def test_completions_run_side_by_side_up_to_the_parallelism() -> None:
    lab = Lab(timing=Timing(job_run=(1.0, 1.0)))
    lab.apply(job("migrate:1", completions=5, parallelism=2))
    active = []
    for _ in range(40):
        lab.run(0.1)
        active.append(lab.status(MIGRATE).get("active", 0))
    assert max(active) == 2
    assert lab.status(MIGRATE)["succeeded"] == 5


def test_a_job_that_fails_too_often_is_failed() -> None:
    lab = Lab(timing=Timing(job_run=(1.0, 1.0), job_retry=(1.0, 1.0)))
    lab.apply(job("migrate:exit1", backoffLimit=2))
    lab.run(3.5)
    assert lab.status(MIGRATE)["failed"] == 2
    assert lab.condition(MIGRATE, "Failed") == ("", "")
    lab.run(10)
    assert lab.status(MIGRATE)["failed"] == 3
    assert lab.condition(MIGRATE, "Failed") == ("True", "BackoffLimitExceeded")
    assert lab.run(1000) is None


def test_the_pause_after_a_failure_doubles() -> None:
    lab = Lab(timing=Timing(job_run=(1.0, 1.0), job_retry=(1.0, 1.0)))
    lab.apply(job("migrate:exit1", backoffLimit=3))
    lab.run(60)
    births = sorted(lab.controllers.since(pod) for pod in lab.pods())
    gaps = [(later - sooner).total_seconds() for sooner, later in pairwise(births)]
    assert gaps == pytest.approx([2.0, 3.0, 5.0])  # a run of one second, and the pause


def test_a_job_past_its_deadline_is_failed_and_its_pods_go() -> None:
    lab = Lab()
    lab.apply(job("migrate:neverready", activeDeadlineSeconds=5))
    lab.run(4)
    assert len(lab.pods()) == 1
    lab.run(2)
    assert lab.condition(MIGRATE, "Failed") == ("True", "DeadlineExceeded")
    assert lab.pods() == []


def test_a_finished_job_removes_itself_after_its_time_to_live() -> None:
    lab = Lab()
    lab.apply(job("migrate:1", ttlSecondsAfterFinished=60))
    lab.run(30)
    assert lab.condition(MIGRATE, "Complete")[0] == "True"
    lab.run(60)
    assert lab.server.peek(MIGRATE) is None
    assert lab.pods() == []


def test_a_suspended_job_runs_nothing_until_it_is_resumed() -> None:
    lab = Lab()
    lab.apply(job("migrate:1", suspend=True))
    lab.run(10)
    assert lab.pods() == []
    assert lab.condition(MIGRATE, "Suspended")[0] == "True"
    lab.apply(job("migrate:1", suspend=False))
    lab.run(10)
    assert lab.condition(MIGRATE, "Complete")[0] == "True"


def test_each_end_of_a_job_is_announced_by_a_condition_before_it() -> None:
    for image, types in (
        ("migrate:1", ["SuccessCriteriaMet", "Complete"]),
        ("migrate:exit1", ["FailureTarget", "Failed"]),
    ):
        lab = Lab()
        lab.apply(job(image, backoffLimit=0))
        lab.run(10)
        assert [c["type"] for c in lab.status(MIGRATE)["conditions"]] == types


def test_a_job_fails_for_good_only_when_its_last_pod_is_gone() -> None:
    lab = Lab()
    lab.apply(job("migrate:neverready", activeDeadlineSeconds=5))
    lab.run(2)
    (pod,) = lab.pods()
    key = ObjectKey("", "Pod", "default", pod["metadata"]["name"])
    finalizers = [*pod["metadata"]["finalizers"], "example.com/drain"]
    lab.server.patch(key, {"metadata": {"finalizers": finalizers}}, manager="m")
    lab.run(10)
    assert lab.condition(MIGRATE, "FailureTarget") == ("True", "DeadlineExceeded")
    assert lab.condition(MIGRATE, "Failed") == ("", "")
    assert lab.status(MIGRATE)["terminating"] == 1
    lab.server.patch(key, {"metadata": {"finalizers": []}}, manager="m")
    lab.run(1)
    assert lab.condition(MIGRATE, "Failed") == ("True", "DeadlineExceeded")
    assert (lab.status(MIGRATE)["failed"], lab.status(MIGRATE)["terminating"]) == (1, 0)


def test_a_success_counts_though_its_pod_is_deleted() -> None:
    lab = Lab(timing=Timing(job_run=(1.0, 1.0)))
    lab.apply(job("migrate:1", completions=2, parallelism=1))
    lab.run(1.5)
    done = lab.pods()[0] if lab.pods()[0]["status"]["phase"] == "Succeeded" else lab.pods()[1]
    assert "finalizers" not in done["metadata"]
    lab.server.delete(ObjectKey("", "Pod", "default", done["metadata"]["name"]))
    lab.run(10)
    assert lab.status(MIGRATE)["succeeded"] == 2
    assert len(lab.pods()) == 1


def test_a_pod_that_is_deleted_before_it_ends_counts_as_failed_and_is_replaced() -> None:
    lab = Lab(timing=Timing(job_run=(5.0, 5.0)))
    lab.apply(job("migrate:1"))
    lab.run(1)
    (pod,) = lab.pods()
    lab.server.delete(ObjectKey("", "Pod", "default", pod["metadata"]["name"]))
    lab.run(10)
    assert lab.status(MIGRATE)["failed"] == 1
    assert lab.condition(MIGRATE, "Complete")[0] == "True"
    assert pod["metadata"]["uid"] not in {found["metadata"]["uid"] for found in lab.pods()}


@pytest.mark.parametrize("propagation", ["Background", "Foreground", "Orphan"])
def test_nothing_holds_the_pods_of_a_job_that_is_gone(propagation: str) -> None:
    lab = Lab()
    lab.apply(job("migrate:neverready"))
    lab.run(2)
    lab.server.delete(MIGRATE, propagation=propagation)
    lab.run(2)
    assert lab.server.peek(MIGRATE) is None
    assert len(lab.pods()) == (propagation == "Orphan")
    assert all("finalizers" not in pod["metadata"] for pod in lab.pods())


def test_each_completion_of_an_indexed_job_has_its_number() -> None:
    lab = Lab(timing=Timing(job_run=(1.0, 1.0)))
    lab.apply(job("migrate:1", completions=5, parallelism=2, completionMode="Indexed"))
    lab.run(1.5)
    assert lab.status(MIGRATE)["completedIndexes"] == "0,1"
    lab.run(10)
    assert lab.status(MIGRATE)["completedIndexes"] == "0-4"
    assert lab.condition(MIGRATE, "Complete")[0] == "True"
    pods = lab.pods()
    name = "batch.kubernetes.io/job-completion-index"
    assert [pod["metadata"]["annotations"][name] for pod in pods] == list("01234")
    assert [pod["spec"]["hostname"] for pod in pods] == [f"migrate-{n}" for n in range(5)]
    (container,) = pods[0]["spec"]["containers"]
    assert [entry["name"] for entry in container["env"]] == ["JOB_COMPLETION_INDEX"]


def test_a_queue_of_work_is_done_with_its_first_success_when_the_others_have_ended() -> None:
    lab = Lab(timing=Timing(job_run=(1.0, 3.0)))
    lab.apply(job("migrate:1", parallelism=3))
    lab.run(10)
    assert lab.status(MIGRATE)["succeeded"] == 3
    assert lab.condition(MIGRATE, "Complete")[0] == "True"


def test_fewer_at_once_end_those_that_are_too_many() -> None:
    lab = Lab()
    lab.apply(job("migrate:neverready", completions=5, parallelism=3))
    lab.run(2)
    lab.apply(job("migrate:neverready", completions=5, parallelism=1))
    lab.run(2)
    assert lab.status(MIGRATE)["active"] == 1
    assert len(lab.pods()) == 1


def test_a_container_that_may_restart_does_so_in_its_pod_until_it_did_so_too_often() -> None:
    lab = Lab(timing=Timing(job_run=(1.0, 1.0)))
    patient = job("migrate:exit1", backoffLimit=3)
    patient["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    lab.apply(patient)
    lab.run(6)
    (pod,) = lab.pods()
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 2
    assert "failed" not in lab.status(MIGRATE)
    lab.run(6)
    assert lab.condition(MIGRATE, "Failed") == ("True", "BackoffLimitExceeded")
    assert lab.pods() == []


def rule(action: str, codes: list[int], operator: str = "In") -> Object:
    """A rule of a podFailurePolicy about exit codes."""
    return {"action": action, "onExitCodes": {"operator": operator, "values": codes}}


@pytest.mark.parametrize(
    ("rules", "failed", "reason"),
    [
        ([rule("FailJob", [1])], 1, "PodFailurePolicy"),
        ([rule("FailJob", [42], "NotIn")], 1, "PodFailurePolicy"),
        ([rule("FailJob", [42])], 3, "BackoffLimitExceeded"),
        ([rule("Count", [1]), rule("FailJob", [1])], 3, "BackoffLimitExceeded"),
        ([rule("Ignore", [1])], None, ""),
    ],
)
def test_a_policy_says_what_a_failure_means(
    rules: list[Object], failed: int | None, reason: str
) -> None:
    lab = Lab()
    lab.apply(job("migrate:exit1", backoffLimit=2, podFailurePolicy={"rules": rules}))
    lab.run(60)
    assert lab.status(MIGRATE).get("failed") == failed
    assert lab.condition(MIGRATE, "Failed")[1] == reason


def test_a_suspended_job_starts_its_clock_anew_when_it_goes_on() -> None:
    lab = Lab()
    lab.apply(job("migrate:neverready", activeDeadlineSeconds=20))
    lab.run(10)
    lab.apply(job("migrate:neverready", activeDeadlineSeconds=20, suspend=True))
    lab.run(100)
    assert "startTime" not in lab.status(MIGRATE)
    lab.apply(job("migrate:neverready", activeDeadlineSeconds=20, suspend=False))
    lab.run(15)
    assert lab.condition(MIGRATE, "Suspended") == ("False", "JobResumed")
    assert lab.condition(MIGRATE, "Failed") == ("", "")
    lab.run(10)
    assert lab.condition(MIGRATE, "Failed") == ("True", "DeadlineExceeded")


def test_a_job_that_another_controller_manages_is_left_alone() -> None:
    lab = Lab()
    lab.apply(job("migrate:1", managedBy="example.com/queue"))
    lab.run(10)
    assert lab.pods() == []
    assert lab.status(MIGRATE) == {}


@given(st.sets(st.integers(0, 30)))
def test_indexes_are_written_so_that_they_can_be_read(indexes: set[int]) -> None:
    assert list(read_indexes(write_indexes(sorted(indexes)))) == sorted(indexes)
