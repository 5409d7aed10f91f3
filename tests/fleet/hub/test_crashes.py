"""The hub is killed around every single transaction: nothing is lost, nothing is repeated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agents.protocol import Target
from fleet.store import Connection, Store, open_store
from tests.fleet.hub.rig import Rig, deployment_of, fleet

V1, V2 = (deployment_of("web", f"v{n}").digest for n in (1, 2))
CONTENT = (2, 1)
PARTS = 4
"""So many tests share the kills, since each kill is a story of its own."""


class Killed(BaseException):
    """kill -9, as far as a test in one process can do it."""


class Mortal:
    """Counts the write transactions of a rig and kills it around the chosen one."""

    def __init__(self, at: int, *, committed: bool) -> None:
        self.left, self.committed, self.seen = at, committed, 0

    def arm(self, store: Store) -> Store:
        """The store, which from now on may die."""
        write = store.write

        @contextmanager
        def mortal(*, durable: bool = True) -> Iterator[Connection]:
            self.seen += 1
            self.left -= 1
            dies = self.left == 0
            with write(durable=durable) as c:
                yield c
                if dies and not self.committed:
                    raise Killed
            if dies:
                raise Killed

        store.write = mortal  # type: ignore[method-assign]
        return store


class MortalRig(Rig):
    """A rig whose store dies once; after that it lives."""

    def __init__(self, folder: Path, mortal: Mortal) -> None:
        self.mortal = mortal
        self.granted: dict[tuple[str, int], tuple[str, tuple[str, ...]]] = {}
        """(cluster, generation) → run and digests, as agents saw it offered."""
        self.orders: dict[str, tuple[int, int]] = {}
        super().__init__(folder)

    def open_store(self) -> Store:
        return self.mortal.arm(open_store(self.folder))

    def watch(self) -> None:
        """What every agent sees now must fit what it saw before."""
        for name, agent in self.agents.items():
            self._watch_one(name, agent.target())

    def _watch_one(self, name: str, target: Target) -> None:
        assert target.order >= self.orders.get(name, (0, 0)), "a target went back"
        self.orders[name] = target.order
        for offer in target.offers:
            seen = (offer.run, tuple(d.digest for d in offer.deployments))
            key = (name, offer.generation)
            assert self.granted.setdefault(key, seen) == seen, "a generation was used twice"


def story(rig: MortalRig) -> None:
    """Two commits over three clusters; whoever is killed goes on where the rows say."""
    rig.push(fleet(*CONTENT, web="v1"))
    steps = [
        rig.look,
        lambda: rig.join(*fleet(*CONTENT)),
        *[rig.release, rig.turn] * 8,
        lambda: rig.push(fleet(*CONTENT, web="v2")),
        rig.look,
        *[rig.release, rig.turn] * 8,
    ]
    for step in steps:
        try:
            step()
        except Killed:
            rig.reopen()
            for agent in rig.agents.values():
                agent.register()
            rig.join(*(set(fleet(*CONTENT)) - set(rig.agents)))
            rig.look()
        rig.watch()
    rig.converge()


def transactions(tmp_path: Path) -> int:
    """How many write transactions the story has when nobody dies."""
    mortal = Mortal(0, committed=True)
    story(MortalRig(tmp_path / "count", mortal))
    return mortal.seen


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_a_kill_around_any_transaction_loses_nothing_and_repeats_nothing(
    tmp_path: Path, part: int
) -> None:
    count = transactions(tmp_path)
    assert count > 40
    for at in range(1 + part, count + 1, PARTS):
        for committed in (True, False):
            rig = MortalRig(tmp_path / f"{at}-{committed}", Mortal(at, committed=committed))
            story(rig)
            assert rig.runs_what("web") == dict.fromkeys(fleet(*CONTENT), V2)
            assert rig.live() == []
            assert rig.problems() == set()
            for agent in rig.agents.values():
                generations = [generation for generation, _ in agent.started]
                assert generations == sorted(generations)
            rig.store.close()


def test_reopening_gives_every_cluster_the_same_target(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.push(fleet(2, 2, web="v1", api="v1"))
    rig.look()
    rig.join(*fleet(2, 2))
    for _ in range(12):
        rig.release()
        before = {name: agent.target() for name, agent in rig.agents.items()}
        rig.reopen()
        rig.look()
        assert {name: agent.target() for name, agent in rig.agents.items()} == before
        rig.turn()


def test_a_start_that_was_granted_is_granted_again_after_a_kill(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.push(fleet(1, 0, web="v1"))
    rig.look()
    rig.join("staging-1")
    rig.release()
    agent = rig.agents["staging-1"]
    (offer,) = agent.target().offers
    first = agent.start(offer)
    rig.reopen()
    assert agent.start(offer) == first
    assert [(d.bundle, d.digest) for d in first.current] == [("web", V1)]
