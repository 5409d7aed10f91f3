"""What people are told: rows of the store in, documents out. Pure; the API and the CLI print them.

    states      the one table that says which sync state and health a bundle deployment shows
    summaries   rows for clusters, groups, bundles, bundle deployments, runs, and the overview
    explain     why a cluster runs what it runs of one bundle

A cluster that is offline shows its states as of its last report, marked so, and is counted as
Unknown: nobody knows what it runs now.
"""

from __future__ import annotations

from fleet.status.explain import explanation
from fleet.status.states import Facts, Shown, shown
from fleet.status.summaries import (
    bundle_rows,
    cluster_rows,
    deployment_row,
    group_rows,
    overview,
    run_row,
)

__all__ = [
    "Facts",
    "Shown",
    "bundle_rows",
    "cluster_rows",
    "deployment_row",
    "explanation",
    "group_rows",
    "overview",
    "run_row",
    "shown",
]
