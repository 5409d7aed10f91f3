"""In which order objects are written: stages that wait for each other, and ranks within a stage.

| stage | what | before the next one |
|---|---|---|
| NAMESPACES | Namespace | |
| CRDS | CustomResourceDefinition | established, discovery refreshed |
| CLUSTER | cluster-scoped kinds, classes | |
| REST | namespaced kinds, by Helm's install order | |
| EXTENSIONS | webhooks and API services: their backends come first | |
| CUSTOM | custom resources, first those of kinds that are called classes | |

Objects of one rank are written in parallel. Sync waves, by annotation, come before all that: a wave
has all its stages, and the next one begins when it is healthy. Pruning goes the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum

from agents.diff import is_built_in
from agents.protocol import sync_wave
from clusters.objects import Object, ObjectKey


class Stage(IntEnum):
    """All of a stage passes a dry-run before any of it is written."""

    NAMESPACES = 0
    CRDS = 1
    CLUSTER = 2
    REST = 3
    EXTENSIONS = 4
    CUSTOM = 5


_RANKS = {
    kind: rank
    for rank, kinds in enumerate(
        (
            "PriorityClass NetworkPolicy ResourceQuota LimitRange PodDisruptionBudget",
            "ServiceAccount",
            "Secret ConfigMap StorageClass PersistentVolume",
            "PersistentVolumeClaim ClusterRole Role",
            "ClusterRoleBinding RoleBinding",
            "Service",
            "DaemonSet Pod ReplicationController ReplicaSet Deployment StatefulSet",
            "HorizontalPodAutoscaler",
            "Job CronJob",
            "IngressClass",
            "Ingress",
        )
    )
    for kind in kinds.split()
}
_LAST = len(set(_RANKS.values()))
_EXTENSIONS = frozenset(
    {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "APIService"}
)


def stage_of(key: ObjectKey) -> Stage:
    """The stage of an object whose namespace is settled (empty means cluster-scoped)."""
    if not is_built_in(key.group):
        return Stage.CUSTOM
    if key.kind == "Namespace" and not key.group:
        return Stage.NAMESPACES
    if key.kind == "CustomResourceDefinition":
        return Stage.CRDS
    if key.kind in _EXTENSIONS:
        return Stage.EXTENSIONS
    return Stage.REST if key.namespace else Stage.CLUSTER


def rank_of(key: ObjectKey) -> tuple[int, int]:
    """Stage and place within it; equal ranks need no order among them."""
    stage = stage_of(key)
    if stage is Stage.CUSTOM:
        return (stage, 0 if key.kind.endswith("Class") else 1)
    return (stage, _RANKS.get(key.kind, _LAST))


def wave_of(obj: Object) -> int:
    """The sync wave of an object; 0 for what the renderer would have refused."""
    try:
        return sync_wave(obj)
    except ValueError:
        return 0


def waves(
    keys: Iterable[ObjectKey],
    *,
    backwards: bool = False,
    in_wave: Callable[[ObjectKey], int] = lambda key: 0,
) -> list[list[ObjectKey]]:
    """The keys in groups of equal sync wave and rank, in this order; each group sorted."""
    groups: dict[tuple[int, tuple[int, int]], list[ObjectKey]] = {}
    for key in keys:
        groups.setdefault((in_wave(key), rank_of(key)), []).append(key)
    return [sorted(groups[rank]) for rank in sorted(groups, reverse=backwards)]
