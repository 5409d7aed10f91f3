"""A Job ends: with success, with failure, by its deadline or by its time to live."""

from __future__ import annotations

from itertools import pairwise

import pytest

from clusters.objects import ObjectKey
from clusters.simulation.controllers import Timing
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
