"""What to make of a target."""

from __future__ import annotations

import pytest

from agents.apply import BundleState
from agents.apply.outcome import Failure
from agents.apply.wanted import Prepared, Wanted
from agents.inventory import Inventory
from agents.protocol import (
    BundleDeployment,
    DeploymentReport,
    Health,
    Offer,
    Options,
    Readiness,
    SyncState,
    Target,
)
from agents.targets import artifacts_of, claims_of, held_by, left_out, may_replace
from tests.agents.samples import SETTINGS, WEB, key


def _target(*current: BundleDeployment, epoch: int = 1, serial: int = 1) -> Target:
    return Target(cluster="a", epoch=epoch, serial=serial, current=current)


def _item(bundle: str, *depends_on: str) -> BundleDeployment:
    options = Options(depends_on=depends_on)
    return BundleDeployment.of(bundle, f"sha256:{bundle}", {}, options)


@pytest.mark.parametrize(
    ("epoch", "serial", "may"),
    [(1, 5, True), (1, 6, True), (1, 4, False), (2, 1, True), (0, 99, False)],
)
def test_a_lower_epoch_or_serial_is_refused(epoch: int, serial: int, may: bool) -> None:
    held = _target(epoch=1, serial=5)
    assert may_replace(_target(epoch=epoch, serial=serial), held, "a") is may


def test_another_clusters_target_is_refused_and_the_first_one_taken() -> None:
    assert may_replace(_target(), None, "a")
    assert not may_replace(_target(), None, "b")


def test_artifacts_are_those_of_current_and_of_offers() -> None:
    offer = Offer(run="r", generation=1, deployments=(_item("b"), BundleDeployment.absent("c")))
    target = _target(_item("a")).model_copy(update={"offers": (offer,)})
    assert artifacts_of(target) == {"sha256:a", "sha256:b"}


def _prepared(*keys: object, failures: tuple[Failure, ...] = ()) -> Prepared:
    objects = {k: Wanted(k, {}, "") for k in keys}  # type: ignore[arg-type]
    return Prepared(objects, (), failures)  # type: ignore[arg-type]


def test_claims_name_every_bundle_that_wants_an_object() -> None:
    target = _target(_item("a"), _item("b"), BundleDeployment.absent("gone"))
    made = {"a": _prepared(SETTINGS, WEB), "b": _prepared(SETTINGS)}
    claims = claims_of(target, made, {"lost": BundleState(Inventory("lost"))})
    assert claims.others(SETTINGS, "a") == ("b",)
    assert claims.others(WEB, "a") == ()
    assert claims.bundles == ("a", "b", "gone", "lost")
    assert claims.missing == ()


def test_a_bundle_without_its_artifact_is_missing_from_the_claims() -> None:
    claims = claims_of(_target(_item("a"), _item("b")), {"a": _prepared()}, {})
    assert claims.missing == ("b",)


def test_an_object_of_a_kind_that_is_not_served_is_claimed_in_any_namespace() -> None:
    unknown = key("Widget", "one", "", "example.com")
    failure = Failure(unknown, "kind-not-found", "")
    claims = claims_of(_target(_item("a")), {"a": _prepared(failures=(failure,))}, {})
    assert claims.wanted_elsewhere(key("Widget", "one", "shop", "example.com"), "b")
    assert not claims.wanted_elsewhere(key("Widget", "two", "shop", "example.com"), "b")


def _report(item: BundleDeployment, **change: object) -> DeploymentReport:
    made = DeploymentReport(
        bundle=item.bundle,
        digest=item.digest,
        generation=1,
        sync=SyncState.SYNCED,
        health=Health.HEALTHY,
    )
    return made.model_copy(update=change)


def test_a_dependency_that_is_synced_and_healthy_holds_nobody() -> None:
    database, app = _item("db"), _item("app", "db")
    assert held_by(app, _target(database, app), {"db": _report(database)}) == ()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"digest": "sha256:old"}, "db is not started"),
        ({"sync": SyncState.SYNCING}, "db is Syncing, Healthy"),
        ({"health": Health.PROGRESSING}, "db is Synced, Progressing"),
        ({"health": Health.UNKNOWN}, "db is Synced, Unknown"),
    ],
)
def test_any_other_state_of_a_dependency_holds(change: dict[str, object], text: str) -> None:
    database, app = _item("db"), _item("app", "db")
    assert held_by(app, _target(database, app), {"db": _report(database, **change)}) == (text,)


def test_a_dependency_that_is_not_here_holds() -> None:
    app = _item("app", "db")
    gone = BundleDeployment.absent("db")
    assert held_by(app, _target(app), {}) == ("db is not in this cluster",)
    assert held_by(app, _target(gone, app), {"db": _report(gone)}) == ("db is not in this cluster",)


def test_what_only_the_inventory_knows_is_left_out() -> None:
    known = {"a": Inventory("a"), "b": Inventory("b"), "c": Inventory("c")}
    target = _target(_item("a"), BundleDeployment.absent("b"))
    assert left_out(target, known) == ("c",)


@pytest.mark.parametrize(
    ("sync", "health", "word"),
    [
        (SyncState.SYNCED, Health.HEALTHY, Readiness.READY),
        (SyncState.SYNCED, Health.DEGRADED, Readiness.NOT_READY),
        (SyncState.SYNCED, Health.UNKNOWN, Readiness.NOT_READY),
        (SyncState.OUT_OF_SYNC, Health.HEALTHY, Readiness.MODIFIED),
        (SyncState.SYNCING, Health.HEALTHY, Readiness.WAIT_APPLIED),
        (SyncState.WAITING, Health.HEALTHY, Readiness.WAIT_APPLIED),
        (SyncState.FAILED, Health.HEALTHY, Readiness.ERR_APPLIED),
        (SyncState.UNKNOWN, Health.HEALTHY, Readiness.OUT_OF_SYNC),
    ],
)
def test_a_dependency_in_an_accepted_state_holds_nobody(
    sync: SyncState, health: Health, word: Readiness
) -> None:
    dns = _item("dns")
    said = DeploymentReport(bundle="dns", digest=dns.digest, generation=1, sync=sync, health=health)
    for accepted in Readiness:
        options = Options(depends_on=("dns",), accepted_states=(("dns", (accepted,)),))
        web = BundleDeployment.of("web", "sha256:web", {}, options)
        held = held_by(web, _target(dns, web), {"dns": said})
        assert (held == ()) is (accepted is word), accepted


def test_a_dependency_that_may_be_pending_need_not_have_started() -> None:
    options = Options(depends_on=("dns",), accepted_states=(("dns", (Readiness.PENDING,)),))
    web = BundleDeployment.of("web", "sha256:web", {}, options)
    assert held_by(web, _target(_item("dns"), web), {}) == ()
    assert held_by(web, _target(web), {}) == ("dns is not in this cluster",)
