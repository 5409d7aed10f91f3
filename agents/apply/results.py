"""What each object of a bundle came to in a pass, for somebody who asked for a sync. Pure.

| the object | deed |
|---|---|
| failed | `Failed`, with code, field, the other manager and the cure |
| was written in this sync; before that deleted | `Applied`; `Recreated` |
| was deleted, and is gone or on its way | `Pruned`; `Waiting`, saying for what |
| is no longer wanted and stays | `Kept`, saying why |
| has drifted and is only warned of, contested or paused | `Differs`, with the fields |
| is as wanted | `Unchanged` |
| was not come to: its stage failed or waits | `Waiting` |

The worst come first and the rest is counted, so that an answer stays bounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from agents.apply.ledger import Deeds
from agents.apply.outcome import Failure, Outcome
from agents.apply.state import BundleState, Drift
from agents.protocol import Deed, Health, ObjectResult, SyncState
from clusters.objects import ObjectKey

MOST_OBJECTS = 200
"""Objects of one bundle that an answer lists at most."""
MOST_FIELDS = 10
"""Fields of one object that an answer lists at most."""
_ORDER = list(Deed)


def results_of(
    state: BundleState, outcome: Outcome, deeds: Deeds, healed: Mapping[ObjectKey, Drift]
) -> list[ObjectResult]:
    """Every object of the bundle, the worst first; `healed` is what was set back."""
    failures = {item.key: item for item in outcome.failures}
    notes = outcome.notes or {}
    wanted = state.prepared.objects if state.prepared is not None else {}
    hooks = {item.key for item in state.prepared.hooks} if state.prepared is not None else set()
    keys = {*wanted, *failures, *notes, *deeds.applied, *deeds.deleted}
    keys -= state.pauses.keys() - wanted.keys()  # a namespace is paused, and not the bundle's
    found = []
    for key in keys:
        failure = failures.get(key)
        if failure is not None:
            found.append(_result(key, state, Deed.FAILED, failure.text(), failure.code))
        elif key in hooks:
            found.append(_result(key, state, Deed.APPLIED, "a hook"))
        elif key in wanted:
            result = _wanted(key, state, outcome, deeds, notes.get(key, ""))
            found.append(_with_fields(result, healed.get(key)))
        else:
            found.append(_unwanted(key, state, notes.get(key, ""), deeds))
    return ranked(found)


def ranked(found: Iterable[ObjectResult]) -> list[ObjectResult]:
    """The worst first, equal ones by name."""
    return sorted(found, key=lambda item: (_ORDER.index(item.deed), item.object))


def counts_of(found: Iterable[ObjectResult]) -> dict[str, int]:
    """How many objects by deed."""
    return dict(sorted(Counter(item.deed.value for item in found).items()))


def failed_object(failure: Failure) -> ObjectResult:
    """An object that failed."""
    return ObjectResult(
        object=str(failure.key), deed=Deed.FAILED, code=failure.code, message=failure.text()
    )


def _with_fields(result: ObjectResult, drift: Drift | None) -> ObjectResult:
    if drift is None:
        return result
    return result.model_copy(update={"changes": drift.fields[:MOST_FIELDS]})


def _wanted(
    key: ObjectKey, state: BundleState, outcome: Outcome, deeds: Deeds, note: str
) -> ObjectResult:
    if key in deeds.applied:
        deed = Deed.RECREATED if key in deeds.deleted else Deed.APPLIED
        return _result(key, state, deed)
    drift = state.drift.get(key)
    if drift is not None:
        message = drift.message or "differs, and is only warned of"
        return _with_fields(_result(key, state, Deed.DIFFERS, message, drift.code), drift)
    assert state.prepared is not None, "what is wanted was prepared"
    known = state.known.get(key)
    reached = known is not None and known.wanted == state.prepared.objects[key].digest
    if reached or outcome.sync in (SyncState.SYNCED, SyncState.OUT_OF_SYNC):
        return _result(key, state, Deed.UNCHANGED, note)
    why = "is being made again" if key in deeds.deleted else "its turn has not come"
    return _result(key, state, Deed.WAITING, why)


def _unwanted(key: ObjectKey, state: BundleState, note: str, deeds: Deeds) -> ObjectResult:
    if note and key in state.inventory.objects:
        return _result(key, state, Deed.WAITING, note)
    if note:
        return _result(key, state, Deed.KEPT, note)
    return _result(key, state, Deed.PRUNED if key in deeds.deleted else Deed.APPLIED)


def _result(
    key: ObjectKey, state: BundleState, deed: Deed, message: str = "", code: str = ""
) -> ObjectResult:
    found = state.health.get(key)
    if not message and found is not None and found.health is not Health.HEALTHY:
        message = found.message
    health = found.health if found is not None else Health.UNKNOWN
    return ObjectResult(object=str(key), deed=deed, code=code, message=message, health=health)
