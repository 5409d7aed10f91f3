"""The YAML of `kind: RolloutBudget` as pydantic models; strict. `value()` makes the budget."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from fleet.rollout import shared_budget as shared
from fleet.rollout.fields import Count, Part, Seconds, Share, Text


class FreezeDocument(Part):
    """Nothing starts."""

    active: bool = False
    reason: str = ""
    allow_classes: list[Literal["hotfix"]] = Field(default=[])
    blocks_rollback: bool = False

    @model_validator(mode="after")
    def _says_why(self) -> FreezeDocument:
        if self.active and not self.reason:
            raise ValueError("a freeze that is active says why: reason")
        return self


class PerClusterDocument(Part):
    """Caps on one cluster."""

    max_concurrent_runs: Count | None = None
    quiet_after: Seconds | None = None


class PerDomainDocument(Part):
    """Caps on each value of a cluster label."""

    key: Text
    max_in_flight: Share | None = None
    max_unavailable: Share | None = None

    @model_validator(mode="after")
    def _caps_something(self) -> PerDomainDocument:
        if self.max_in_flight is None and self.max_unavailable is None:
            raise ValueError("a domain needs maxInFlight or maxUnavailable")
        return self


class FleetDocument(Part):
    """Caps on all clusters together."""

    max_in_flight: Share | None = None
    max_starts_per_minute: Count | None = None


class BudgetSpec(Part):
    """The whole spec of a RolloutBudget."""

    freeze: FreezeDocument = FreezeDocument()
    per_cluster: PerClusterDocument = PerClusterDocument()
    per_domain: list[PerDomainDocument] = Field(default=[])
    fleet: FleetDocument = FleetDocument()

    def value(self, name: str, at: str) -> shared.RolloutBudget:
        """The budget."""
        freeze, cluster, fleet = self.freeze, self.per_cluster, self.fleet
        return shared.RolloutBudget(
            name=name,
            freeze=shared.Freeze(
                freeze.active,
                freeze.reason,
                tuple(sorted(set(freeze.allow_classes))),
                freeze.blocks_rollback,
            ),
            per_cluster=shared.PerCluster(cluster.max_concurrent_runs, cluster.quiet_after),
            per_domain=tuple(
                shared.PerDomain(one.key, one.max_in_flight, one.max_unavailable)
                for one in self.per_domain
            ),
            fleet=shared.FleetCaps(fleet.max_in_flight, fleet.max_starts_per_minute),
            at=at,
        )
