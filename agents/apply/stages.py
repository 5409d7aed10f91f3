"""Writing a bundle's objects, stage by stage, with a dry-run of each stage before its first write.

    for each stage:  dry-run what is not known unchanged ── any failure → write none of the stage
                     write, rank by rank, in parallel within a rank ── failures end after the rank
                     CRDS: not all established → come back soon

What it never does: wait. What is not ready yet is `pending`, and a later call does the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from agents.apply.attempt import Attempt, Permit, adopt
from agents.apply.order import Stage, rank_of, stage_of, waves
from agents.apply.outcome import Failure
from agents.apply.ownership import Claimant
from agents.apply.policy import ApplyPolicy, may_recreate
from agents.apply.site import Site
from agents.apply.state import BundleState
from agents.apply.wanted import Wanted
from agents.diff import differences
from agents.health import assess
from agents.protocol import Health
from clusters.errors import ClusterError
from clusters.objects import Kind, Object, ObjectKey, key_of


@dataclass(slots=True)
class Written:
    """What writing came to; with neither failures nor pending it is complete."""

    live: dict[ObjectKey, Object] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """May the next stage begin?"""
        return not self.failures and not self.pending


async def write_stages(
    site: Site,
    state: BundleState,
    wanted: Mapping[ObjectKey, Wanted],
    live: Mapping[ObjectKey, Object],
    claimant: Claimant,
    *,
    recreate: bool,
) -> Written:
    """Bring every wanted object to the cluster; `live` is what is known to be there.

    Stops after the first stage that is not complete, and where the work is superseded.
    """
    total = Written()
    for stage in Stage:
        chosen = [item for item in wanted.values() if stage_of(item.key) is stage]
        if not chosen:
            continue
        if site.superseded():
            total.pending.append("a newer target takes over")
            return total
        work = _StageWork(site, state, live, claimant, recreate)
        await work.run(chosen, total)
        if stage is Stage.CRDS and not total.failures:
            await _established(site, [item.key for item in chosen], total)
        if not total.complete:
            return total
    return total


@dataclass(frozen=True, slots=True)
class _StageWork:
    site: Site
    state: BundleState
    live: Mapping[ObjectKey, Object]
    claimant: Claimant
    recreate: bool

    async def run(self, chosen: Collection[Wanted], total: Written) -> None:
        """One stage: dry-run all, then write rank by rank."""
        due = await self._due(chosen, total)
        tried = dict(zip(due, await self.site.each(due.values(), _try_out), strict=True))
        refused = {key: item for key, item in tried.items() if isinstance(item, Failure)}
        later = _waits_for_own_stage(refused, due)
        total.failures += [item for key, item in refused.items() if key not in later]
        if total.failures:
            return
        for wave in waves(due):

            async def write(key: ObjectKey) -> None:
                permit = tried[key] if key not in later else await due[key].try_out()
                if isinstance(permit, Failure):
                    total.failures.append(permit)
                else:
                    await self._write(due[key], permit, total)

            await self.site.each(wave, write)
            if total.failures:
                return

    async def _due(self, chosen: Collection[Wanted], total: Written) -> dict[ObjectKey, Attempt]:
        """What has to be tried; the rest goes into `total` as it is."""
        changed = [item for item in chosen if not self._unchanged(item, total)]
        tender = [item for item in changed if item.policy is ApplyPolicy.IF_NOT_PRESENT]
        kept = await self._present([item.key for item in tender], total)
        return {item.key: self._attempt(item) for item in changed if item.key not in kept}

    async def _present(self, keys: Collection[ObjectKey], total: Written) -> set[ObjectKey]:
        """Objects of `if-not-present` that are there: taken from a former bundle, else left."""
        found = await self.site.live(keys)
        for key, live in found.items():
            if isinstance(live, Failure):
                total.failures.append(live)
            elif live is not None:
                done = await adopt(self.site, key, live, self.claimant)
                if isinstance(done, Failure):
                    total.failures.append(done)
                else:
                    total.live[key] = done
        return {key for key, live in found.items() if live is not None}

    def _attempt(self, item: Wanted) -> Attempt:
        live = self.live.get(item.key)
        recreate = self.recreate or may_recreate(item.object)
        return Attempt(self.site, self.claimant, item, self._settled(item), live, recreate)

    def _unchanged(self, item: Wanted, total: Written) -> bool:
        """Is the live object known, or seen by comparison, to be in order under these bytes?"""
        live = self.live.get(item.key)
        if live is None or live["metadata"].get("deletionTimestamp"):
            return False
        known = self.state.known.get(item.key)
        if known is None or known.wanted != item.digest:
            return False
        if not self.state.is_known(item.key, item.digest, live) and differences(
            self._settled(item), live
        ):
            return False
        self._done(item, live, total)
        return True

    def _settled(self, item: Wanted) -> Object:
        scaled = item.key in self.state.scaled
        return item.settled(self.live.get(item.key), self.site.manager, scaled=scaled)

    async def _write(self, attempt: Attempt, permit: Permit, total: Written) -> None:
        item = attempt.wanted
        if permit.unchanged and attempt.live is not None:
            self._done(item, attempt.live, total)
            return
        # A write that is lost on the way may have happened: nothing is known of the object then.
        self.state.known.pop(item.key, None)
        if permit.recreate and not await self._removed(item, total):
            return
        done = await attempt.write(permit)
        if isinstance(done, Failure):
            total.failures.append(done)
        elif done["metadata"].get("deletionTimestamp"):
            total.pending.append(f"{item.key} is still being deleted")
        else:
            self._done(item, done, total)

    def _done(self, item: Wanted, live: Object, total: Written) -> None:
        self.state.remember(item.digest, live)
        # Who manages which field is known by now, and is half of what an object takes in memory.
        metadata = {k: v for k, v in live["metadata"].items() if k != "managedFields"}
        total.live[item.key] = {**live, "metadata": metadata}

    async def _removed(self, item: Wanted, total: Written) -> bool:
        """Delete the old object of a recreation; is it gone already?"""
        try:
            live = await self.site.cluster.get(item.key)
            if live is not None:
                uid = live["metadata"].get("uid", "")
                await self.site.cluster.delete(item.key, propagation="Foreground", uid=uid)
                live = await self.site.cluster.get(item.key)
        except ClusterError as error:
            total.failures.append(Failure.of(item.key, error, item.object))
            return False
        if live is not None:
            total.pending.append(f"{item.key} is being recreated")
        return live is None


async def _try_out(attempt: Attempt) -> Permit | Failure:
    return await attempt.try_out()


def _waits_for_own_stage(
    refused: Mapping[ObjectKey, Failure], due: Mapping[ObjectKey, Attempt]
) -> set[ObjectKey]:
    """Refused objects whose refusal names an object that the same stage is about to make.

    Such as a Pod whose ServiceAccount, or a binding whose Role, comes with it. They are tried
    again, one by one, when that one is written; if others are refused too, they are not told.
    """
    made = [key for key, item in due.items() if item.live is None and key not in refused]
    return {
        key
        for key, failure in refused.items()
        if failure.code in _DEPENDENT and any(_names(failure, other) for other in made)
    }


def _names(failure: Failure, other: ObjectKey) -> bool:
    return f'"{other.name}"' in failure.message and rank_of(other) < rank_of(failure.key)


_DEPENDENT = frozenset({"admission", "forbidden", "not-found"})


async def _established(site: Site, keys: Collection[ObjectKey], total: Written) -> None:
    """Custom resources need their kinds served: look, and let discovery look again."""
    waiting = [key for key in keys if not _is_established(total.live.get(key))]
    for key, live in (await site.live(waiting)).items():
        if isinstance(live, Failure):
            total.failures.append(live)
        elif not _is_established(live):
            total.pending.append(f"{key} is not established yet")
        else:
            assert live is not None
            total.live[key] = live
    if total.complete:
        await _serve(site, [total.live[key] for key in keys], total)


async def _serve(site: Site, crds: list[Object], total: Written) -> None:
    """Let discovery look again, if it does not know the kinds of these CRDs yet."""
    kinds = [Kind(crd["spec"]["group"], crd["spec"]["names"]["kind"]) for crd in crds]
    try:
        known = await site.cluster.discover()
        if not all(known.find(kind) for kind in kinds):
            await site.cluster.discover(refresh=True)
    except ClusterError as error:
        total.failures.append(Failure.of(key_of(crds[0]), error))


def _is_established(crd: Object | None) -> bool:
    return crd is not None and assess(crd).health is Health.HEALTHY
