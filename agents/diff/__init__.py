"""What differs between a wanted object and the live one. Pure.

    differences  the wanted fields that the live object does not hold
    settle       the wanted object but for what is others' to fill in, by table or by rule
    describe     differences as a report says them, Secrets redacted, with the manager to blame

Promise: an object with no differences is never reported as drifted, and no drift is reported with
an empty diff. Never reads a cluster; whether a difference is real is confirmed by a dry-run.
"""

from __future__ import annotations

from agents.diff.fields import Difference, differences, is_built_in
from agents.diff.path import Key, Path, managers_of, path_text
from agents.diff.quantity import equal_quantities, parse_quantity
from agents.diff.report import REDACTED, describe, redacted
from agents.diff.tolerance import OUT_OF_THE_BOX, Tolerance, scaled_by, settle

__all__ = [
    "OUT_OF_THE_BOX",
    "REDACTED",
    "Difference",
    "Key",
    "Path",
    "Tolerance",
    "describe",
    "differences",
    "equal_quantities",
    "is_built_in",
    "managers_of",
    "parse_quantity",
    "path_text",
    "redacted",
    "scaled_by",
    "settle",
]
