"""From rows to the documents that CLI, API and pages show. Pure: no clock, no store.

    sync        which sync state and health a row amounts to: one table
    fleets      the whole fleet, clusters, groups
    bundles     bundles and bundle deployments
    runs        rollout runs with their stages
    progress    how far a run is: gates, prices, waits, ends
    syncs       what agents were asked to reconcile, and what became of it
    explain     why a cluster runs what it runs of one bundle

An offline cluster's states are shown as of its last report and counted as `offline`, never among
the current ones. No document holds a token, a variable's value or an object's content.
"""

from __future__ import annotations

from fleet.status.bundles import bundle_document, deployment_document
from fleet.status.explain import explain
from fleet.status.fleets import (
    cluster_document,
    connection,
    fleet_document,
    group_document,
    problem_document,
)
from fleet.status.progress import gate_document, progress_document, reason_document
from fleet.status.runs import event_document, run_details, run_document
from fleet.status.sync import Tally, health_of, sync_of, tally
from fleet.status.syncs import sync_document

__all__ = [
    "Tally",
    "bundle_document",
    "cluster_document",
    "connection",
    "deployment_document",
    "event_document",
    "explain",
    "fleet_document",
    "gate_document",
    "group_document",
    "health_of",
    "problem_document",
    "progress_document",
    "reason_document",
    "run_details",
    "run_document",
    "sync_document",
    "sync_of",
    "tally",
]
