"""The wire between hub and agent, and what both must compute alike.

    words         `SyncState`, `Health`, `DriftMode`, `Deletion`: the words that the user sees
    health_checks user-declared rules of health, in CEL
    deployment    `Options`, `BundleDeployment` and its digest
    artifact      a rendered bundle as canonical bytes: objects and hooks
    ignoring      `IgnoreRule`: fields that are not Fleet's business
    expressions   JSON pointers and jq paths, so that none can loop
    phases        sync waves and hooks by annotation
    substitution  `${NAME}` in the agent, the same function that `fleet render` uses
    syncing       a sync that a person asked for, and its results
    body          what every body is, and a field that differs
    wire          register, target, start, report: bodies, routes and protocol versions
    needs         what an agent will have to be allowed to do (not imported here)
    signing       which hub a target is from (not imported here: it brings the cryptography)

The hub knows an agent only by this package. It imports nothing but `clusters.objects`.
"""

from __future__ import annotations

from agents.protocol.artifact import Artifact, ArtifactError, Hook, HookEvent, read_artifact
from agents.protocol.body import FieldDrift
from agents.protocol.deployment import ABSENT, BundleDeployment, Options, deployment_digest
from agents.protocol.health_checks import ExpressionError, HealthCheck, check_expression, holds
from agents.protocol.ignoring import IgnoreRule
from agents.protocol.phases import Phases, names_hook, sort_out, sync_wave
from agents.protocol.retrying import Retry
from agents.protocol.substitution import substitute
from agents.protocol.syncing import Deed, ObjectResult, SyncRequest, SyncResult
from agents.protocol.wire import (
    PROTOCOL_MAX,
    PROTOCOL_MIN,
    DeploymentReport,
    ObjectReport,
    Offer,
    Refusal,
    RegisterAnswer,
    RegisterRequest,
    Report,
    ReportAnswer,
    StartRequest,
    Succession,
    Target,
)
from agents.protocol.words import Deletion, DriftMode, Health, Readiness, SyncState, was_applied

__all__ = [
    "ABSENT",
    "PROTOCOL_MAX",
    "PROTOCOL_MIN",
    "Artifact",
    "ArtifactError",
    "BundleDeployment",
    "Deed",
    "Deletion",
    "DeploymentReport",
    "DriftMode",
    "ExpressionError",
    "FieldDrift",
    "Health",
    "HealthCheck",
    "Hook",
    "HookEvent",
    "IgnoreRule",
    "ObjectReport",
    "ObjectResult",
    "Offer",
    "Options",
    "Phases",
    "Readiness",
    "Refusal",
    "RegisterAnswer",
    "RegisterRequest",
    "Report",
    "ReportAnswer",
    "Retry",
    "StartRequest",
    "Succession",
    "SyncRequest",
    "SyncResult",
    "SyncState",
    "Target",
    "check_expression",
    "deployment_digest",
    "holds",
    "names_hook",
    "read_artifact",
    "sort_out",
    "substitute",
    "sync_wave",
    "was_applied",
]
