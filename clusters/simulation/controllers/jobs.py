"""Job: run pods until enough have succeeded, or too many have failed.

A failed pod is followed by another after a pause that doubles; with more than `backoffLimit`
failures, or after `activeDeadlineSeconds`, the Job is Failed and its running pods go. A finished
Job removes itself after `ttlSecondsAfterFinished`. A suspended one has no running pods.
"""

from __future__ import annotations

from datetime import datetime
from itertools import islice

from clusters.objects import Object, key_of
from clusters.simulation.controllers.decision import (
    NOTHING,
    Create,
    Outcome,
    Remove,
    View,
    Write,
    after,
    condition,
    condition_of,
    earliest,
    read_stamp,
    set_status,
    stamp,
)
from clusters.simulation.controllers.pods import is_ready, phase_of
from clusters.simulation.controllers.timing import seconds_for
from clusters.simulation.controllers.workloads import free_names, pod_of


def reconcile_job(job: Object, view: View, now: datetime) -> Outcome:
    """Pods to start or end, and the status; or the end of the Job itself."""
    if job["metadata"].get("deletionTimestamp"):
        return NOTHING
    ended = _ended_at(job)
    if ended is not None:
        return _expire(job, ended, now)
    pods = view.children(job, "Pod")
    failure = _failure(job, pods, view, now)
    if failure:
        return _finish(job, pods, _failed(job, pods, now, *failure), _expiry(job, now))
    if _phases(pods, "Succeeded") >= _completions(job):
        return _finish(job, pods, _complete(job, pods, now), _expiry(job, now))
    return _run(job, pods, view, now)


def ended_as(job: Object) -> str | None:
    """`Complete` or `Failed`; `None` while the Job has not ended."""
    status = job.get("status") or {}
    found = (condition_of(status, type_) for type_ in ("Complete", "Failed"))
    return next((c["type"] for c in found if c and c["status"] == "True"), None)


def _completions(job: Object) -> int:
    completions = job["spec"].get("completions")
    return int(job["spec"].get("parallelism", 1) if completions is None else completions)


def _phases(pods: list[Object], phase: str) -> int:
    return sum(phase_of(pod) == phase for pod in pods)


def _active(pods: list[Object]) -> list[Object]:
    return [pod for pod in pods if phase_of(pod) not in ("Succeeded", "Failed")]


def _ended_at(job: Object) -> datetime | None:
    end = ended_as(job)
    found = condition_of(job["status"], end) if end else None
    return read_stamp(found["lastTransitionTime"]) if found else None


def _expiry(job: Object, ended: datetime) -> datetime | None:
    seconds = job["spec"].get("ttlSecondsAfterFinished")
    return None if seconds is None else after(ended, float(seconds))


def _expire(job: Object, ended: datetime, now: datetime) -> Outcome:
    due = _expiry(job, ended)
    if due is None or now < due:
        return Outcome((), due)
    return Outcome((Remove(key_of(job)),))


def _deadline(job: Object, view: View) -> datetime | None:
    seconds = job["spec"].get("activeDeadlineSeconds")
    return None if seconds is None else after(view.since(job), float(seconds))


def _failure(job: Object, pods: list[Object], view: View, now: datetime) -> tuple[str, str] | None:
    """Reason and message, if the Job has failed by now."""
    limit = job["spec"].get("backoffLimit")
    if _phases(pods, "Failed") > (6 if limit is None else int(limit)):
        return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    deadline = _deadline(job, view)
    if deadline is not None and now >= deadline and not job["spec"].get("suspend"):
        return "DeadlineExceeded", "Job was active longer than specified deadline"
    return None


def _finish(
    job: Object, pods: list[Object], status: Object, again_at: datetime | None = None
) -> Outcome:
    removals = tuple(Remove(key_of(pod)) for pod in _active(pods))
    return Outcome((*removals, *set_status(job, status)), again_at)


def _run(job: Object, pods: list[Object], view: View, now: datetime) -> Outcome:
    status = _status(job, pods, now)
    if job["spec"].get("suspend"):
        suspended = [condition(job.get("status") or {}, "Suspended", "True", now)]
        return _finish(job, pods, _ended(job, pods, now) | {"conditions": suspended})
    missing = _completions(job) - _phases(pods, "Succeeded")
    room = min(int(job["spec"].get("parallelism", 1)), missing) - len(_active(pods))
    retry = _next_try(job, pods, view)
    starts: tuple[Write, ...] = ()
    if room > 0 and retry <= now:
        starts = tuple(_start(job, name, view) for name in islice(free_names(job, view), room))
    waits_for = retry if room > 0 and retry > now else None
    again_at = earliest(_deadline(job, view), waits_for)
    return Outcome((*starts, *set_status(job, status)), again_at)


def _start(job: Object, name: str, view: View) -> Create:
    labels = {
        "batch.kubernetes.io/controller-uid": job["metadata"]["uid"],
        "batch.kubernetes.io/job-name": job["metadata"]["name"],
        "controller-uid": job["metadata"]["uid"],
        "job-name": job["metadata"]["name"],
    }
    return Create(pod_of(job, name, view, labels))


def _next_try(job: Object, pods: list[Object], view: View) -> datetime:
    """From when on a pod may follow the failed ones; the Job's own beginning if none has."""
    failed = [pod for pod in pods if phase_of(pod) == "Failed"]
    if not failed:
        return view.since(job)
    pause = seconds_for(view.seed, job["metadata"]["name"], view.timing.job_retry)
    latest = max(view.since(pod) for pod in failed)
    run = view.timing.job_run[1]
    return after(latest, run + pause * 2 ** (len(failed) - 1))


def _status(job: Object, pods: list[Object], now: datetime) -> Object:
    old = job.get("status") or {}
    active = _active(pods)
    counts = {
        "active": len(active),
        "succeeded": _phases(pods, "Succeeded"),
        "failed": _phases(pods, "Failed"),
    }
    return {
        "startTime": old.get("startTime") or stamp(now),
        "ready": sum(map(is_ready, active)),
        "terminating": 0,
        "uncountedTerminatedPods": {},
        **{name: count for name, count in counts.items() if count},
    }


def _ended(job: Object, pods: list[Object], now: datetime) -> Object:
    status = _status(job, [pod for pod in pods if pod not in _active(pods)], now)
    return status | {"ready": 0}


def _complete(job: Object, pods: list[Object], now: datetime) -> Object:
    old = job.get("status") or {}
    text = "Reached expected number of succeeded pods"
    return _ended(job, pods, now) | {
        "completionTime": stamp(now),
        "conditions": [
            condition(old, type_, "True", now, "CompletionsReached", text)
            for type_ in ("SuccessCriteriaMet", "Complete")
        ],
    }


def _failed(job: Object, pods: list[Object], now: datetime, reason: str, text: str) -> Object:
    old = job.get("status") or {}
    return _ended(job, pods, now) | {
        "conditions": [
            condition(old, type_, "True", now, reason, text)
            for type_ in ("FailureTarget", "Failed")
        ],
    }
