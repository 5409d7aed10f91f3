"""Jobs that remove themselves: one that has completed stays done, though it is gone. Pure.

A Job with `ttlSecondsAfterFinished` vanishes some time after its end. Missing, it would be made and
run again, at every check for ever. So it is kept for `SEEN_WITHIN_SECONDS` at least, which an agent
that was away for a moment does not miss; once it was seen to complete, the inventory remembers that
for what was wanted, and its absence is as it should be. Another wanted Job is another matter; one
that failed, or of which nobody saw the end, is made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from agents.apply.wanted import Wanted
from agents.health import Assessment, assess
from agents.inventory import Inventory
from agents.protocol import Health
from clusters.objects import Kind, Object, ObjectKey, spec_of

JOB = Kind("batch", "Job")
COMPLETED = Assessment(Health.HEALTHY, "completed, and removed itself")


def is_finished(inventory: Inventory, wanted: Wanted) -> bool:
    """Was the Job seen to complete, as it is wanted now?"""
    return (str(wanted.key), wanted.digest) in inventory.finished


def with_finished(
    inventory: Inventory,
    wanted: Mapping[ObjectKey, Wanted],
    live: Mapping[ObjectKey, Object | None],
) -> Inventory:
    """The inventory with the Jobs that are seen to have completed, without those not wanted now."""
    known = {str(key): item.digest for key, item in wanted.items()}
    kept = {pair for pair in inventory.finished if known.get(pair[0]) == pair[1]}
    done = {
        (str(key), wanted[key].digest)
        for key, found in live.items()
        if found is not None and key in wanted and _has_finished(found)
    }
    return replace(inventory, finished=tuple(sorted(kept | done)))


def _has_finished(live: Object) -> bool:
    removes_itself = live["kind"] == JOB.kind and "ttlSecondsAfterFinished" in spec_of(live)
    return removes_itself and assess(live).health is Health.HEALTHY
