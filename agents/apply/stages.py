"""Writing a bundle's objects, stage by stage, with a dry-run of each stage before its first write.

    for each stage:  dry-run what is not known unchanged ── any failure → write none of the stage
                     write, rank by rank, in parallel within a rank ── failures end after the stage
                     CRDS: not all established → come back soon

What it never does: wait. What is not ready yet is `pending`, and a later call does the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from agents.apply.order import Stage, stage_of, waves
from agents.apply.outcome import Failure
from agents.apply.ownership import Claimant
from agents.apply.site import Permit, Site
from agents.apply.state import BundleState
from agents.apply.wanted import Wanted
from agents.diff import differences, settle
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
        due = {item.key: item for item in chosen if not self._unchanged(item, total)}
        tried = await self.site.each(due.values(), self._try_out)
        total.failures += [item for item in tried if isinstance(item, Failure)]
        if total.failures:
            return
        permits = dict(zip(due, tried, strict=True))
        for wave in waves(due):

            async def write(key: ObjectKey) -> None:
                permit = permits[key]
                assert isinstance(permit, Permit)
                await self._write(due[key], permit, total)

            await self.site.each(wave, write)
            if total.failures:
                return

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
        self.state.remember(item.digest, live)
        total.live[item.key] = live
        return True

    def _settled(self, item: Wanted) -> Object:
        scaled = item.key in self.state.scaled
        return settle(item.object, self.live.get(item.key), scaled=scaled)

    async def _try_out(self, item: Wanted) -> Permit | Failure:
        return await self.site.try_out(item.key, self._settled(item), self.claimant, self.recreate)

    async def _write(self, item: Wanted, permit: Permit, total: Written) -> None:
        if permit.recreate and not await self._removed(item, total):
            return
        obj = self._settled(item)
        done = await self.site.write(item.key, obj, self.claimant, force=permit.force)
        if isinstance(done, Failure):
            total.failures.append(done)
        elif done["metadata"].get("deletionTimestamp"):
            total.pending.append(f"{item.key} is still being deleted")
        else:
            self.state.remember(item.digest, done)
            total.live[item.key] = done

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
