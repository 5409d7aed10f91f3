"""Workloads that keep pods: Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from clusters.objects import Object
from clusters.simulation.schedules import read_schedule
from clusters.simulation.server.names import selector_causes
from clusters.simulation.server.rejections import (
    Cause,
    forbidden,
    required,
    unsupported,
    wrong,
)
from clusters.simulation.server.rules.checks import (
    amount_causes,
    choice_or_empty,
    is_nothing,
    label_name_causes,
    negative_causes,
)
from clusters.simulation.server.rules.pods import template_causes
from clusters.simulation.server.rules.storage import claim_spec_causes
from clusters.simulation.server.selectors import matches_label_selector

Part = dict[str, Any]
_MISMATCH = "`selector` does not match template `labels`"


def replica_set_causes(obj: Object) -> Iterable[Cause]:
    """Of a ReplicaSet."""
    spec = obj["spec"]
    yield from negative_causes(spec, "spec", "replicas", "minReadySeconds")
    yield from _selected_template(spec, "replicaset", "ReplicaSet")


def deployment_causes(obj: Object) -> Iterable[Cause]:
    """Of a Deployment."""
    spec = obj["spec"]
    counts = ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    yield from negative_causes(spec, "spec", *counts)
    yield from _selected_template(spec, "deployment", "ReplicaSet")
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None and deadline <= spec.get("minReadySeconds", 0):
        words = "must be greater than minReadySeconds"
        yield wrong("spec.progressDeadlineSeconds", deadline, words)
    strategy = spec.get("strategy") or {}
    rolling = strategy.get("rollingUpdate")
    if strategy.get("type") not in ("Recreate", "RollingUpdate"):
        yield unsupported("spec.strategy", strategy.get("type"), ("Recreate", "RollingUpdate"))
    elif rolling is not None and strategy["type"] == "Recreate":
        words = "may not be specified when strategy `type` is 'Recreate'"
        yield forbidden("spec.strategy.rollingUpdate", words)
    elif rolling is not None:
        path = "spec.strategy.rollingUpdate"
        yield from amount_causes(
            rolling.get("maxUnavailable"), f"{path}.maxUnavailable", capped=True
        )
        yield from amount_causes(rolling.get("maxSurge"), f"{path}.maxSurge")
        if is_nothing(rolling.get("maxUnavailable")) and is_nothing(rolling.get("maxSurge")):
            yield wrong(f"{path}.maxUnavailable", 0, "may not be 0 when `maxSurge` is 0")


def _selected_template(
    spec: Part, kind: str, holder: str, claims: Iterable[str] = ()
) -> Iterable[Cause]:
    """The selector and the template that it must select, of a workload of pods that stay."""
    selector, template = spec.get("selector"), spec.get("template") or {}
    bad = list(selector_causes(selector, "spec.selector"))
    yield from bad
    if selector is None:
        yield required("spec.selector")
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield wrong("spec.selector", selector, f"empty selector is invalid for {kind}")
    operators = [cause for cause in bad if cause.field.endswith((".operator", ".values"))]
    if operators:
        # What cannot be read selects nothing, and its template is not looked at.
        if kind != "daemonset":
            yield wrong("spec.selector", selector, "invalid label selector")
            return
    else:
        labels = (template.get("metadata") or {}).get("labels") or {}
        if not matches_label_selector(selector, labels):
            yield wrong("spec.template.metadata.labels", labels, _MISMATCH)
    yield from template_causes(template, "spec.template", claims)
    inner = template.get("spec") or {}
    if inner.get("restartPolicy") != "Always":
        field = "spec.template.spec.restartPolicy"
        yield unsupported(field, inner.get("restartPolicy") or "", ("Always",))
    if inner.get("activeDeadlineSeconds") is not None:
        words = f"activeDeadlineSeconds in {holder} is not Supported"
        yield forbidden("spec.template.spec.activeDeadlineSeconds", words)


def stateful_set_causes(obj: Object) -> Iterable[Cause]:
    """Of a StatefulSet."""
    spec = obj["spec"]
    policy = spec.get("podManagementPolicy")
    if policy not in ("OrderedReady", "Parallel"):
        yield wrong("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'")
    yield from _stateful_set_update(spec.get("updateStrategy") or {}, "spec.updateStrategy")
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for name in ("whenDeleted", "whenScaled"):
        field = f"spec.persistentVolumeClaimRetentionPolicy.{name}"
        yield from choice_or_empty(retention.get(name), field, ("Retain", "Delete"))
    claims = spec.get("volumeClaimTemplates") or ()
    for index, claim in enumerate(claims):
        path = f"spec.volumeClaimTemplates[{index}]"
        yield from claim_spec_causes(claim.get("spec") or {}, f"{path}.spec")
    yield from negative_causes(spec, "spec", "replicas", "minReadySeconds", "revisionHistoryLimit")
    yield from negative_causes(spec.get("ordinals") or {}, "spec.ordinals", "start")
    if spec.get("serviceName"):
        yield from label_name_causes(spec["serviceName"], "spec.serviceName")
    names = [(claim.get("metadata") or {}).get("name") or "" for claim in claims]
    yield from _selected_template(spec, "statefulset", "StatefulSet", names)


def _stateful_set_update(strategy: Part, path: str) -> Iterable[Cause]:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind not in ("RollingUpdate", "OnDelete"):
        yield wrong(path, strategy, "must be 'RollingUpdate' or 'OnDelete'")
    elif rolling is not None and kind == "OnDelete":
        words = "only allowed for updateStrategy 'RollingUpdate'"
        yield wrong(f"{path}.rollingUpdate", rolling, words)
    elif rolling is not None:
        yield from negative_causes(rolling, f"{path}.rollingUpdate", "partition")
        amount, field = rolling.get("maxUnavailable"), f"{path}.rollingUpdate.maxUnavailable"
        yield from amount_causes(amount, field, capped=True)
        if amount is not None and is_nothing(amount):
            yield wrong(field, amount, "cannot be 0")


def daemon_set_causes(obj: Object) -> Iterable[Cause]:
    """Of a DaemonSet."""
    spec = obj["spec"]
    yield from _selected_template(spec, "daemonset", "DaemonSet")
    yield from negative_causes(spec, "spec", "minReadySeconds", "revisionHistoryLimit")
    strategy = spec.get("updateStrategy") or {}
    kinds = ("RollingUpdate", "OnDelete")
    rolling, path = strategy.get("rollingUpdate"), "spec.updateStrategy.rollingUpdate"
    if strategy.get("type") not in kinds:
        yield unsupported("spec.updateStrategy", strategy.get("type"), kinds)
    elif strategy["type"] == "RollingUpdate" and rolling is None:
        yield required(path)
    elif strategy["type"] == "RollingUpdate" and rolling is not None:
        down, up = rolling.get("maxUnavailable"), rolling.get("maxSurge")
        yield from amount_causes(down, f"{path}.maxUnavailable", capped=True)
        yield from amount_causes(up, f"{path}.maxSurge", capped=True)
        if not is_nothing(down) and not is_nothing(up):
            words = "may not be set when maxUnavailable is non-zero"
            yield wrong(f"{path}.maxSurge", up, words)
        elif is_nothing(down) and is_nothing(up):
            yield required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0")


_JOB_COUNTS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)


def job_causes(obj: Object) -> Iterable[Cause]:
    """Of a Job."""
    spec, uid = obj["spec"], obj["metadata"].get("uid")
    yield from _job_spec(spec, "spec")
    selector = spec.get("selector")
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    yield from selector_causes(selector, "spec.selector")
    if selector is None:
        yield required("spec.selector")
    if not matches_label_selector(selector, labels):
        yield wrong("spec.template.metadata.labels", labels, _MISMATCH)
    if spec.get("manualSelector") or selector is None:
        return
    name = obj["metadata"].get("name")
    expected = {"controller-uid": uid, "job-name": name}
    expected |= {f"batch.kubernetes.io/{key}": value for key, value in expected.items()}
    for key, value in expected.items():
        if labels.get(key) != value:
            field = f"spec.template.metadata.labels[{key}]"
            yield wrong(field, labels.get(key) or "", f"must be '{value}'")
    if not matches_label_selector(selector, expected):
        yield wrong("spec.selector", selector, "`selector` not auto-generated")


def _job_spec(spec: Part, path: str) -> Iterable[Cause]:
    yield from negative_causes(spec, path, *_JOB_COUNTS)
    mode, policy = spec.get("completionMode"), spec.get("podFailurePolicy")
    yield from choice_or_empty(mode, f"{path}.completionMode", ("NonIndexed", "Indexed"))
    if mode == "Indexed" and spec.get("completions") is None:
        yield required(f"{path}.completions", "when completion mode is Indexed")
    if mode != "Indexed":
        for name in ("backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"):
            if spec.get(name) is not None:
                yield wrong(f"{path}.{name}", spec[name], "requires indexed completion mode")
    allowed = ("Failed",) if policy is not None else ("Failed", "TerminatingOrFailed")
    replacement = spec.get("podReplacementPolicy")
    yield from choice_or_empty(replacement, f"{path}.podReplacementPolicy", allowed)
    template = spec.get("template") or {}
    yield from template_causes(template, f"{path}.template")
    restart, field = (template.get("spec") or {}).get("restartPolicy"), f"{path}.template.spec"
    if restart in (None, "", "Always"):
        yield required(f"{field}.restartPolicy", 'valid values: "OnFailure", "Never"')
    elif restart == "OnFailure" and policy is not None:
        words = 'only "Never" is supported when podFailurePolicy is specified'
        yield wrong(f"{field}.restartPolicy", restart, words)


def cron_job_causes(obj: Object) -> Iterable[Cause]:
    """Of a CronJob."""
    spec = obj["spec"]
    schedule, zone = spec.get("schedule") or "", spec.get("timeZone")
    if not schedule:
        yield required("spec.schedule")
    else:
        try:
            read_schedule(schedule, "")
        except ValueError as error:
            yield wrong("spec.schedule", schedule, str(error))
    if zone == "":
        yield wrong("spec.timeZone", zone, "timeZone must be nil or non-empty string")
    elif zone is not None:
        try:
            read_schedule("* * * * *", zone)
        except ValueError as error:
            yield wrong("spec.timeZone", zone, str(error))
    policies = ("Allow", "Forbid", "Replace")
    yield from choice_or_empty(spec.get("concurrencyPolicy"), "spec.concurrencyPolicy", policies)
    counts = ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")
    yield from negative_causes(spec, "spec", *counts)
    inner = (spec.get("jobTemplate") or {}).get("spec") or {}
    if inner.get("manualSelector"):
        yield unsupported("spec.jobTemplate.spec.manualSelector", True, ("nil", "false"))
    yield from _job_spec(inner, "spec.jobTemplate.spec")
