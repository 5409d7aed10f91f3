"""Health of what runs no pods, and of kinds that nobody knows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.health import RULES, Rule, assess, overdue, status_matters
from agents.health.assessment import progressing, suspended
from agents.health.resources import custom, present
from agents.protocol import Health
from clusters.objects import Kind, Object
from clusters.objects.apis import namespaced_kinds
from tests.agents.samples import config_map, widget


def _obj(api: str, kind: str, spec: dict[str, Any], status: dict[str, Any]) -> Object:
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": "x", "generation": 2},
        "spec": spec,
        "status": status,
    }


def _is(name: str, status: str, **more: str) -> dict[str, Any]:
    return {"conditions": [{"type": name, "status": status, **more}]}


CRD = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
API = ("apiregistration.k8s.io/v1", "APIService")
HPA = ("autoscaling/v2", "HorizontalPodAutoscaler")
PDB = ("policy/v1", "PodDisruptionBudget")
CSR = ("certificates.k8s.io/v1", "CertificateSigningRequest")
FLOW = ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema")
ATTACHMENT = ("storage.k8s.io/v1", "VolumeAttachment")
BALANCER = {"type": "LoadBalancer"}


@pytest.mark.parametrize(
    ("kind", "spec", "status", "health"),
    [
        (("v1", "PersistentVolumeClaim"), {}, {"phase": "Bound"}, Health.HEALTHY),
        (("v1", "PersistentVolumeClaim"), {}, {"phase": "Pending"}, Health.PROGRESSING),
        (("v1", "PersistentVolumeClaim"), {}, {"phase": "Lost"}, Health.DEGRADED),
        (("v1", "PersistentVolume"), {}, {"phase": "Failed"}, Health.DEGRADED),
        (("v1", "PersistentVolume"), {}, {"phase": "Available"}, Health.HEALTHY),
        (("v1", "Service"), {}, {}, Health.HEALTHY),
        (("v1", "Service"), BALANCER, {}, Health.PROGRESSING),
        (("v1", "Service"), BALANCER, {"loadBalancer": {"ingress": [{}]}}, Health.HEALTHY),
        (("v1", "Service"), {**BALANCER, "externalIPs": ["192.0.2.1"]}, {}, Health.HEALTHY),
        (("v1", "Namespace"), {}, {"phase": "Active"}, Health.HEALTHY),
        (("v1", "Namespace"), {}, {"phase": "Terminating"}, Health.PROGRESSING),
        (CRD, {}, _is("Established", "True"), Health.HEALTHY),
        (CRD, {}, {}, Health.PROGRESSING),
        (CRD, {}, _is("NamesAccepted", "False"), Health.DEGRADED),
        (API, {}, _is("Available", "True"), Health.HEALTHY),
        (API, {}, _is("Available", "False"), Health.PROGRESSING),
        (HPA, {}, {}, Health.HEALTHY),
        (HPA, {}, _is("AbleToScale", "False"), Health.DEGRADED),
        (HPA, {}, _is("ScalingActive", "False", reason="ScalingDisabled"), Health.SUSPENDED),
        (HPA, {}, _is("ScalingActive", "False", reason="NoMetrics"), Health.PROGRESSING),
        (PDB, {}, {"observedGeneration": 2}, Health.HEALTHY),
        (PDB, {}, {"observedGeneration": 1}, Health.PROGRESSING),
        (CSR, {}, {}, Health.PROGRESSING),
        (CSR, {}, _is("Approved", "True"), Health.PROGRESSING),
        (CSR, {}, {"certificate": "x", **_is("Approved", "True")}, Health.HEALTHY),
        (CSR, {}, _is("Denied", "True", reason="No"), Health.DEGRADED),
        (CSR, {}, _is("Failed", "True"), Health.DEGRADED),
        (FLOW, {}, _is("Dangling", "False"), Health.HEALTHY),
        (FLOW, {}, _is("Dangling", "True"), Health.DEGRADED),
        (("v1", "Node"), {}, _is("Ready", "False"), Health.PROGRESSING),
        (("networking.k8s.io/v1", "ServiceCIDR"), {}, _is("Ready", "True"), Health.HEALTHY),
        (ATTACHMENT, {}, {"attached": True}, Health.HEALTHY),
        (ATTACHMENT, {}, {"attached": False}, Health.PROGRESSING),
        (ATTACHMENT, {}, {"attachError": {"message": "no"}}, Health.DEGRADED),
        (("batch/v1", "CronJob"), {}, {}, Health.HEALTHY),
        (("batch/v1", "CronJob"), {"suspend": True}, {}, Health.SUSPENDED),
        (("networking.k8s.io/v1", "Ingress"), {}, {}, Health.HEALTHY),
        (("rbac.authorization.k8s.io/v1", "Role"), {}, {}, Health.HEALTHY),
        (("v1", "ConfigMap"), {}, {}, Health.HEALTHY),
    ],
)
def test_built_in_kinds_have_their_rules(
    kind: tuple[str, str], spec: dict[str, Any], status: dict[str, Any], health: Health
) -> None:
    assert assess(_obj(*kind, spec, status)).health is health


@pytest.mark.parametrize(
    ("status", "health"),
    [
        ({}, Health.HEALTHY),
        (_is("Ready", "True"), Health.HEALTHY),
        (_is("Ready", "False", reason="Waiting"), Health.PROGRESSING),
        (_is("Ready", "Unknown"), Health.PROGRESSING),
        (_is("Available", "False"), Health.PROGRESSING),
        (_is("Stalled", "True"), Health.DEGRADED),
        (_is("Failed", "True"), Health.DEGRADED),
        (_is("Reconciling", "True"), Health.PROGRESSING),
        ({"observedGeneration": 1, **_is("Ready", "True")}, Health.PROGRESSING),
        ({"observedGeneration": 2, **_is("Ready", "True")}, Health.HEALTHY),
    ],
)
def test_custom_resources_are_judged_by_conditions_and_generation(
    status: dict[str, Any], health: Health
) -> None:
    assert assess(_obj("example.com/v1", "Widget", {}, status)).health is health


def test_what_is_not_there_is_missing() -> None:
    assert assess(None).health is Health.MISSING


def test_what_is_being_deleted_progresses_and_names_what_holds_it() -> None:
    live = widget()
    live["metadata"] |= {"deletionTimestamp": "2030-01-01T00:00:00Z", "finalizers": ["a/b"]}
    found = assess(live)
    assert found.health is Health.PROGRESSING
    assert "a/b" in found.message


def test_a_kind_that_works_by_being_there_needs_no_status() -> None:
    assert present(config_map()).health is Health.HEALTHY
    assert not status_matters(Kind("", "ConfigMap"))
    assert status_matters(Kind("apps", "Deployment"))
    assert status_matters(Kind("example.com", "Widget"))
    assert custom(widget()).health is Health.HEALTHY


def test_every_kind_that_kubernetes_serves_is_in_the_table() -> None:
    assert RULES.keys() == namespaced_kinds().keys()


@pytest.mark.parametrize("status", ["text", [], 7, {"conditions": "none"}, {"conditions": [1, []]}])
@pytest.mark.parametrize("rule", dict.fromkeys([*RULES.values(), custom]))
def test_a_status_of_any_form_is_judged_and_no_crash(rule: Rule, status: Any) -> None:
    live = _obj("example.com/v1", "Widget", {}, status) | {"spec": "text"}
    assert rule(live).health in Health


def test_an_observed_generation_that_is_no_number_is_none() -> None:
    status = {"observedGeneration": "1", **_is("Ready", "True")}
    assert assess(_obj("example.com/v1", "Widget", {}, status)).health is Health.HEALTHY


def test_what_progresses_for_too_long_is_degraded() -> None:
    start = datetime(2030, 1, 1, tzinfo=UTC)
    slow = progressing("1 of 2 available")
    in_time, late = start + timedelta(seconds=60), start + timedelta(seconds=61)
    assert overdue(slow, start, in_time, 60) == slow
    found = overdue(slow, start, late, 60)
    assert (found.health, found.message) == (
        Health.DEGRADED,
        "1 of 2 available (for more than 60 s)",
    )
    assert overdue(suspended("paused"), start, late, 60).health is Health.SUSPENDED
