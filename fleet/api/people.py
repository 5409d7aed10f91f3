"""The routes of people: questions, decisions, tokens, SQL. The operator token opens all of them.

A person's own token opens all but the making and ending of agents' tokens, and says who decides.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fleet.api.answers import Answers, Document
from fleet.api.face import HubFace
from fleet.api.inbound import Handler, body_of, for_operator, for_people, json_answer
from fleet.api.prospects import Prospects
from fleet.api.selectors import read_selector
from fleet.errors import RequestError
from fleet.model import Selector
from fleet.rollout.decisions import EVERY_GROUP, FLEET_WIDE, OF_A_BUNDLE, Actor, Verb
from fleet.store.access import Access, Caller
from fleet.store.people import People
from fleet.store.query import query
from fleet.store.syncs import SyncOrder


class DecisionBody(BaseModel):
    """`{"actor": "ana", "reason": "looks good", "stage": "production", "clusters": []}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    actor: str = ""
    reason: str = ""
    stage: str = ""
    clusters: tuple[str, ...] = ()
    gate: str = ""


class FleetDecisionBody(BaseModel):
    """`{"actor": "ana", "reason": "incident 7", "bundle": "web", "clusters": []}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    actor: str = ""
    reason: str = ""
    bundle: str = ""
    clusters: tuple[str, ...] = ()


class BundleDecisionBody(BaseModel):
    """`{"actor": "ana", "reason": "CVE-2030-1", "digests": ["sha256:…"], "run": "web-1a2b-7"}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    actor: str = ""
    reason: str = ""
    digests: tuple[str, ...] = ()
    run: str = ""


class QueryBody(BaseModel):
    """`{"sql": "SELECT …"}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sql: str


class SyncBody(BaseModel):
    """`{"actor": "ana", "bundle": "web", "selector": "env=staging", "dryRun": true}`."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    actor: str = ""
    reason: str = ""
    bundle: str = ""
    selector: str = ""
    force: bool = False
    dry_run: bool = Field(default=False, alias="dryRun")
    limit_seconds: float = Field(default=300.0, alias="limitSeconds", ge=1, le=3600)


class NoBody(BaseModel):
    """`{}` or nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def people_routes(hub: HubFace, access: Access) -> list[Route]:
    """Every route of people, each behind the operator token."""
    people = _People(hub, access.people)
    ask = people.answers
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/v1/status", _plain(ask.fleet)),
        ("GET", "/v1/clusters", _listing(ask.clusters)),
        ("GET", "/v1/clusters/{name}", _one(ask.clusters)),
        ("GET", "/v1/groups", _listing(ask.groups)),
        ("GET", "/v1/groups/{name}", _one(ask.groups)),
        ("GET", "/v1/bundles", _listing(ask.bundles)),
        ("GET", "/v1/bundles/{name}", _one(ask.bundles)),
        ("GET", "/v1/bundledeployments", _listing(ask.deployments)),
        ("GET", "/v1/rollout/plan", _plain(hub.preview)),
        ("GET", "/v1/rollout/status", people.progress),
        ("GET", "/v1/rollout/history", people.history),
        ("GET", "/v1/rollout/explain/{cluster}", people.why),
        ("GET", "/v1/runs", people.runs),
        ("GET", "/v1/runs/{uid}", people.run),
        ("GET", "/v1/events", people.events),
        ("GET", "/v1/problems", _plain(ask.problems)),
        ("GET", "/v1/explain/{cluster}/{bundle}", people.explain),
        ("POST", "/v1/query", people.query),
        ("POST", "/v1/runs/{uid}/{verb}", people.decide),
        ("POST", "/v1/fleet/{verb}", people.decide_for_fleet),
        ("POST", "/v1/commits/{commit}/{verb}", people.decide_commit),
        ("POST", "/v1/bundles/{name}/{verb}", people.decide_for_bundle),
        ("GET", "/v1/syncs", _plain(ask.syncs)),
        ("GET", "/v1/syncs/{uid}", people.synced),
        ("POST", "/v1/syncs", people.sync),
        ("POST", "/v1/source/refresh", people.refresh),
    ]
    opened = [(method, path, for_people(access, handler)) for method, path, handler in table]
    for path, handler in (("token", people.token), ("forget", people.forget)):
        where = f"/v1/clusters/{{name}}/{path}"
        opened.append(("POST", where, for_operator(access, handler)))
    return [
        Route(path, handler, methods=[method], name=f"{method} {path}")
        for method, path, handler in opened
    ]


def _plain(question: Callable[[], Document]) -> Handler:
    async def answer(request: Request) -> Response:
        return json_answer(await run_in_threadpool(question))

    return answer


def _listing(question: Callable[[Selector, str], Document]) -> Handler:
    """`?selector=` and `?name=`."""

    async def answer(request: Request) -> Response:
        selector = read_selector(request.query_params.get("selector", ""))
        name = request.query_params.get("name", "")
        return json_answer(await run_in_threadpool(question, selector, name))

    return answer


async def _of_runs(question: Callable[[str, str], Document], request: Request) -> Document:
    """`?run=` and `?commit=`."""
    said = request.query_params
    return await run_in_threadpool(question, said.get("run", ""), said.get("commit", ""))


def _one(question: Callable[[Selector, str], Document]) -> Handler:
    """The one of the name in the path. Errors: 404."""

    async def answer(request: Request) -> Response:
        found = await run_in_threadpool(question, Selector(), request.path_params["name"])
        return json_answer(found["items"][0])

    return answer


class _People:
    def __init__(self, hub: HubFace, known: People) -> None:
        self._hub, self._known = hub, known
        self.answers = Answers(hub.store, hub.location)
        self._prospects = Prospects(hub.store, hub.clock)

    async def progress(self, request: Request) -> Response:
        return json_answer(await _of_runs(self._prospects.progress, request))

    async def history(self, request: Request) -> Response:
        return json_answer(await _of_runs(self._prospects.history, request))

    async def why(self, request: Request) -> Response:
        cluster, run = request.path_params["cluster"], request.query_params.get("run", "")
        return json_answer(await run_in_threadpool(self._prospects.explain, cluster, run))

    async def runs(self, request: Request) -> Response:
        selector = read_selector(request.query_params.get("selector", ""))
        return json_answer(await run_in_threadpool(self.answers.runs, selector))

    async def run(self, request: Request) -> Response:
        uid: str = request.path_params["uid"]
        return json_answer(await run_in_threadpool(self.answers.run, uid))

    async def events(self, request: Request) -> Response:
        text = request.query_params.get("after", "0")
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise RequestError("after is no number", fix="for example ?after=0", code="bad-after")
        return json_answer(await run_in_threadpool(self.answers.events, int(text)))

    async def explain(self, request: Request) -> Response:
        named = request.path_params
        found = await run_in_threadpool(self.answers.explain, named["cluster"], named["bundle"])
        return json_answer(found)

    async def query(self, request: Request) -> Response:
        asked = await body_of(request, QueryBody)
        answer = await run_in_threadpool(query, self._hub.store, asked.sql)
        return json_answer(
            {"columns": answer.columns, "rows": answer.rows, "truncated": answer.truncated}
        )

    async def decide_for_fleet(self, request: Request) -> Response:
        verb = _verb(request.path_params["verb"], FLEET_WIDE)
        asked = await body_of(request, FleetDecisionBody)
        message = await run_in_threadpool(
            self._hub.desk.decide_for_fleet,
            verb,
            actor=self._actor(request.state.caller, asked.actor),
            reason=asked.reason,
            bundle=asked.bundle,
            clusters=asked.clusters,
        )
        return json_answer({"message": message})

    async def decide(self, request: Request) -> Response:
        verb, said = await self._said(request)
        uid = request.path_params["uid"]
        message = await run_in_threadpool(self._hub.desk.decide, uid, verb, **said)
        return json_answer({"message": message})

    async def decide_commit(self, request: Request) -> Response:
        verb, said = await self._said(request)
        commit = request.path_params["commit"]
        done = await run_in_threadpool(self._hub.desk.decide_commit, commit, verb, **said)
        return json_answer({"message": "\n".join(done), "items": done})

    async def decide_for_bundle(self, request: Request) -> Response:
        verb = _verb(request.path_params["verb"], OF_A_BUNDLE)
        asked = await body_of(request, BundleDecisionBody)
        message = await run_in_threadpool(
            self._hub.desk.decide_for_bundle,
            verb,
            request.path_params["name"],
            actor=self._actor(request.state.caller, asked.actor),
            reason=asked.reason,
            digests=asked.digests,
            run=asked.run,
        )
        return json_answer({"message": message})

    async def _said(self, request: Request) -> tuple[Verb, dict[str, Any]]:
        """The verb of the path and what the body says. Errors: 404 for a verb that is none."""
        verb = _verb(request.path_params["verb"], frozenset(Verb) - FLEET_WIDE)
        asked = await body_of(request, DecisionBody)
        return verb, {
            "actor": self._actor(request.state.caller, asked.actor),
            "reason": asked.reason,
            "stage": asked.stage,
            "clusters": asked.clusters,
            "gate": asked.gate,
        }

    def _actor(self, caller: Caller, said: str) -> Actor:
        """Who decides: the person whose token it is; with the operator's, who they say they are.

        Where the hub knows people, whoever has the operator token is none of them.
        """
        if caller.person is not None:
            person = caller.person
            return Actor(person.name, person.groups, person.aliases, "token")
        if self._known.are_known and said.strip():
            return Actor(f"{said} (operator token)", (), (said,), "operator")
        return Actor(said, (EVERY_GROUP,), (), "operator")

    async def sync(self, request: Request) -> Response:
        asked = await body_of(request, SyncBody)
        selector = read_selector(asked.selector)
        found = await run_in_threadpool(self.answers.clusters, selector)
        actor = self._actor(request.state.caller, asked.actor).name
        order = SyncOrder(**{**asked.model_dump(), "actor": actor})
        names = [item["cluster"] for item in found["items"]]
        uid = await run_in_threadpool(self._hub.desk.sync, order, names)
        return json_answer(await run_in_threadpool(self.answers.sync, uid, brief=True), 201)

    async def synced(self, request: Request) -> Response:
        uid: str = request.path_params["uid"]
        brief = "brief" in request.query_params
        return json_answer(await run_in_threadpool(self.answers.sync, uid, brief=brief))

    async def token(self, request: Request) -> Response:
        await body_of(request, NoBody)
        name: str = request.path_params["name"]
        token = await run_in_threadpool(self._hub.desk.token_for, name)
        answer = json_answer({"cluster": name, "token": token, "hubKey": self._hub.desk.hub_key})
        answer.headers["Cache-Control"] = "no-store"
        return answer

    async def forget(self, request: Request) -> Response:
        await body_of(request, NoBody)
        said = await run_in_threadpool(self._hub.desk.forget, request.path_params["name"])
        return json_answer({"message": said})

    async def refresh(self, request: Request) -> Response:
        await body_of(request, NoBody)
        self._hub.refresh()
        return json_answer({"message": "the hub looks at Git now"})


def _verb(name: str, among: Collection[Verb]) -> Verb:
    """The decision of that name. Errors: `RequestError` with status 404."""
    found = next((verb for verb in among if verb.value == name), None)
    if found is None:
        raise RequestError(
            f"there is no decision {name!r} here",
            fix="one of " + ", ".join(sorted(among)),
            code="no-such-decision",
            status=404,
        )
    return found
