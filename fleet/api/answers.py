"""Documents from rows: `fleet.store.questions` asks, `fleet.status` says. Reads only.

Every answer is one consistent picture: one read transaction. Lists are `{"items": […]}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fleet import __version__, status
from fleet.errors import RequestError
from fleet.model import Selector
from fleet.store import Connection, Store
from fleet.store import questions as rows
from fleet.store.events import epoch
from fleet.store.syncs import result_rows, sync_rows

Document = dict[str, Any]


class Answers:
    """What people ask one hub."""

    def __init__(self, store: Store, location: str) -> None:
        self._store, self._location = store, location

    def fleet(self) -> Document:
        """Everything on one page."""
        with self._store.read() as c:
            clusters = _clusters(c)
            facts = [fact for found in rows.facts_by(c, "cluster").values() for fact in found]
            return status.fleet_document(
                hub={"version": __version__, "epoch": epoch(c)},
                source=self._source(c),
                clusters=clusters,
                groups=_groups(c, clusters),
                runs=_runs(rows.run_rows(c, live=True)),
                problems=[dict(row) for row in rows.problem_rows(c)],
                tally=status.tally(facts),
            )

    def _source(self, c: Connection) -> Document:
        seen, planned = rows.newest_commit(c), rows.newest_commit(c, planned=True)
        shown = seen or {}
        return {
            "location": self._location,
            "commit": shown.get("id", ""),
            "title": shown.get("title", ""),
            "author": shown.get("author", ""),
            "seenAt": shown.get("seen_at"),
            "state": shown.get("state", "unseen"),
            "plannedCommit": planned["id"] if planned else "",
        }

    def clusters(self, selector: Selector, name: str = "") -> Document:
        """Clusters that the selector selects, or the one of that name."""
        with self._store.read() as c:
            found = [d for d in _clusters(c, name) if selector.matches(d["labels"])]
        return _items(found, "cluster", name)

    def groups(self, selector: Selector, name: str = "") -> Document:
        """Groups with a member that the selector selects."""
        with self._store.read() as c:
            clusters = _clusters(c)
            groups = _groups(c, clusters)
        selected = {d["cluster"] for d in clusters if selector.matches(d["labels"])}
        everything = selector == Selector()
        found = [
            g
            for g in groups
            if name in ("", g["group"]) and (everything or selected.intersection(g["clusters"]))
        ]
        return _items(found, "group", name)

    def bundles(self, selector: Selector, name: str = "") -> Document:
        """Bundles whose labels the selector selects.

        Every group has a bundle `<group>-cluster` for what its file brings itself. Where that is
        nothing it would only be noise in a list; asked for by name it is there.
        """
        with self._store.read() as c:
            facts = rows.facts_by(c, "bundle", name)
            own = {f"{row['name']}-cluster" for row in rows.group_rows(c)} if not name else set()
            found = [
                status.bundle_document(row, status.tally(facts.get(row["name"], ())))
                for row in rows.bundle_rows(c, name)
                if selector.matches(row["labels"])
                and (row["name"] not in own or facts.get(row["name"]))
            ]
        return _items(found, "bundle", name)

    def deployments(self, selector: Selector, name: str = "") -> Document:
        """Bundle deployments: of a bundle, of a cluster, of `CLUSTER/BUNDLE`; by cluster labels."""
        cluster, _, bundle = name.partition("/")
        with self._store.read() as c:
            if name and not bundle and not _is_cluster(c, name):
                cluster, bundle = "", name
            labels = {row["name"]: row["labels"] for row in rows.cluster_rows(c)}
            found = [
                status.deployment_document(row)
                for row in rows.deployment_rows(c, cluster, bundle)
                if selector.matches(labels.get(row["cluster"], {}))
            ]
        return _items(found, "bundle deployment", name)

    def runs(self, selector: Selector) -> Document:
        """Runs, newest first; the selector looks at the labels of their bundles."""
        with self._store.read() as c:
            labels = {row["name"]: row["labels"] for row in rows.bundle_rows(c)}
            found = [
                row
                for row in rows.run_rows(c)
                if selector == Selector()
                or any(selector.matches(labels.get(bundle, {})) for bundle in row["bundles"])
            ]
        return {"items": _runs(found)}

    def run(self, uid: str) -> Document:
        """One run with its clusters, history and decisions. Errors: 404, or 409 if ambiguous."""
        with self._store.read() as c:
            row = rows.run_rows(c, rows.one_uid(c, uid))[0]
            return status.run_details(
                _runs([row])[0],
                clusters=rows.run_cluster_rows(c, row["uid"]),
                events=rows.event_rows(c, row["uid"]),
                decisions=rows.decision_rows(c, row["uid"]),
                plan_hash=row["plan_hash"],
            )

    def events(self, after: int) -> Document:
        """The newest history of the whole hub, after a line's number."""
        with self._store.read() as c:
            return {"items": [status.event_document(r) for r in rows.event_rows(c, after=after)]}

    def syncs(self) -> Document:
        """The syncs that are remembered, the newest first, without what was answered."""
        with self._store.read() as c:
            found = [(row, result_rows(c, row["uid"])) for row in sync_rows(c)]
            return {"items": [status.sync_document(row, rs, brief=True) for row, rs in found]}

    def sync(self, uid: str, *, brief: bool) -> Document:
        """One sync with every answer; `brief` without objects. Errors: 404."""
        with self._store.read() as c:
            found = sync_rows(c, uid) if uid else []
            if not found:
                raise RequestError(
                    f"there is no sync {uid!r}",
                    fix="the hub remembers the last ones only: GET /v1/syncs",
                    code="not-found",
                    status=404,
                )
            return status.sync_document(found[0], result_rows(c, uid), brief=brief)

    def problems(self) -> Document:
        """Every problem, errors first."""
        with self._store.read() as c:
            return {"items": [status.problem_document(row) for row in rows.problem_rows(c)]}

    def explain(self, cluster: str, bundle: str) -> Document:
        """Why a cluster runs what it runs of a bundle."""
        with self._store.read() as c:
            found = rows.deployment_rows(c, cluster, bundle)
            clusters = _clusters(c, cluster)
            if not found or not clusters:
                raise _missing("bundle deployment", f"{cluster}/{bundle}")
            problems = [status.problem_document(row) for row in rows.problem_rows(c)]
            return status.explain(
                status.deployment_document(found[0]),
                clusters[0],
                objects=found[0]["objects"],
                runs=rows.carriers_of(c, cluster, bundle),
                held=rows.held_rows(c, cluster, bundle),
                problems=[p for p in problems if _concerns(p, cluster, bundle)],
                stray=found[0],
            )


def _clusters(c: Connection, name: str = "") -> list[Document]:
    facts, groups = rows.facts_by(c, "cluster", name), rows.groups_of_clusters(c)
    return [
        status.cluster_document(
            row, groups.get(row["name"], ()), status.tally(facts.get(row["name"], ()))
        )
        for row in rows.cluster_rows(c, name)
    ]


def _groups(c: Connection, clusters: Iterable[Document]) -> list[Document]:
    facts = rows.facts_by(c, "group")
    by_name = {document["cluster"]: document for document in clusters}
    return [
        status.group_document(row, by_name, status.tally(facts.get(row["name"], ())))
        for row in rows.group_rows(c)
    ]


def _runs(found: Iterable[Mapping[str, Any]]) -> list[Document]:
    return [status.run_document(row, row["stages"], row["clusters"]) for row in found]


def _is_cluster(c: Connection, name: str) -> bool:
    return bool(rows.cluster_rows(c, name))


def _concerns(problem: Document, cluster: str, bundle: str) -> bool:
    return problem["bundle"] == bundle and problem["cluster"] in ("", cluster)


def _items(found: list[Document], what: str, name: str) -> Document:
    if name and not found:
        raise _missing(what, name)
    return {"items": found}


def _missing(what: str, name: str) -> RequestError:
    return RequestError(
        f"there is no {what} {name!r}",
        fix=f"list them all: fleet {what.replace(' ', '')}s",
        code="not-found",
        status=404,
    )
