"""The table of admission plugins, in Kubernetes' order, and the only way into admission.

A row is asked for writes of its `kinds` (or of any), and only while the cluster holds an object
of the kind `needs`: a cluster without quotas and webhooks skips them by a look-up.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

from clusters.objects import Kind, Object, ObjectKey
from clusters.simulation.server.admission.accounts import assign_account
from clusters.simulation.server.admission.attributes import Attributes, Operation
from clusters.simulation.server.admission.ledgers import QUOTA
from clusters.simulation.server.admission.limits import LIMIT_RANGE, check_limits, default_limits
from clusters.simulation.server.admission.priorities import (
    PRIORITY_CLASS,
    assign_priority,
    check_priority_class,
)
from clusters.simulation.server.admission.protection import FINALIZERS, protect
from clusters.simulation.server.admission.quotas import check_quotas
from clusters.simulation.server.admission.usage import CLAIM, POD
from clusters.simulation.server.admission.webhooks import (
    MUTATING,
    VALIDATING,
    ask_mutating,
    ask_validating,
)
from clusters.simulation.server.state import State

Answer = TypeVar("Answer")


class Plugin(NamedTuple, Generic[Answer]):
    """One row: what is asked, about which kinds, and what there must be in the cluster."""

    ask: Callable[[State, Attributes], Answer]
    kinds: tuple[Kind, ...] = ()
    needs: Kind | None = None

    def is_active(self, state: State) -> bool:
        """Whether the cluster holds what the plugin works with."""
        return self.needs is None or state.store.count(self.needs) > 0


_MUTATING: tuple[Plugin[Object | None], ...] = (
    Plugin(default_limits, (POD,), LIMIT_RANGE),
    Plugin(assign_account, (POD,)),
    Plugin(assign_priority, (POD,)),
    Plugin(protect, tuple(FINALIZERS)),
    Plugin(ask_mutating, (), MUTATING),
)
_REVIEWING: tuple[Plugin[None], ...] = (
    Plugin(check_limits, (POD, CLAIM), LIMIT_RANGE),
    Plugin(check_priority_class, (PRIORITY_CLASS,)),
    Plugin(ask_validating, (), VALIDATING),
    Plugin(check_quotas, (), QUOTA),
)
_DELETING: tuple[Plugin[Any], ...] = (
    Plugin(ask_mutating, (), MUTATING),
    Plugin(ask_validating, (), VALIDATING),
)


class _Rows(NamedTuple):
    """The rows of the table that writes of one kind have to pass."""

    mutating: tuple[Plugin[Object | None], ...]
    reviewing: tuple[Plugin[None], ...]
    needs: tuple[Kind | None, ...]
    """What wakes them; `None` if one of them is always awake."""


@lru_cache(maxsize=1024)
def _rows(kind: Kind) -> _Rows:
    mutating = tuple(row for row in _MUTATING if not row.kinds or kind in row.kinds)
    reviewing = tuple(row for row in _REVIEWING if not row.kinds or kind in row.kinds)
    both: tuple[Plugin[Any], ...] = (*mutating, *reviewing)
    return _Rows(mutating, reviewing, tuple({row.needs for row in both}))


def is_idle(state: State, kind: Kind) -> bool:
    """Whether admission would let every write of a kind pass unchanged."""
    return not any(need is None or state.store.count(need) for need in _rows(kind).needs)


def has_webhooks(state: State) -> bool:
    """Whether a write may be asked about even if it changes nothing."""
    return state.store.count(MUTATING) + state.store.count(VALIDATING) > 0


def mutate(state: State, attributes: Attributes) -> Object | None:
    """The object as the plugins complete it; the one that was given if none does.

    Errors: `AdmissionError`.
    """
    for plugin in _rows(attributes.traits.kind).mutating:
        if plugin.is_active(state):
            attributes = attributes.with_object(plugin.ask(state, attributes))
    return attributes.object


def review(state: State, attributes: Attributes) -> None:
    """Let a valid write pass. Errors: `AdmissionError`, `QuotaError`."""
    for plugin in _rows(attributes.traits.kind).reviewing:
        if plugin.is_active(state):
            plugin.ask(state, attributes)


def review_deletion(state: State, key: ObjectKey, live: Object, *, dry_run: bool) -> None:
    """Let a delete pass. Errors: `WebhookError`."""
    if not has_webhooks(state):
        return
    traits = state.catalog.find(key.kind_key)
    attributes = Attributes(
        Operation.DELETE, traits, traits.resource.version, key, None, live, dry_run=dry_run
    )
    for plugin in _DELETING:
        if plugin.is_active(state):
            plugin.ask(state, attributes)
