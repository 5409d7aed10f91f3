"""Placement: which cluster gets which bundle, from which source, with which values, and why.

    placement  `place(repo) → Placement`: classes of clusters that get the same
    placed     one bundle for one cluster: source, customization, options, values
    facets     what of a cluster a bundle looks at
    values     templates in Helm values and variables        template, functions

What cannot be placed for a cluster is a `Problem`, and the cluster keeps what it runs.
Pure: no files, no clock, no network; it never renders.
"""

from __future__ import annotations

from fleet.placement.placed import Placed
from fleet.placement.placement import Placement, place

__all__ = ["Placed", "Placement", "place"]
