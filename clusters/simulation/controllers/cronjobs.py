"""CronJob: a Job for each time that its schedule comes round, and the old ones cleared away.

::

    due ──► suspended, no such zone, too late ──► nothing
       └──► a Job still runs:  Allow ──► one more     Forbid ──► nothing until that one ends
                               Replace ──► that one goes, the new one comes

Only the latest time that was missed is made good, and not after `startingDeadlineSeconds`. A Job is
named after its time in minutes, so one time makes one Job. Between two times nothing is due.

Never runs anything: what a Job does is the business of `jobs`.
"""

from __future__ import annotations

from datetime import datetime

from clusters.objects import Object, key_of
from clusters.simulation.controllers.decision import (
    Create,
    Outcome,
    Remove,
    View,
    Write,
    after,
    owner_reference,
    read_stamp,
    set_status,
    stamp,
)
from clusters.simulation.controllers.jobs import ended_as
from clusters.simulation.schedules import Schedule, read_schedule

_REFERENCE = ("name", "namespace", "uid", "resourceVersion")


def reconcile_cron_job(cron_job: Object, view: View, now: datetime) -> Outcome:
    """The Job that is due, those to clear away, and the status."""
    jobs = view.children(cron_job, "Job")
    status = _observed(cron_job, jobs)
    if cron_job["metadata"].get("deletionTimestamp"):
        return Outcome(set_status(cron_job, status))
    writes, again_at = _start(cron_job, jobs, status, now)
    writes += _clear_away(cron_job["spec"], jobs)
    return Outcome((*writes, *set_status(cron_job, status)), again_at)


def _observed(cron_job: Object, jobs: list[Object]) -> Object:
    """The status as its Jobs have it; when a Job is due, `_start` puts that down too."""
    old = cron_job.get("status") or {}
    known = {reference["uid"]: reference for reference in old.get("active") or ()}
    active = [_reference(job, known) for job in jobs if ended_as(job) is None]
    ends = [job["status"]["completionTime"] for job in jobs if ended_as(job) == "Complete"]
    if "lastSuccessfulTime" in old:
        ends.append(old["lastSuccessfulTime"])
    status: Object = {"active": active} if active else {}
    if "lastScheduleTime" in old:
        status["lastScheduleTime"] = old["lastScheduleTime"]
    return status | ({"lastSuccessfulTime": max(ends)} if ends else {})


def _reference(job: Object, known: dict[str, Object]) -> Object:
    fields = {name: job["metadata"][name] for name in _REFERENCE}
    return known.get(fields["uid"]) or {"apiVersion": "batch/v1", "kind": "Job", **fields}


def _start(
    cron_job: Object, jobs: list[Object], status: Object, now: datetime
) -> tuple[tuple[Write, ...], datetime | None]:
    """The Job that is due by now, if any, and when the next one is; notes the time in `status`."""
    spec = cron_job["spec"]
    try:
        schedule = read_schedule(spec["schedule"], spec.get("timeZone") or "")
    except ValueError:
        return (), None
    if spec.get("suspend"):
        return (), None
    due, again_at = _due(cron_job, status, schedule, now), schedule.next(now)
    running = [job for job in jobs if ended_as(job) is None]
    policy = spec.get("concurrencyPolicy", "Allow")
    if due is None or (policy == "Forbid" and running):
        return (), again_at
    status["lastScheduleTime"] = stamp(due)
    removals = [Remove(key_of(job)) for job in running if policy == "Replace"]
    return (*removals, Create(_job(cron_job, due, schedule))), again_at


def _due(cron_job: Object, status: Object, schedule: Schedule, now: datetime) -> datetime | None:
    """The latest time that no Job was made for and that is not too late."""
    last = status.get("lastScheduleTime") or cron_job["metadata"]["creationTimestamp"]
    since, deadline = read_stamp(last), cron_job["spec"].get("startingDeadlineSeconds")
    if deadline is not None:
        since = max(since, after(now, -float(deadline)))
    return schedule.latest(since, now)


def _job(cron_job: Object, due: datetime, schedule: Schedule) -> Object:
    template = cron_job["spec"]["jobTemplate"]
    metadata = template.get("metadata") or {}
    local = due.astimezone(schedule.zone).isoformat(timespec="seconds").replace("+00:00", "Z")
    scheduled = {"batch.kubernetes.io/cronjob-scheduled-timestamp": local}
    made: Object = {
        "name": f"{cron_job['metadata']['name']}-{int(due.timestamp()) // 60}",
        "namespace": cron_job["metadata"]["namespace"],
        "annotations": {**(metadata.get("annotations") or {}), **scheduled},
        "ownerReferences": [owner_reference(cron_job)],
    }
    if metadata.get("labels"):
        made["labels"] = dict(metadata["labels"])
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": made, "spec": template["spec"]}


def _clear_away(spec: Object, jobs: list[Object]) -> tuple[Write, ...]:
    """The oldest Jobs beyond the limits of each history."""
    limits = {
        "Complete": spec.get("successfulJobsHistoryLimit", 3),
        "Failed": spec.get("failedJobsHistoryLimit", 1),
    }
    surplus: list[Object] = []
    for end, limit in limits.items():
        ended = sorted((job for job in jobs if ended_as(job) == end), key=_started)
        surplus += ended[: max(0, len(ended) - int(limit))]
    return tuple(Remove(key_of(job)) for job in surplus)


def _started(job: Object) -> tuple[str, str]:
    return job["status"].get("startTime", ""), job["metadata"]["name"]
