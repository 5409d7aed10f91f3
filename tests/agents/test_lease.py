"""One agent at a time: who takes the Lease, who waits, and what a wrong clock does not do."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from agents.errors import LeaseLostError
from agents.lease import KEY, Hold, Lease, lease_seconds
from agents.settings import Settings
from clusters.clock import FakeClock
from clusters.errors import UnreachableError
from clusters.objects import Object, ObjectKey
from clusters.simulation import SimulatedCluster
from tests.agents.log_lines import facts
from tests.agents.recorder import Recorder

SETTINGS = Settings()
SECONDS = SETTINGS.lease_seconds


class Way(Recorder):
    """A way to a cluster on which writes are lost, or answers, or others come first."""

    blind = lost = silent = False
    """Sees no Lease yet; loses what is sent; loses what is answered."""

    async def get(self, key: ObjectKey) -> Object | None:
        """Nothing, for one that looked before others wrote."""
        return None if self.blind else await super().get(key)

    async def patch(self, key: ObjectKey, patch: Object, *, manager: str) -> Object:
        """The write, or what becomes of it."""
        await self.meanwhile()
        if self.lost:
            raise UnreachableError("no route")
        stored = await super().patch(key, patch, manager=manager)
        if self.silent:
            raise UnreachableError("reset")
        return stored

    async def meanwhile(self) -> None:
        """What others do between a look and a write."""
        for lease, now in self.others:
            await lease.step(now)

    others: tuple[tuple[Lease, datetime], ...] = ()


class Place:
    """One cluster, its clock, and agents that each have a clock of their own."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cluster = SimulatedCluster("stg-1", self.clock)
        self.recorder = self.way()

    def way(self) -> Way:
        """A way of one's own to the cluster."""
        return Way(self.cluster)

    def lease(self, name: str, settings: Settings = SETTINGS, way: Way | None = None) -> Lease:
        """An agent's hold."""
        return Lease(way or self.recorder, name, settings)

    @property
    def now(self) -> datetime:
        """The moment."""
        return self.clock.now()

    def live(self) -> Object:
        """The Lease as it is in the cluster."""
        return self.cluster.server.get(KEY)

    def holder(self) -> str:
        """Who holds it."""
        return str(self.live()["spec"]["holderIdentity"])

    async def pass_time(self, seconds: float, *leases: Lease) -> None:
        """Time goes by, and these agents are alive meanwhile."""
        end = self.now + timedelta(seconds=seconds)
        while self.now < end:
            for lease in leases:
                await lease.step(self.now)
            self.clock.advance(1)


@pytest.fixture
def place() -> Place:
    """A cluster without a Lease."""
    return Place()


async def test_the_first_agent_holds_and_goes_on_holding_with_one_write_each_time(
    place: Place,
) -> None:
    lease = place.lease("one")
    assert lease.hold(place.now) is Hold.UNSURE
    await lease.step(place.now)
    assert (lease.hold(place.now), place.holder()) == (Hold.HELD, "one")
    place.recorder.reads.clear()
    version = int(place.live()["metadata"]["resourceVersion"])
    await place.pass_time(5 * SETTINGS.lease_renew_seconds, lease)
    assert lease.hold(place.now) is Hold.HELD
    assert place.recorder.reads == []
    assert int(place.live()["metadata"]["resourceVersion"]) - version <= 5
    assert place.live()["spec"]["leaseTransitions"] == 0


async def test_a_second_agent_waits_says_for_whom_and_writes_nothing(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = place.lease("one"), place.lease("two")
    await one.step(place.now)
    await place.pass_time(10 * SECONDS, one, two)
    assert (two.hold(place.now), two.waits_for) == (Hold.WAITING, "one")
    assert (one.hold(place.now), place.holder()) == (Hold.HELD, "one")
    said = [fact["holder"] for fact in facts(caplog.records, "waiting for another agent")]
    assert len(said) == 1
    assert "one" in said[0]


async def test_a_silent_holder_is_followed_after_its_lease_and_not_before(place: Place) -> None:
    one, two = place.lease("one"), place.lease("two")
    await one.step(place.now)
    await two.step(place.now)
    await place.pass_time(SECONDS - 1, two)
    assert two.hold(place.now) is Hold.WAITING
    assert one.hold(place.now) is Hold.UNSURE, "it stopped writing well before that"
    await place.pass_time(1 + SETTINGS.lease_retry_seconds, two)
    assert (two.hold(place.now), place.holder()) == (Hold.HELD, "two")
    assert place.live()["spec"]["leaseTransitions"] == 1


async def test_the_one_that_was_followed_ends_at_its_next_step(place: Place) -> None:
    one, two = place.lease("one"), place.lease("two")
    await one.step(place.now)
    await place.pass_time(2 * SECONDS, two)
    with pytest.raises(LeaseLostError, match="two"):
        await one.step(place.now)
    assert place.holder() == "two"


@pytest.mark.parametrize("hours", [-72, -1, 1, 72])
async def test_what_time_a_holder_believes_it_is_does_not_matter(place: Place, hours: int) -> None:
    one, two = place.lease("one"), place.lease("two")
    skew = timedelta(hours=hours)
    await one.step(place.now + skew)
    for _ in range(int(3 * SECONDS)):
        await one.step(place.now + skew)
        await two.step(place.now)
        place.clock.advance(1)
    assert two.hold(place.now) is Hold.WAITING
    await place.pass_time(SECONDS + SETTINGS.lease_retry_seconds, two)
    assert two.hold(place.now) is Hold.HELD


async def test_after_a_clean_stop_nobody_has_to_wait(place: Place) -> None:
    one, two = place.lease("one"), place.lease("two")
    await one.step(place.now)
    await two.step(place.now)
    await one.release()
    assert one.hold(place.now) is Hold.UNSURE
    await place.pass_time(SETTINGS.lease_retry_seconds + 1, two)
    assert (two.hold(place.now), place.holder()) == (Hold.HELD, "two")


async def test_of_two_that_make_the_lease_at_once_one_waits(place: Place) -> None:
    way = place.way()
    way.blind = True
    one, late, two = place.lease("one"), place.lease("late", way=way), place.lease("two")
    for lease in (one, late, two):
        await lease.step(place.now)
    standings = [lease.hold(place.now) for lease in (one, late, two)]
    assert standings == [Hold.HELD, Hold.WAITING, Hold.WAITING]
    assert place.holder() == "one"


async def test_of_two_that_take_over_at_once_one_waits(place: Place) -> None:
    await place.lease("gone").step(place.now)
    way = place.way()
    one, two = place.lease("one"), place.lease("two", way=way)
    await one.step(place.now)
    await two.step(place.now)
    place.clock.advance(SECONDS)
    way.others = ((one, place.now),)
    await two.step(place.now)
    assert (one.hold(place.now), two.hold(place.now)) == (Hold.HELD, Hold.WAITING)


async def test_the_next_process_of_a_state_directory_goes_on_at_once(place: Place) -> None:
    await place.lease("one").step(place.now)
    again = place.lease("one")
    await again.step(place.now)
    assert again.hold(place.now) is Hold.HELD


async def test_two_processes_of_one_identity_do_not_both_hold(place: Place) -> None:
    first, copy = place.lease("one"), place.lease("one")
    await first.step(place.now)
    place.clock.advance(1)
    await copy.step(place.now)
    place.clock.advance(SETTINGS.lease_renew_seconds)
    with pytest.raises(LeaseLostError):
        await first.step(place.now)


async def test_an_api_server_that_is_away_makes_unsure_and_loses_nothing(place: Place) -> None:
    lease = place.lease("one")
    await lease.step(place.now)
    place.recorder.lost = True
    await place.pass_time(SECONDS, lease)
    assert lease.hold(place.now) is Hold.UNSURE
    place.recorder.lost = False
    await place.pass_time(SETTINGS.lease_retry_seconds + 1, lease)
    assert (lease.hold(place.now), place.live()["spec"]["leaseTransitions"]) == (
        Hold.HELD,
        0,
    )


async def test_a_write_whose_answer_was_lost_is_no_loss_of_the_lease(place: Place) -> None:
    lease = place.lease("one")
    await lease.step(place.now)
    place.recorder.silent = True
    await place.pass_time(SETTINGS.lease_renew_seconds + 1, lease)
    place.recorder.silent = False
    await place.pass_time(SETTINGS.lease_retry_seconds + 1, lease)
    assert lease.hold(place.now) is Hold.HELD


async def test_a_lease_that_somebody_deleted_is_made_again(place: Place) -> None:
    lease = place.lease("one")
    await lease.step(place.now)
    place.cluster.server.delete(KEY)
    await place.pass_time(SETTINGS.lease_renew_seconds + 1, lease)
    assert (lease.hold(place.now), place.holder()) == (Hold.HELD, "one")


@pytest.mark.parametrize(
    ("spec", "seconds"),
    [
        ({}, 40),
        ({"leaseDurationSeconds": 15}, 40),
        ({"leaseDurationSeconds": 60}, 60),
        ({"leaseDurationSeconds": 10**9}, 3600),
        ({"leaseDurationSeconds": "x"}, 40),
    ],
)
def test_how_long_a_holder_is_given(spec: dict[str, object], seconds: float) -> None:
    assert lease_seconds({"spec": spec}, 40) == seconds


async def test_without_a_lease_nothing_is_asked(place: Place) -> None:
    lease = place.lease("one", Settings(lease_seconds=0))
    await lease.step(place.now)
    assert lease.hold(place.now) is Hold.HELD
    assert (place.recorder.reads, place.recorder.all_writes) == ([], [])
