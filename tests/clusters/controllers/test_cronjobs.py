"""A CronJob makes a Job when it is due, as its policy says, and keeps a short history."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from clusters.errors import InvalidError
from clusters.objects import Object, ObjectKey
from clusters.simulation.controllers import Timing
from tests.clusters.controllers.lab import Lab, cron_job

BACKUP = ObjectKey("batch", "CronJob", "default", "backup")
START = datetime(2030, 1, 1, tzinfo=UTC)  # when a lab's clock begins
MINUTE = int(START.timestamp()) // 60


def jobs(lab: Lab) -> list[int]:
    """The minutes after the start whose Jobs are there."""
    return sorted(_minute(job) for job in lab.kinds("batch", "Job"))


def _minute(job: Object) -> int:
    return int(job["metadata"]["name"].removeprefix("backup-")) - MINUTE


def lab_with(image: str = "backup:1", schedule: str = "*/5 * * * *", **spec: Any) -> Lab:
    """A lab with one CronJob whose Jobs run for half a second."""
    lab = Lab(timing=Timing(job_run=(0.5, 0.5), job_retry=(0.5, 0.5)))
    lab.apply(cron_job(image, schedule, **spec))
    return lab


def test_a_job_comes_when_it_is_due_and_is_named_after_its_minute() -> None:
    lab = lab_with()
    lab.run(299)
    assert jobs(lab) == []
    lab.run(1.2)
    (job,) = lab.kinds("batch", "Job")
    assert job["metadata"]["name"] == f"backup-{MINUTE + 5}"
    assert job["metadata"]["labels"] == {"part": "backup"}
    scheduled = job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"]
    assert scheduled == "2030-01-01T00:05:00Z"
    status = lab.status(BACKUP)
    assert status["lastScheduleTime"] == "2030-01-01T00:05:00Z"
    assert [reference["uid"] for reference in status["active"]] == [job["metadata"]["uid"]]
    lab.run(5)
    assert "active" not in lab.status(BACKUP)
    assert (
        lab.status(BACKUP)["lastSuccessfulTime"]
        == lab.kinds("batch", "Job")[0]["status"]["completionTime"]
    )


def test_nothing_is_due_between_two_times() -> None:
    lab = lab_with()
    lab.run(310)
    before = lab.server.resource_version
    assert lab.run(200) == START.replace(minute=10)
    assert lab.server.resource_version == before


def test_a_suspended_cron_job_makes_none_and_makes_good_only_the_last_when_it_is_resumed() -> None:
    lab = lab_with(suspend=True)
    assert lab.run(1300) is None
    assert jobs(lab) == []
    lab.apply(cron_job("backup:1", "*/5 * * * *", suspend=False))
    lab.run(1)
    assert jobs(lab) == [20]


def test_what_was_missed_longer_ago_than_the_deadline_is_not_made_good() -> None:
    lab = lab_with(suspend=True, startingDeadlineSeconds=60)
    lab.run(1300)
    lab.apply(cron_job("backup:1", "*/5 * * * *", suspend=False, startingDeadlineSeconds=60))
    lab.run(1)
    assert jobs(lab) == []
    lab.run(210)
    assert jobs(lab) == [25]


@pytest.mark.parametrize(
    ("policy", "kept"), [("Allow", [5, 10, 15]), ("Forbid", [5]), ("Replace", [15])]
)
def test_the_policy_says_what_becomes_of_a_job_that_still_runs(
    policy: str, kept: list[int]
) -> None:
    lab = lab_with("backup:neverready", concurrencyPolicy=policy)
    lab.run(910)
    assert jobs(lab) == kept
    assert len(lab.status(BACKUP)["active"]) == len(kept)
    assert len(lab.pods()) == len(kept)


def test_a_forbidden_time_is_made_good_when_the_job_before_it_ends() -> None:
    lab = lab_with("backup:neverready", concurrencyPolicy="Forbid")
    lab.run(700)
    assert jobs(lab) == [5]
    lab.server.delete(ObjectKey("batch", "Job", "default", f"backup-{MINUTE + 5}"))
    lab.run(0.1)
    assert jobs(lab) == [10]


@pytest.mark.parametrize(("image", "kept"), [("backup:1", [20, 25, 30]), ("backup:exit1", [30])])
def test_only_so_many_ended_jobs_are_kept(image: str, kept: list[int]) -> None:
    lab = lab_with(image)
    lab.run(1830)
    assert jobs(lab) == kept
    assert len({pod["metadata"]["ownerReferences"][0]["name"] for pod in lab.pods()}) == len(kept)


def test_a_history_may_be_empty() -> None:
    lab = lab_with(successfulJobsHistoryLimit=0)
    lab.run(310)
    assert jobs(lab) == []
    assert lab.status(BACKUP)["lastSuccessfulTime"] == "2030-01-01T00:05:00Z"


def test_a_time_zone_moves_the_time() -> None:
    lab = lab_with(schedule="30 9 * * *", timeZone="Asia/Kolkata")
    lab.run(4 * 3600 + 1)
    assert jobs(lab) == [240]
    (job,) = lab.kinds("batch", "Job")
    (scheduled,) = job["metadata"]["annotations"].values()
    assert scheduled == "2030-01-01T09:30:00+05:30"


def test_deleting_a_cron_job_takes_its_jobs_along() -> None:
    lab = lab_with()
    lab.run(310)
    lab.server.delete(BACKUP)
    assert lab.run(3600) is None
    assert jobs(lab) == []
    assert lab.pods() == []


@pytest.mark.parametrize(
    ("change", "field"),
    [({"schedule": "every day"}, "spec.schedule"), ({"timeZone": "Mars/Olympus"}, "spec.timeZone")],
)
def test_a_schedule_that_cannot_be_read_is_refused(change: Object, field: str) -> None:
    refused = cron_job("backup:1", "* * * * *")
    refused["spec"] |= change
    with pytest.raises(InvalidError) as error:
        Lab().apply(refused)
    assert field in str(error.value)
