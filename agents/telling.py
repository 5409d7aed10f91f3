"""What is said of a bundle after a pass: to the hub, as Events in its cluster, and in the log."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from agents.announcing import Announcer
from agents.apply import BundleState, Order, Outcome
from agents.protocol import DeploymentReport
from agents.reporting import Reporter, describe

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Telling:
    """Whom to tell."""

    reporter: Reporter
    announcer: Announcer
    most_objects: int
    """Objects of one bundle that a report details."""

    def tell(
        self, order: Order, state: BundleState, outcome: Outcome, now: datetime, *, moving: bool
    ) -> bool:
        """Say how the bundle stands; is there news for the hub?

        `moving`: it was not completely applied before this pass.
        """
        report = describe(order.deployment, order.generation, state, outcome, self.most_objects)
        news = self.reporter.note(report, now)
        failed = [failure.key for failure in outcome.failures]
        self.announcer.note(report, failed, now, moving=moving)
        if news:
            _log.info("bundle", extra=_facts(report))
        return news

    def drop(self, bundle: str) -> None:
        """A bundle that is gone for good is not spoken of again."""
        self.reporter.drop(bundle)
        self.announcer.drop(bundle)


def _facts(report: DeploymentReport) -> dict[str, str | int]:
    return {
        "bundle": report.bundle,
        "digest": report.digest,
        "generation": report.generation,
        "sync": report.sync.value,
        "health": report.health.value,
        "code": report.code,
        "reason": report.message,
    }
