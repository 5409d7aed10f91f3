"""Job: run pods until enough have succeeded, or too many have failed.

::

    running ──► SuccessCriteriaMet ──► Complete        enough have succeeded
           ├──► FailureTarget ──► Failed               too many failed, too long, a fatal failure
           └──► Suspended                              its pods go, its clock stands still
    the second condition comes when no pod is left that still runs or goes

A failed pod is followed by another after a pause that doubles. With `restartPolicy: OnFailure` the
container restarts in its pod instead, and its restarts count. A finished Job removes itself after
`ttlSecondsAfterFinished`.

Left out: backoffLimitPerIndex, successPolicy, and podReplacementPolicy Failed (a deleted pod is
replaced at once).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from clusters.objects import Object, key_of, labels_of
from clusters.simulation.controllers.decision import (
    Create,
    Merge,
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
from clusters.simulation.controllers.pods import POD, is_ready, phase_of
from clusters.simulation.controllers.tally import (
    INDEX,
    TRACKING,
    Tally,
    is_indexed,
    missing_indexes,
    tally_of,
    write_indexes,
)
from clusters.simulation.controllers.timing import seconds_for
from clusters.simulation.controllers.workloads import free_names, pod_of

_OURS = (None, "kubernetes.io/job-controller")
_UID_LABEL = "batch.kubernetes.io/controller-uid"
_SUCCESS = ("CompletionsReached", "Reached expected number of succeeded pods")
_Why = tuple[str, str]


def reconcile_job(job: Object, view: View, now: datetime) -> Outcome:
    """Pods to start or end, and the status; or the end of the Job itself."""
    if job["spec"].get("managedBy") not in _OURS:
        return Outcome()
    end = ended_as(job)
    if end is not None:
        return _expire(job, end, now)
    tally = tally_of(job, view.children(job, "Pod"))
    if job["metadata"].get("deletionTimestamp"):
        return Outcome((*set_status(job, _status(job, tally, now)), *_let_go(tally)))
    failure = _failure(job, tally, now)
    if failure:
        return _finish(job, tally, now, ("FailureTarget", "Failed"), failure)
    if _is_enough(job, tally):
        return _finish(job, tally, now, ("SuccessCriteriaMet", "Complete"), _SUCCESS)
    if job["spec"].get("suspend"):
        return _suspend(job, tally, now)
    return _run(job, tally, view, now)


def forget_job(job: Object, view: View) -> Outcome:
    """A Job is gone: nobody counts its pods any more, so nothing holds them."""
    uid = job["metadata"]["uid"]
    pods = view.peek_all(POD, job["metadata"]["namespace"])
    return Outcome(tuple(_untrack(p) for p in pods if labels_of(p).get(_UID_LABEL) == uid))


def ended_as(job: Object) -> str | None:
    """`Complete` or `Failed`; `None` while the Job has not ended."""
    return _is_true(job, ("Complete", "Failed"))


def _is_true(job: Object, types: tuple[str, ...]) -> str | None:
    """The first of these conditions that is True."""
    found = (condition_of(job.get("status") or {}, type_) for type_ in types)
    return next((c["type"] for c in found if c and c["status"] == "True"), None)


def _expire(job: Object, end: str, now: datetime) -> Outcome:
    seconds = job["spec"].get("ttlSecondsAfterFinished")
    ended = condition_of(job["status"], end)
    if seconds is None or ended is None:
        return Outcome()
    due = after(read_stamp(ended["lastTransitionTime"]), float(seconds))
    return Outcome((), due) if now < due else Outcome((Remove(key_of(job)),))


def _failure(job: Object, tally: Tally, now: datetime) -> _Why | None:
    """Reason and message, if the Job is to fail; nothing takes either end back."""
    before = condition_of(job.get("status") or {}, "FailureTarget")
    if before:
        return before["reason"], before["message"]
    if _is_true(job, ("SuccessCriteriaMet",)):
        return None
    if tally.fatal:
        return "PodFailurePolicy", tally.fatal
    limit = int(job["spec"].get("backoffLimit", 6))
    if tally.failed > limit or _restarts(job, tally) >= max(1, limit):
        return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    due = _deadline(job)
    if due is not None and now >= due:
        return "DeadlineExceeded", "Job was active longer than specified deadline"
    return None


def _restarts(job: Object, tally: Tally) -> int:
    """How often containers were started again in pods that may."""
    if (job["spec"]["template"].get("spec") or {}).get("restartPolicy") != "OnFailure":
        return 0
    statuses = (pod.get("status") or {} for pod in tally.active)
    containers = (c for status in statuses for c in status.get("containerStatuses") or ())
    return sum(int(container.get("restartCount", 0)) for container in containers)


def _deadline(job: Object) -> datetime | None:
    seconds, started = job["spec"].get("activeDeadlineSeconds"), _started(job)
    if seconds is None or started is None or job["spec"].get("suspend"):
        return None
    return after(read_stamp(started), float(seconds))


def _started(job: Object) -> str | None:
    """When the Job began, or went on after it was suspended."""
    started: str | None = (job.get("status") or {}).get("startTime")
    return started


def _is_enough(job: Object, tally: Tally) -> bool:
    if _is_true(job, ("SuccessCriteriaMet",)):
        return True
    completions = job["spec"].get("completions")
    if completions is None:  # a queue of work: one success says that it is empty
        return tally.succeeded > 0 and not tally.active
    return tally.succeeded >= int(completions)


def _finish(job: Object, tally: Tally, now: datetime, types: tuple[str, str], why: _Why) -> Outcome:
    """The interim condition at once, the final one when no pod is left that runs or goes."""
    over = not tally.active and not tally.leaving
    status = _status(job, tally, now) | {"active": 0}
    status |= {"ready": 0, "terminating": tally.leaving + len(tally.active)}
    status["conditions"] = _with(job, now, *((t, "True", *why) for t in types[: 1 + over]))
    if over and types[1] == "Complete":
        status["completionTime"] = stamp(now)
    removals = (Remove(key_of(pod)) for pod in tally.active)
    return Outcome((*set_status(job, _tidy(status)), *removals, *_let_go(tally)))


def _suspend(job: Object, tally: Tally, now: datetime) -> Outcome:
    status = _status(job, tally, now) | {"active": 0, "ready": 0}
    status["terminating"] = tally.leaving + len(tally.active)
    status.pop("startTime", None)
    suspended = ("Suspended", "True", "JobSuspended", "Job suspended")
    status["conditions"] = _with(job, now, suspended)
    removals = (Remove(key_of(pod)) for pod in tally.active)
    return Outcome((*set_status(job, _tidy(status)), *removals, *_let_go(tally)))


def _run(job: Object, tally: Tally, view: View, now: datetime) -> Outcome:
    wanted = _wanted(job, tally)
    surplus = max(0, len(tally.active) - wanted)
    ranked = sorted(tally.active, key=lambda pod: (is_ready(pod), key_of(pod)))
    removals = [Remove(key_of(pod)) for pod in ranked[:surplus]]
    room, retry = wanted - len(tally.active), _next_try(job, view, now)
    starts: list[Write] = []
    if room > 0 and retry <= now:
        starts += (Create(pod) for pod in islice(_new_pods(job, tally, view), room))
    status = _status(job, tally, now)
    status["active"] = len(tally.active) + len(starts) - surplus
    if condition_of(job.get("status") or {}, "Suspended"):
        status["conditions"] = _with(job, now, ("Suspended", "False", "JobResumed", "Job resumed"))
    status.setdefault("startTime", stamp(now))
    writes = (*set_status(job, _tidy(status)), *removals, *starts, *_let_go(tally))
    due = _deadline({**job, "status": status})
    return Outcome(writes, earliest(due, retry if room > 0 and retry > now else None))


def _wanted(job: Object, tally: Tally) -> int:
    """How many pods are to be active."""
    parallelism, completions = (
        int(job["spec"].get("parallelism", 1)),
        job["spec"].get("completions"),
    )
    if completions is None:
        return len(tally.active) if tally.succeeded else parallelism
    return max(0, min(parallelism, int(completions) - tally.succeeded))


def _new_pods(job: Object, tally: Tally, view: View) -> Iterator[Object]:
    name = job["metadata"]["name"]
    if not is_indexed(job):
        for free in free_names(job, view):
            yield _tracked(pod_of(job, free, view, {}))
        return
    for index in missing_indexes(job, tally):
        free = next(free_names(job, view, f"{name}-{index}"))
        pod = _tracked(pod_of(job, free, view, {INDEX: str(index)}))
        pod["metadata"]["annotations"] = {
            **pod["metadata"].get("annotations", {}),
            INDEX: str(index),
        }
        containers = [_told(container) for container in pod["spec"].get("containers") or ()]
        pod["spec"] |= {"hostname": f"{name}-{index}", "containers": containers}
        yield pod


def _tracked(pod: Object) -> Object:
    pod["metadata"]["finalizers"] = [TRACKING]
    return pod


def _told(container: Any) -> Any:
    """The container with its index in its environment."""
    source = {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}}
    entry = {"name": "JOB_COMPLETION_INDEX", "valueFrom": source}
    return {**container, "env": [*(container.get("env") or ()), entry]}


def _let_go(tally: Tally) -> tuple[Write, ...]:
    return tuple(map(_untrack, tally.counted))


def _untrack(pod: Object) -> Merge:
    kept = [name for name in pod["metadata"].get("finalizers") or () if name != TRACKING]
    return Merge(key_of(pod), {"metadata": {"finalizers": kept or None}})


def _next_try(job: Object, view: View, now: datetime) -> datetime:
    """From when on a pod may follow the failed ones; now if none has failed."""
    failed = [pod for pod in view.children(job, "Pod") if phase_of(pod) == "Failed"]
    if not failed:
        return now
    pause = seconds_for(view.seed, job["metadata"]["name"], view.timing.job_retry)
    latest = max(view.since(pod) for pod in failed)
    return after(latest, view.timing.job_run[1] + pause * 2 ** (len(failed) - 1))


def _status(job: Object, tally: Tally, now: datetime) -> Object:
    old = job.get("status") or {}
    status: Object = {
        "ready": sum(map(is_ready, tally.active)),
        "terminating": tally.leaving,
        "uncountedTerminatedPods": {},
        "active": len(tally.active),
        "succeeded": tally.succeeded,
        "failed": tally.failed,
    }
    if "startTime" in old:
        status["startTime"] = old["startTime"]
    if tally.indexes:
        status["completedIndexes"] = write_indexes(tally.indexes)
    if old.get("conditions"):
        status["conditions"] = old["conditions"]
    return _tidy(status)


def _tidy(status: Object) -> Object:
    """The status without the counts that Kubernetes leaves out when they are 0."""
    left_out = ("active", "succeeded", "failed")
    return {name: v for name, v in status.items() if v or name not in left_out}


def _with(job: Object, now: datetime, *wanted: tuple[str, str, str, str]) -> list[Object]:
    """The Job's conditions with these (type, status, reason, message) among them."""
    old = job.get("status") or {}
    found = {c["type"]: c for c in old.get("conditions") or ()}
    for type_, status, reason, message in wanted:
        if type_ not in found or found[type_]["status"] != status:
            entry = condition(old, type_, status, now, reason, message)
            found[type_] = entry | {"lastProbeTime": stamp(now)}
    return list(found.values())
