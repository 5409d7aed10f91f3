"""What a Job's pods add up to: who is active, who is going, and each end counted once.

A pod carries the finalizer `TRACKING` until its end is in the Job's status, so a pod that somebody
deletes is neither lost nor counted twice. One that is deleted before it ended counts as failed. A
Job with completion mode Indexed counts indexes instead of successes.

A failure may be ignored, or fail the whole Job at once, as `podFailurePolicy` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice

from clusters.objects import Object
from clusters.simulation.controllers.pods import is_terminating, phase_of

TRACKING = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"


@dataclass(frozen=True, slots=True)
class Tally:
    """The pods of a Job, and their ends as far as they are known."""

    active: tuple[Object, ...]
    leaving: int
    """Pods that are deleted and have not ended."""
    succeeded: int
    failed: int
    counted: tuple[Object, ...]
    """Pods whose end is in these numbers and that still carry the finalizer."""
    indexes: tuple[int, ...]
    """The indexes that have succeeded, in order; none unless the Job is Indexed."""
    fatal: str = ""
    """Why a failure ends the whole Job."""


def is_indexed(job: Object) -> bool:
    """Whether each completion of a Job has a number."""
    return bool(job["spec"].get("completionMode") == "Indexed")


def tally_of(job: Object, pods: list[Object]) -> Tally:
    """The pods as they are, on top of what the Job's status counts already."""
    old = job.get("status") or {}
    ended = [pod for pod in pods if _has_ended(pod)]
    fresh = [pod for pod in ended if TRACKING in (pod["metadata"].get("finalizers") or ())]
    won = [pod for pod in fresh if phase_of(pod) == "Succeeded"]
    lost = [pod for pod in fresh if phase_of(pod) != "Succeeded"]
    judged = [(pod, *_judge(job, pod)) for pod in lost]
    indexes: tuple[int, ...] = ()
    succeeded = int(old.get("succeeded", 0)) + len(won)
    if is_indexed(job):
        within = range(int(job["spec"]["completions"]))
        known = {*read_indexes(old.get("completedIndexes", "")), *map(index_of, won)}
        indexes = tuple(sorted(index for index in known if index in within))
        succeeded = len(indexes)
    return Tally(
        active=tuple(pod for pod in pods if not _has_ended(pod)),
        leaving=sum(is_terminating(pod) and not _is_over(pod) for pod in pods),
        succeeded=succeeded,
        failed=int(old.get("failed", 0)) + sum(counts for _, counts, _ in judged),
        counted=tuple(fresh),
        indexes=indexes,
        fatal=next((message for _, _, message in judged if message), ""),
    )


def missing_indexes(job: Object, tally: Tally) -> Iterator[int]:
    """The indexes that have not succeeded and that no active pod works on, the lowest first."""
    taken = {*tally.indexes, *map(index_of, tally.active)}
    return (n for n in range(int(job["spec"]["completions"])) if n not in taken)


def index_of(pod: Object) -> int:
    """The completion index of a pod, -1 if it has none."""
    text = (pod["metadata"].get("annotations") or {}).get(INDEX, "")
    return int(text) if text.isdecimal() else -1


def read_indexes(text: str) -> Iterator[int]:
    """The numbers of `0-2,5`."""
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def write_indexes(indexes: Iterable[int]) -> str:
    """Numbers in order as `0-2,5`."""
    runs: list[list[int]] = []
    for index in indexes:
        if runs and runs[-1][1] == index - 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(_write_run(*run) for run in runs)


def _write_run(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first}-{last}" if last > first + 1 else f"{first},{last}"


def _is_over(pod: Object) -> bool:
    return phase_of(pod) in ("Succeeded", "Failed")


def _has_ended(pod: Object) -> bool:
    return _is_over(pod) or is_terminating(pod)


def _judge(job: Object, pod: Object) -> tuple[bool, str]:
    """Whether a failure counts, and the message if it is fatal."""
    rules = (job["spec"].get("podFailurePolicy") or {}).get("rules") or ()
    for rule, number in zip(rules, count(), strict=False):
        what = next(islice(_found(rule, pod), 1), "")
        if what and rule["action"] == "FailJob":
            return True, f"{what} matching FailJob rule at index {number}"
        if what:
            return rule["action"] != "Ignore", ""
    return True, ""


def _found(rule: Object, pod: Object) -> Iterator[str]:
    """What a rule of the policy finds in a pod, in words."""
    status, metadata = pod.get("status") or {}, pod["metadata"]
    name = f"{metadata['namespace']}/{metadata['name']}"
    codes = rule.get("onExitCodes") or {}
    for container in status.get("containerStatuses") or () if codes else ():
        code = ((container.get("state") or {}).get("terminated") or {}).get("exitCode", 0)
        named = codes.get("containerName") in (None, container["name"])
        if code and named and (code in codes["values"]) == (codes["operator"] == "In"):
            yield f"Container {container['name']} for pod {name} failed with exit code {code}"
    for pattern in rule.get("onPodConditions") or ():
        for condition in status.get("conditions") or ():
            if (condition["type"], condition["status"]) == (pattern["type"], pattern["status"]):
                yield f"Pod {name} has condition {condition['type']}"
