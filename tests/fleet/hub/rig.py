"""A hub over a real store with a repository of values, moved by hand; agents that do as asked.

A commit is a dict: cluster → bundle → content. `Rig.reopen` forgets all memory, as a kill does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from agents.leaving import has_left
from agents.protocol import (
    ABSENT,
    Artifact,
    BundleDeployment,
    Deletion,
    DeploymentReport,
    Health,
    Offer,
    Options,
    RegisterRequest,
    Report,
    ReportAnswer,
    StartRequest,
    SyncState,
    Target,
)
from clusters.clock import FakeClock
from fleet.errors import RequestError, SourceError
from fleet.hub.hub import Hub
from fleet.hub.observing import Observer
from fleet.hub.planning import Planned
from fleet.hub.settings import HubSettings
from fleet.model import Bundle, Cluster, ClusterGroup, PolicyDocument, Problem, Rendered, Repo, Tree
from fleet.placement import Placement
from fleet.plan import Plan, PlanEntry
from fleet.rollout import read_policies
from fleet.rollout.decisions import EVERY_GROUP, Actor, Verb
from fleet.source import Commit
from fleet.store import Store, open_store
from fleet.store.hub_key import hub_key

Content = Mapping[str, Mapping[str, str | None]]
"""Cluster → bundle → content; `None`: it did not render."""

COALESCE_SECONDS = 10
SECRET = "c4n4ry-0f-a-v4riable"


@dataclass(frozen=True)
class Given:
    """One commit as values."""

    content: Content
    policies: tuple[PolicyDocument, ...] = ()
    problems: tuple[Problem, ...] = ()
    held: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()
    trailers: tuple[tuple[str, str], ...] = ()
    author: str = "ana"
    held_clusters: frozenset[str] = frozenset()
    deletion: Mapping[str, Deletion] = field(default_factory=dict)
    """Of clusters that do not say `orphan`."""

    def with_content(self, content: Content) -> Given:
        """The same, but for what clusters run."""
        return replace(self, content=content)


@dataclass(frozen=True)
class ValueTree:
    """A tree that only has a commit; the planner of the rig looks the content up."""

    commit: str


@dataclass
class ValueRepository:
    """Git as values: the last commit is the branch's newest."""

    commits: list[str] = field(default_factory=list)
    given: dict[str, Given] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    """`refs/heads/…` and `refs/tags/…` beside the branch that is followed → commit."""
    away: bool = False

    def push(self, given: Given) -> str:
        """One more commit."""
        commit = f"{len(self.given) + 1:040x}"
        self.commits.append(commit)
        self.given[commit] = given
        return commit

    def fetch(self) -> str:
        if self.away:
            raise SourceError("the Git host does not answer", at="git.example", fix="wait")
        return self.commits[-1]

    def tree(self, commit: str) -> Tree:
        return ValueTree(commit)  # type: ignore[return-value]

    def resolve(self, rev: str) -> str:
        found = self.refs.get(rev, rev)
        if found not in self.given:
            raise SourceError(f"{rev!r} names no commit", code="source-no-commit")
        return found

    def tags(self) -> Mapping[str, str]:
        found = self.refs.items()
        return {r.removeprefix("refs/tags/"): c for r, c in found if r.startswith("refs/tags/")}

    def plan_part(
        self, tree: Tree, content: Tree, choose: Callable[[Repo], frozenset[str]]
    ) -> tuple[Planned, frozenset[str]]:
        """Bundles of another commit: a cluster that it does not have gets what its group has."""
        own, other = self.given[tree.commit].content, self.given[content.commit].content
        of_group = {group_of(name): bundles for name, bundles in other.items()}
        held = {name: other.get(name, of_group.get(group_of(name), {})) for name in own}
        part = planned_of(content.commit, replace(self.given[content.commit], content=held))
        return part, choose(part.repo)

    def log(self, commit: str) -> Commit:
        number = int(commit, 16)
        given = self.given.get(commit, Given({}))
        return Commit(
            commit,
            f"Commit {number}",
            given.author,
            FakeClock().now(),
            authors=(given.author,),
            trailers=given.trailers,
        )

    def authors_since(self, before: str, after: str) -> tuple[str, ...]:
        known = list(self.given)
        number = known.index(before) + 1 if before in known else 0
        since = known[number : known.index(after) + 1]
        return tuple(sorted({name for one in since for name in self.log(one).authors}))

    def plan_tree(self, tree: Tree) -> Planned:
        """A plan without layout and tools: what the commit's values say."""
        return planned_of(tree.commit, self.given[tree.commit])


def artifact_of(bundle: str, content: str) -> bytes:
    """The bytes of a bundle with that content; `v1&more` has an object `more` too."""
    said, *others = content.split("&")
    kept = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": bundle}, "data": said}
    more = ({**kept, "metadata": {"name": name}, "data": {}} for name in others)
    return Artifact(bundle=bundle, objects=(kept, *more)).to_bytes()


def deployment_of(bundle: str, content: str, commit: str = "") -> BundleDeployment:
    """The bundle deployment of that content; its variable holds the canary."""
    digest = Artifact.model_validate_json(artifact_of(bundle, content)).digest()
    return BundleDeployment.of(bundle, digest, {"password": SECRET}, Options(), commit)


def planned_of(commit: str, given: Given) -> Planned:
    """The plan that the values stand for; a cluster's name begins with its group."""
    names = sorted(given.content)
    clusters = tuple(
        Cluster(
            n,
            labels={"env": group_of(n)},
            at="clusters.yaml",
            deletion=given.deletion.get(n, Deletion.ORPHAN),
        )
        for n in names
    )
    groups = tuple(
        ClusterGroup(g, tuple(n for n in names if group_of(n) == g))
        for g in sorted({group_of(n) for n in names})
    )
    bundles = sorted({b for bundles in given.content.values() for b in bundles})
    repo = Repo(
        commit,
        clusters,
        groups,
        tuple(Bundle(b, (), labels={"team": b}) for b in bundles),
        given.policies,
        held=given.held,
        unread=given.unread,
    )
    rendered: dict[str, Rendered] = {}
    classes = []
    for name in names:
        entries = []
        for bundle, content in sorted(given.content[name].items()):
            deployment = None
            if content is not None:
                deployment = deployment_of(bundle, content, commit)
                data = artifact_of(bundle, content)
                rendered[deployment.artifact] = Rendered(deployment.artifact, data)
            entries.append(PlanEntry(bundle, deployment, f"apps/{bundle} by place", bundle))
        classes.append(tuple(entries))
    plan = Plan(
        commit,
        tuple(classes),
        {name: index for index, name in enumerate(names)},
        given.problems,
        given.held,
        given.held_clusters,
        unread=given.unread,
    )
    book = read_policies(given.policies, [g.name for g in groups])
    return Planned(repo, Placement(), plan, rendered, book)


def group_of(cluster: str) -> str:
    """`staging-1` is in `staging`."""
    return cluster.rpartition("-")[0]


def fleet(staging: int, production: int, **bundles: str) -> dict[str, dict[str, str | None]]:
    """Content for that many clusters, all with the same bundles."""
    names = [f"staging-{n + 1}" for n in range(staging)]
    names += [f"production-{n + 1}" for n in range(production)]
    return {name: dict(bundles) for name in names}


def counter() -> Iterable[str]:
    """Tokens that a test can foresee."""
    number = 0
    while True:
        number += 1
        yield f"token-{number:032d}"


class Agent:
    """An agent over the desk: starts what is offered, runs what is current, reports it healthy."""

    def __init__(self, rig: Rig, cluster: str, incarnation: str = "one") -> None:
        self.rig, self.cluster, self.incarnation = rig, cluster, incarnation
        self.sequence = 0
        self.broken: set[str] = set()
        """Digests that turn out Degraded here."""
        self.refuses: set[str] = set()
        """Digests that fail to be applied here."""
        self.started: list[tuple[int, str]] = []
        """(generation, run) that were granted, in order."""

    def register(self, trouble: str = "") -> None:
        """Introduce this incarnation."""
        asked = RegisterRequest(cluster=self.cluster, incarnation=self.incarnation, trouble=trouble)
        self.rig.hub.desk.register(asked)

    def target(self) -> Target:
        """What the hub says now."""
        return self.rig.hub.desk.target(self.cluster)

    def start(self, offer: Offer) -> Target:
        """Ask for a start."""
        asked = StartRequest(
            run=offer.run, generation=offer.generation, incarnation=self.incarnation
        )
        target = self.rig.hub.desk.start(self.cluster, asked)
        self.started.append((offer.generation, offer.run))
        return target

    def report(self, *deployments: DeploymentReport, full: bool = False) -> ReportAnswer:
        """Send one report with the next sequence number."""
        self.sequence += 1
        target = self.target()
        return self.rig.hub.desk.report(
            Report(
                cluster=self.cluster,
                incarnation=self.incarnation,
                sequence=self.sequence,
                full=full,
                epoch=target.epoch,
                serial=target.serial,
                left=has_left(target),
                deployments=deployments,
            )
        )

    def states(self) -> list[DeploymentReport]:
        """Everything that is current, applied."""
        target = self.target()
        return [self._state(d, target.generations[d.bundle]) for d in target.current]

    def _state(self, d: BundleDeployment, generation: int) -> DeploymentReport:
        health = Health.DEGRADED if d.digest in self.broken else Health.HEALTHY
        return DeploymentReport(
            bundle=d.bundle,
            digest=d.digest,
            generation=generation,
            sync=SyncState.FAILED if d.digest in self.refuses else SyncState.SYNCED,
            health=health,
            objects_total=0 if d.digest == ABSENT else 1,
        )

    def turn(self) -> None:
        """Start what is offered and report how things stand."""
        for offer in self.target().offers:
            with suppress(RequestError):
                self.start(offer)
        self.report(*self.states())


class Rig:
    """One hub, its repository, its clock and its agents."""

    def __init__(self, folder: Path, *, open_with: type[Store] | None = None) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.repository = ValueRepository()
        self.settings = HubSettings(
            repo="values", state_dir=folder, degraded_seconds=5, heartbeat_seconds=10
        )
        self.agents: dict[str, Agent] = {}
        self.policies: tuple[PolicyDocument, ...] = ()
        self._mint = iter(counter())
        self.store = self.open_store()
        self.hub = self._hub()

    def open_store(self) -> Store:
        """The store of the folder; tests of crashes open another kind."""
        return open_store(self.folder)

    def _hub(self) -> Hub:
        observer = Observer(
            self.store,
            self.repository,
            self.repository.plan_tree,
            "git.example/fleet",
            self.repository.plan_part,
        )
        return Hub(
            self.store,
            observer,
            self.settings,
            self.clock,
            mint=lambda: next(self._mint),
            key=hub_key(self.folder),
            rng=Random(1),
        )

    def reopen(self) -> None:
        """Kill the hub and start it again: only the folder is left."""
        self.store.close()
        self.store = self.open_store()
        self.hub = self._hub()

    def push(self, content: Content, **more: object) -> str:
        """Commit."""
        return self.repository.push(Given(content, **more))  # type: ignore[arg-type]

    def look(self) -> bool:
        """Poll and plan now, and let the pushes settle (`source.coalesce`, 10 s)."""
        is_new = self.hub.look(self.clock.now())
        if is_new:
            self.clock.advance(COALESCE_SECONDS)
        return is_new

    def release(self) -> None:
        """Propose and advance until nothing more happens at this moment."""
        for _ in range(20):
            _, wake = self.hub.release(self.clock.now())
            if wake > self.clock.now():
                return
        raise AssertionError("the hub does not come to rest at one moment")

    def join(self, *clusters: str) -> None:
        """Agents of these clusters register."""
        for name in clusters:
            self.agents[name] = Agent(self, name)
            self.agents[name].register()

    def turn(self, seconds: float = 1) -> None:
        """Every agent acts, the hub acts, time passes."""
        for agent in self.agents.values():
            agent.turn()
        self.clock.advance(seconds)
        self.release()

    def converge(self, turns: int = 40) -> None:
        """Turn until no run is live."""
        self.release()
        for _ in range(turns):
            if not self.live():
                return
            self.turn()
        raise AssertionError(f"still live: {self.states()}")

    def states(self) -> dict[str, str]:
        """Run → state."""
        with self.store.read() as c:
            return {r["uid"]: r["state"] for r in c.execute("SELECT uid, state FROM run")}

    def live(self) -> list[str]:
        """Runs that have not ended, oldest first."""
        with self.store.read() as c:
            rows = c.execute("SELECT uid FROM run WHERE ended_at IS NULL ORDER BY number")
            return [r["uid"] for r in rows]

    def runs_what(self, bundle: str) -> dict[str, str]:
        """Cluster → digest of the bundle that is current there."""
        current = [(name, d) for name, agent in self.agents.items() for d in agent.target().current]
        return {name: d.digest for name, d in current if d.bundle == bundle}

    def offered(self) -> set[str]:
        """Clusters that have an open offer."""
        return {name for name, agent in self.agents.items() if agent.target().offers}

    def decide(self, verb: Verb, run: str = "", **more: str) -> str:
        """Decide on a run, the only live one unless named."""
        ana = Actor("ana", (EVERY_GROUP,))
        return self.hub.desk.decide(run or self.live()[0], verb, actor=ana, **more)

    def approve_removals(self, bundle: str) -> str:
        """Let the held removals of a bundle go."""
        ana = Actor("ana", (EVERY_GROUP,))
        return self.hub.desk.decide_for_fleet(Verb.APPROVE_REMOVALS, actor=ana, bundle=bundle)

    def problems(self) -> set[str]:
        """The codes of all problems."""
        with self.store.read() as c:
            return {row["code"] for row in c.execute("SELECT code FROM problem")}
