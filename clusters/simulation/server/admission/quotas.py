"""ResourceQuota: whether a write fits into every quota of its namespace that it concerns.

What is asked for is the new object's usage, or what it grew by when it is an update. As in
Kubernetes most kinds are counted when they are made; Services and claims also when they change,
pods when they move between the scopes Terminating and NotTerminating.

A quota on cpu or memory refuses a pod of which a container does not say how much it takes.

Never charges: `ledgers` sees what was really written, so a dry run or a write that fails later
costs nothing.
"""

from __future__ import annotations

from clusters.errors import QuotaError
from clusters.objects import Object
from clusters.simulation.server.admission.attributes import (
    Attributes,
    Operation,
    forbidden_text,
)
from clusters.simulation.server.admission.ledgers import QUOTA
from clusters.simulation.server.admission.usage import (
    CLAIM,
    POD,
    SERVICE,
    Usage,
    in_scope,
    is_terminating,
    lacking,
    usage_of,
)
from clusters.simulation.server.quantities import Quantity, read_quantity
from clusters.simulation.server.state import State


def check_quotas(state: State, attributes: Attributes) -> None:
    """Let the write pass if it fits. Errors: `QuotaError`."""
    obj = attributes.object
    if obj is None or not _is_counted(attributes, obj):
        return
    quotas = state.store.all(QUOTA, attributes.key.namespace)
    usage = usage_of(attributes.traits, obj)
    for quota in sorted(quotas, key=lambda item: str(item["metadata"]["name"])):
        _check(attributes, obj, quota, usage)


def _is_counted(attributes: Attributes, obj: Object) -> bool:
    if attributes.subresource:
        return False
    if attributes.operation is Operation.CREATE:
        return True
    kind, old = attributes.key.kind_key, attributes.old
    if kind == POD and old is not None:
        return is_terminating(old) != is_terminating(obj)
    return kind in (SERVICE, CLAIM)


def _check(attributes: Attributes, obj: Object, quota: Object, usage: Usage) -> None:
    status, kind = quota.get("status") or {}, attributes.key.kind_key
    hard: Object = status.get("hard") or {}
    if not in_scope(quota, kind, obj):
        return
    name = quota["metadata"]["name"]
    missing = lacking(hard, obj) if kind == POD else ""
    if missing:
        raise _refused(attributes, f"failed quota: {name}: must specify {missing}")
    used: Object = status.get("used") or {}
    wanted = {n: q for n, q in _growth(attributes, quota, usage).items() if n in hard and q.value}
    over = sorted(n for n, q in wanted.items() if _above(used, n, q, hard))
    if over:
        asked = ",".join(f"{n}={wanted[n]}" for n in over)
        taken = ",".join(f"{n}={_amount(used, n)}" for n in over)
        limit = ",".join(f"{n}={_amount(hard, n)}" for n in over)
        words = f"exceeded quota: {name}, requested: {asked}, used: {taken}, limited: {limit}"
        raise _refused(attributes, words)


def _growth(attributes: Attributes, quota: Object, usage: Usage) -> Usage:
    """What the write adds to what the quota counts already."""
    old = attributes.old
    if old is None or not in_scope(quota, attributes.key.kind_key, old):
        return usage
    before = usage_of(attributes.traits, old)
    grown = {name: amount.minus(before.get(name, Quantity())) for name, amount in usage.items()}
    return {name: amount for name, amount in grown.items() if amount.value > 0}


def _amount(amounts: Object, name: str) -> Quantity:
    return read_quantity(str(amounts.get(name, "0")))


def _above(used: Object, name: str, more: Quantity, hard: Object) -> bool:
    return _amount(used, name).value + more.value > _amount(hard, name).value


def _refused(attributes: Attributes, words: str) -> QuotaError:
    return QuotaError(forbidden_text(attributes, words))
