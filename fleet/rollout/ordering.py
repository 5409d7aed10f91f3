"""Who of a stage goes first: total and deterministic, a key and then the name. Pure.

::

    Name    by name
    Label   by the label's value, as text or as whole numbers; without it (or no number): last
    Hash    by a digest of run and cluster: other victims in every run, the same when asked again
    Score   by an expression over what the clusters declare, least first; not worked out: last
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any

from clusters.objects import digest_of
from fleet.model import Cluster
from fleet.rollout.score import Score, number_of, read_score
from fleet.rollout.stages import Order, OrderBy, OrderType


def ordered(
    order: Order, names: Iterable[str], clusters: Mapping[str, Cluster], uid: str
) -> tuple[str, ...]:
    """The clusters in the order in which they start; `uid` is the run's."""
    key = _key(order, clusters, uid)
    return tuple(sorted(names, key=lambda name: (key(name), name)))


def _key(order: Order, clusters: Mapping[str, Cluster], uid: str) -> Callable[[str], Any]:
    match order.by:
        case OrderBy.NAME:
            return lambda name: ()
        case OrderBy.HASH:
            return lambda name: digest_of([uid, name])
        case OrderBy.SCORE:
            score = read_score(order.expression)
            return lambda name: _last_if_none(_scored(score, clusters.get(name)))
        case OrderBy.LABEL:
            return lambda name: _last_if_none(_label(order, clusters.get(name)))


def _scored(score: Score, cluster: Cluster | None) -> Fraction | None:
    return score({"labels": cluster.labels, "values": cluster.values}) if cluster else None


def _label(order: Order, cluster: Cluster | None) -> Fraction | str | None:
    value = cluster.labels.get(order.key) if cluster else None
    return number_of(value) if order.type is OrderType.INT else value


def _last_if_none(value: Any) -> tuple[bool, Any]:
    return (value is None, 0 if value is None else value)
