"""Why a cluster runs what it runs of one bundle, and why not something else.

Three questions in order: what does Git want and where does it say so; what did the hub let the
cluster start, by which run; what does the cluster say. `because` is the answer in sentences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fleet.status.sync import Row

Document = Mapping[str, Any]
HEALED = "healed"
"""The code of an object of which a report says what was set back."""


def explain(
    deployment: Document,
    cluster: Document,
    *,
    objects: Iterable[Document],
    runs: Iterable[Row],
    held: Iterable[Row],
    problems: Iterable[Document],
    stray: Row,
) -> dict[str, Any]:
    """The document of `fleet explain CLUSTER BUNDLE`.

    `deployment` and `cluster` are documents; `objects` is what the agent says of single objects;
    `runs` are rows of live runs that carry the bundle to this cluster (`run`, `stage`, `state`,
    `reason`, `run_state`, `run_reason`); `held` are reasons
    (`code`, `reason`) not to release it; `stray` has `stray` and `stray_generation`.
    """
    carriers: list[dict[str, Any]] = [dict(run) for run in runs]
    objects, reasons = list(objects), [dict(row) for row in held]
    return {
        "cluster": deployment["cluster"],
        "bundle": deployment["bundle"],
        "clusterState": cluster["state"],
        "sync": deployment["sync"],
        "health": deployment["health"],
        "wanted": _wanted_part(deployment),
        "current": {
            "digest": deployment["current"],
            "commit": deployment["commit"],
            "run": deployment["run"],
            "generation": deployment["generation"],
        },
        "reported": _reported_part(deployment),
        "runs": carriers,
        "held": reasons,
        "drift": [entry for o in objects if o["code"] != HEALED for entry in _drift(o)],
        "healed": [entry for o in objects if o["code"] == HEALED for entry in _drift(o)],
        "troubles": [_trouble(o) for o in objects if not _fine(o)],
        "problems": list(problems),
        "because": [
            *_wanted(deployment),
            *_allowed(deployment, carriers, reasons),
            *_there(deployment, cluster, stray),
        ],
    }


def _wanted_part(d: Document) -> dict[str, Any]:
    return {
        "digest": d["wanted"],
        "commit": d["wantedCommit"],
        "source": d["source"],
        "customization": d["customization"],
        "reason": d["reason"],
        "held": d["held"],
        "images": d["images"],
        "charts": d["charts"],
    }


def _reported_part(d: Document) -> dict[str, Any]:
    return {
        "digest": d["reported"],
        "asOf": d["asOf"],
        "since": d["since"],
        "code": d["code"],
        "message": d["message"],
        "objects": d["objects"],
        "objectsReady": d["objectsReady"],
    }


def _drift(obj: Document) -> list[dict[str, Any]]:
    return [{"object": obj["object"], **field} for field in obj.get("drift", ())]


def _fine(obj: Document) -> bool:
    return (obj["sync"], obj["health"]) == ("Synced", "Healthy")


def _trouble(obj: Document) -> dict[str, Any]:
    return {key: obj.get(key, "") for key in ("object", "sync", "health", "code", "message")}


def _wanted(d: Document) -> list[str]:
    if d["held"]:
        return ["what Git wants did not render: the cluster keeps what it has"]
    if d["wanted"] == "absent":
        return [f"Git wants it gone: {d['reason']}"]
    if not d["wanted"]:
        return ["Git wants nothing of it here"]
    source = f"Git wants it from {d['source'] or d['bundle']}: {d['reason']}"
    chosen = f"customization {d['customization']} applies" if d["customization"] else ""
    return [source, chosen] if chosen else [source]


def _allowed(d: Document, runs: list[dict[str, Any]], held: list[dict[str, Any]]) -> list[str]:
    if d["wanted"] in ("", d["current"]):
        return [f"the hub let it start in run {d['run']}"] if d["run"] else []
    said = [_carrier(run) for run in runs] + [row["reason"] for row in held]
    return said or ["no run carries it yet"]


def _carrier(run: Document) -> str:
    said = f"run {run['run']} ({run['run_state']}), stage {run['stage']}: {run['state']}"
    why = run["reason"] or run["run_reason"]
    return f"{said}: {why}" if why else said


def _last_seen(moment: str | None) -> str:
    return f"; its states are as of {moment[:19].replace('T', ' ')}" if moment else ""


def _there(d: Document, cluster: Document, stray: Row) -> list[str]:
    said = []
    if cluster["state"] != "Online":
        said.append(f"the cluster is {cluster['state']}{_last_seen(d['asOf'])}")
    if d["message"]:
        said.append(f"the agent says: {d['message']}")
    if d["drifted"]:
        said.append(f"objects that differ from what was applied and are left so: {d['drifted']}")
    if d["contested"]:
        said.append(
            f"Contested: of {d['contested']} of them another manager keeps setting a field back;"
            " they are left to it for a while"
        )
    if d["paused"]:
        said.append(f"paused by annotation, so not healed: {d['paused']}")
    if d["healed"]:
        said.append(f"{d['healed']} objects were set back since the agent started")
    if stray["stray"]:
        said.append(
            f"the agent reports {stray['stray']} under generation {stray['stray_generation']},"
            " which is not what it was last let start: not counted"
        )
    return said
