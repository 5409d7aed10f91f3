"""The digest of a bundle deployment covers what it is, and nothing else."""

from __future__ import annotations

import pytest

from agents.protocol import ABSENT, BundleDeployment, DriftMode, Options, deployment_digest

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def test_equal_content_has_an_equal_digest_whatever_the_commit() -> None:
    one = BundleDeployment.of("web", A, {"x": "1", "y": "2"}, Options(), "c1")
    other = BundleDeployment.of("web", A, {"y": "2", "x": "1"}, Options(), "c2")
    assert one.digest == other.digest


@pytest.mark.parametrize(
    ("artifact", "variables", "options"),
    [
        (B, {}, Options()),
        (A, {"x": "1"}, Options()),
        (A, {}, Options(namespace="shop")),
        (A, {}, Options(drift=DriftMode.WARN)),
        (A, {}, Options(prune=False)),
        (A, {}, Options(depends_on=("db",))),
    ],
)
def test_artifact_variables_and_options_each_change_it(
    artifact: str, variables: dict[str, str], options: Options
) -> None:
    assert deployment_digest(artifact, variables, options) != deployment_digest(A, {}, Options())


def test_an_option_at_its_default_does_not_change_it() -> None:
    assert deployment_digest(A, {}, Options(force=False)) == deployment_digest(A, {}, Options())


def test_the_order_to_remove_is_no_digest_of_anything() -> None:
    absent = BundleDeployment.absent("web")
    assert absent.is_absent
    assert absent.digest == ABSENT
    assert not BundleDeployment.of("web", A, {}, Options()).is_absent


def test_fields_of_a_newer_partner_are_ignored() -> None:
    made = BundleDeployment.model_validate({"bundle": "web", "digest": A, "colour": "blue"})
    assert made.bundle == "web"
