"""What happened in a story, as far as it must be the same however often the hub was killed.

Per cluster every write in its order; per run its state, and what its history says of run, stages
and clusters. Times differ, since agents wait after a hub that did not answer, and so does whether
the hub saw a cluster in a state that lasts a moment.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from tests.e2e.rollout.world import World

SEEN_IN_PASSING = frozenset({"cluster-started", "cluster-applied", "run-queued"})


def trace(world: World) -> dict[str, Any]:
    """What clusters were given, how the runs ended, and their histories."""
    written: dict[str, list[str]] = {}
    for write in world.true.writes:
        written.setdefault(write.cluster, []).append(f"{write.app}:{write.tag}")
    runs = world.runs()
    return {
        "written": written,
        "running": world.true.running("web"),
        "runs": [
            (run["title"], run["lane"], run["state"], _timeless(run["reason"])) for run in runs
        ],
        "told": {run["number"]: _told(world, run["uid"]) for run in runs},
        "decided": {(d["verb"], d["actor"], d["stage"]) for d in world.decisions()},
        "vetoed": world.vetoes(),
    }


def _timeless(text: str) -> str:
    """A run is named by its commit, whose id depends on the time."""
    return re.sub(r"-[0-9a-f]{7}-", "-", text)


def _told(world: World, run: str) -> dict[str, int]:
    found: Counter[str] = Counter()
    for event in world.events(run):
        if event["kind"].startswith("decided-"):
            found[event["kind"]] = 1  # whoever got no answer may have asked again
        elif event["kind"] not in SEEN_IN_PASSING:
            found[f"{event['kind']} {event['stage']} {event['cluster']}"] += 1
    return dict(found)
