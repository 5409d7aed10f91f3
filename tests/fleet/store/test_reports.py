"""Reports are taken in once and in order, whatever the network does to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.protocol import DeploymentReport, Health, RegisterRequest, Report, SyncState
from fleet.store import Store, open_store
from fleet.store.agents import register
from fleet.store.reports import take_report

NOW = datetime(2030, 1, 1, tzinfo=UTC)
CLUSTER = "staging-1"
BUNDLES = ("api", "web")


def opened(folder: Path) -> Store:
    """A store in which the cluster was granted generation 7 of two bundles."""
    store = open_store(folder)
    with store.write() as c:
        c.execute("INSERT INTO cluster (name, declared, generation) VALUES (?, 1, 7)", (CLUSTER,))
        c.executemany(
            "INSERT INTO bundle_deployment (cluster, bundle, current, generation, wanted)"
            " VALUES (?, ?, 'sha256:one', 7, 'sha256:one')",
            [(CLUSTER, bundle) for bundle in BUNDLES],
        )
        register(c, RegisterRequest(cluster=CLUSTER, incarnation="i"), 1, NOW)
    return store


def said(
    bundle: str,
    sync: SyncState = SyncState.SYNCED,
    health: Health = Health.HEALTHY,
    *,
    digest: str = "sha256:one",
    generation: int = 7,
) -> DeploymentReport:
    return DeploymentReport(
        bundle=bundle, digest=digest, generation=generation, sync=sync, health=health
    )


def report(sequence: int, *deployments: DeploymentReport, full: bool = False) -> Report:
    return Report(
        cluster=CLUSTER, incarnation="i", sequence=sequence, full=full, deployments=deployments
    )


def take(store: Store, *reports: Report) -> None:
    """Each report arrives one second after the one before."""
    for number, one in enumerate(reports, start=1):
        with store.write() as c:
            take_report(c, one, NOW + timedelta(seconds=number))


def rows(store: Store) -> list[dict[str, Any]]:
    with store.read() as c:
        return [dict(row) for row in c.execute("SELECT * FROM bundle_deployment")]


def standing(store: Store) -> list[tuple[Any, ...]]:
    keys = ("bundle", "reported", "reported_generation", "sync", "health")
    return [tuple(row[key] for key in keys) for row in rows(store)]


one_state = st.builds(
    said, st.sampled_from(BUNDLES), st.sampled_from(SyncState), st.sampled_from(Health)
)
histories = st.lists(st.lists(one_state, max_size=3), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(histories, st.data())
def test_duplicated_reports_change_nothing(
    history: Sequence[Sequence[DeploymentReport]], data: st.DataObject
) -> None:
    reports = [report(n, *states) for n, states in enumerate(history)]
    noisy: list[Report] = []
    for position, one in enumerate(reports):
        noisy.append(one)
        noisy.extend(data.draw(st.lists(st.sampled_from(reports[: position + 1]), max_size=2)))
    with TemporaryDirectory() as plain, TemporaryDirectory() as loud:
        quiet, noised = opened(Path(plain)), opened(Path(loud))
        take(quiet, *reports)
        take(noised, *noisy)
        assert standing(quiet) == standing(noised)
        quiet.close()
        noised.close()


@settings(max_examples=40, deadline=None)
@given(histories, st.data())
def test_an_older_report_that_arrives_late_never_overwrites_a_newer_one(
    history: Sequence[Sequence[DeploymentReport]], data: st.DataObject
) -> None:
    reports = [report(n, *states) for n, states in enumerate(history)]
    last = report(len(reports), *(said(bundle) for bundle in BUNDLES))
    late = data.draw(st.permutations(reports))
    with TemporaryDirectory() as folder:
        store = opened(Path(folder))
        take(store, last, *late)
        assert {row[3:] for row in standing(store)} == {("Synced", "Healthy")}
        store.close()


def test_since_is_hub_time_and_stays_while_the_state_stays(tmp_path: Path) -> None:
    store = opened(tmp_path)
    take(store, report(1, said("web")), report(2, said("web")))
    (web,) = (row for row in rows(store) if row["bundle"] == "web")
    assert web["since"] == (NOW + timedelta(seconds=1)).isoformat(timespec="microseconds")
    assert web["reported_at"] == (NOW + timedelta(seconds=2)).isoformat(timespec="microseconds")
    take(store, report(3, said("web", health=Health.DEGRADED)))
    (web,) = (row for row in rows(store) if row["bundle"] == "web")
    assert web["since"] == (NOW + timedelta(seconds=1)).isoformat(timespec="microseconds")
    assert web["health"] == "Degraded"


def test_drift_that_is_left_alone_is_shown_and_does_not_move_since(tmp_path: Path) -> None:
    store = opened(tmp_path)
    drifted = said("web", SyncState.OUT_OF_SYNC).model_copy(update={"drifted": 2, "paused": 1})
    take(store, report(1, said("web")), report(2, drifted))
    (web,) = (row for row in rows(store) if row["bundle"] == "web")
    assert web["since"] == (NOW + timedelta(seconds=1)).isoformat(timespec="microseconds")
    assert (web["sync"], web["drifted"], web["paused"]) == ("OutOfSync", 2, 1)
    take(store, report(3, said("web", SyncState.OUT_OF_SYNC)))
    (web,) = (row for row in rows(store) if row["bundle"] == "web")
    assert web["since"] == (NOW + timedelta(seconds=1)).isoformat(timespec="microseconds")
    take(store, report(4, said("web")), report(5, drifted))
    with store.write() as c:
        taken = take_report(c, report(6, said("web")), NOW + timedelta(seconds=9))
    assert taken.changed == ("web",), "whoever waits for it in sync hears of it"


def test_other_digests_and_generations_are_kept_apart_from_evidence(tmp_path: Path) -> None:
    store = opened(tmp_path)
    take(
        store,
        report(1, said("web", digest="sha256:two"), said("api", generation=6)),
    )
    for row in rows(store):
        assert (row["reported"], row["sync"]) == ("", "Unknown")
        assert row["stray"] in ("sha256:one", "sha256:two")
    take(store, report(2, said("web"), said("api")))
    assert {(row["reported"], row["stray"]) for row in rows(store)} == {("sha256:one", "")}


def test_a_bundle_that_the_hub_never_gave_makes_no_row(tmp_path: Path) -> None:
    store = opened(tmp_path)
    take(store, report(1, said("miner")))
    assert {row["bundle"] for row in rows(store)} == set(BUNDLES)


def test_a_full_report_that_leaves_a_bundle_out_makes_it_unknown(tmp_path: Path) -> None:
    store = opened(tmp_path)
    take(store, report(1, *(said(b) for b in BUNDLES)), report(2, said("web"), full=True))
    assert [(row["bundle"], row["sync"], row["health"]) for row in rows(store)] == [
        ("api", "Unknown", "Unknown"),
        ("web", "Synced", "Healthy"),
    ]


def test_numbers_without_sense_move_no_counter(tmp_path: Path) -> None:
    store = opened(tmp_path)
    wild = report(1, said("web", generation=2**70), said("api", generation=-5))
    take(store, wild.model_copy(update={"epoch": 2**64, "serial": 2**80, "nodes": -1}))
    with store.read() as c:
        (generation,) = c.execute("SELECT generation FROM cluster").fetchone()
        (epoch,) = c.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
        (nodes,) = c.execute("SELECT nodes FROM agent").fetchone()
    assert (generation, epoch, nodes) == (7, "1", 0)
