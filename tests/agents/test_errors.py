"""Errors say what, at and fix; every code of a cluster has a cure or is mended by waiting."""

from __future__ import annotations

from agents.errors import AgentError, BundleError, HubError, cure_of
from clusters import errors as cluster_errors
from clusters.errors import ClusterError

_BY_WAITING = {"cluster-error", "unreachable", "timed-out", "too-many-requests", "expired"}


def test_an_error_prints_what_at_and_fix() -> None:
    error = AgentError("it broke", at="here", fix="mend it", code="broken")
    assert str(error) == "it broke\n  at:  here\n  fix: mend it"
    assert error.code == "broken"
    assert str(AgentError("alone")) == "alone"


def test_the_code_of_a_class_stands_unless_another_is_given() -> None:
    assert HubError("x").code == "hub"
    assert BundleError("x", code="inventory").code == "inventory"
    assert BundleError("x").code == "bundle"


def test_every_answer_of_a_cluster_has_a_cure_or_passes() -> None:
    kinds = [item for item in vars(cluster_errors).values() if isinstance(item, type)]
    codes = {item.code for item in kinds if issubclass(item, ClusterError)}
    codes.discard("already-exists")
    assert {code for code in codes if not cure_of(code)} == _BY_WAITING
