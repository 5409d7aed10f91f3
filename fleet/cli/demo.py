"""`fleet demo`: a commit on its way through a simulated fleet, told as it happens.

    1 first sync   2 a new image tag goes staging → production   3 a bad release stops in staging
    4 `git revert` ships by itself   5 a manual change is healed, one is only reported   6 tables

Everything is real but the clusters: Git, Helm, Kustomize, a hub process, agents over HTTP, kubectl.
With `--repo` it runs a person's own repository and shows every commit until Ctrl-C.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from fleet.api.client import TOKEN_FILE
from fleet.cli import asking
from fleet.cli.explaining import status_text
from fleet.cli.output import visible_lines
from fleet.errors import FleetError
from fleet.world.board import LEGEND, Board
from fleet.world.example import ExampleRepository
from fleet.world.session import Session

LOOK_SECONDS = 0.25
STORY_SECONDS = 60.0
OWN_SECONDS = 300.0
"""How long a person's own repository may take, which can be large, or unable to converge."""
SHOWN = 20
TAGS = ("6.9.0", "6.9.1", "6.9.2-crashloop")


@click.command()
@click.option("--repo", default="", help="Your own fleet repository instead of the example.")
@click.option("--keep", is_flag=True, help="Leave everything running until Ctrl-C.")
def demo(repo: str, keep: bool) -> None:
    """Watch commits go through a simulated fleet: staging, production, drift, revert."""
    folder = Path(tempfile.mkdtemp(prefix="fleet-demo-"))
    began, failed = time.monotonic(), False
    # However it is asked to end, hub and clusters are stopped and the folder is removed.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        example = None if repo else ExampleRepository.make(folder / "fleet-repository")
        where = repo or str(folder / "fleet-repository")
        with Session(folder, where) as session:
            teller = Teller(session)
            teller.begin(where, own=example is None)
            if example is not None:
                tell_story(teller, example)
            teller.tables()
            click.echo(f"\nThe demo took {time.monotonic() - began:.0f} s.")
            if keep or example is None:
                teller.stay()
    except KeyboardInterrupt:
        click.echo("\nstopped; nothing of the demo is left")
    except FleetError:
        failed = True  # the hub's log says more; the error names the folder
        raise
    finally:
        if not failed:
            shutil.rmtree(folder, ignore_errors=True)


class Teller:
    """Says what happens in a session, and gives the approvals that a demo needs."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.board = Board()
        self.approves = True
        self._told: set[tuple[str, str]] = set()

    def say(self, text: str, **style: Any) -> None:
        """One paragraph."""
        click.secho(visible_lines(text), **style)

    def title(self, text: str) -> None:
        """A chapter."""
        self.say(f"\n── {text}", bold=True)

    def begin(self, where: str, *, own: bool) -> None:
        """Hub, clusters and agents, and the first sync; `own`: a person's own repository."""
        session = self.session
        self.title("A hub and its fleet")
        self.say(f"repository  {where if own else 'a copy of the example fleet, for this demo'}")
        self.say(f"hub         {session.hub.url}, a process of its own")
        names = session.declared()
        self.problems()
        self.say(f"clusters    {len(names)} simulated ones, each with its agent; starting …")
        session.start_clusters(names)
        self.title("First sync: every bundle goes through the stages, side by side")
        self.say(LEGEND, dim=True)
        if own:
            self.watch(lambda: self.all_converged() or self.all_paused(), OWN_SECONDS)
            self.unconverged()
        else:
            self.follow(self.all_converged, "the first sync")
        self.say(status_text(session.api.get("/v1/status")).splitlines()[2], fg="green")

    def problems(self) -> None:
        """What the hub finds wrong with the repository, and was not said yet."""
        found = self.session.api.get("/v1/problems")["items"]
        told, self._told = self._told, {(problem["what"], problem["at"]) for problem in found}
        for problem in found:
            if (problem["what"], problem["at"]) not in told:
                self.say(f"{problem['severity']}: {problem['what']} ({problem['at']})", fg="yellow")

    def unconverged(self) -> None:
        """What is not as Git wants it, if anything, and where to read on."""
        rows = self.session.api.get("/v1/bundledeployments")["items"]
        late = [row for row in rows if (row["sync"], row["health"]) != ("Synced", "Healthy")]
        if not late:
            return
        late.sort(key=lambda row: not row["message"])  # reasons first, then those that only wait
        self.say("not converged (yet); fleet explain CLUSTER BUNDLE says more:", fg="red")
        columns = asking.DEPLOYMENT_COLUMNS
        self.say(asking.rows_text(late[:SHOWN], columns, "table").rstrip())
        if len(late) > SHOWN:
            self.say(f"… and {len(late) - SHOWN} more")

    def follow(self, until: Callable[[], bool], what: str, seconds: float = STORY_SECONDS) -> None:
        """Print what changes until it is so. Errors: `FleetError` if it takes too long."""
        if not self.watch(until, seconds):
            raise FleetError(
                f"{what} did not come to its end within {seconds:.0f} s",
                at=str(self.session.folder),
                fix="read hub.log in that folder, which is left for it; remove it afterwards",
            )

    def watch(self, until: Callable[[], bool], seconds: float) -> bool:
        """Print what changes until it is so, or the time is over; was it so?"""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.look()
            if until():
                self.look()
                return True
            time.sleep(LOOK_SECONDS)  # noqa: TID251 - a person waits at a terminal
        return False

    def look(self) -> None:
        """Print the runs that look different, and approve what waits for it."""
        runs = self.session.api.get("/v1/runs")["items"]
        for line in self.board.changes(reversed(runs)):
            self.say(f"{time.strftime('%H:%M:%S')}  {line}")
        for run in runs if self.approves else ():
            for stage in run["stages"]:
                if stage["state"] == "GatedBefore" and run["state"] == "Running":
                    self._approve(run, stage["stage"])

    def _approve(self, run: Any, stage: str) -> None:
        self.say(
            f"          the demo approves, as you would:"
            f"  fleet rollout approve {run['run']} --stage {stage}",
            fg="cyan",
        )
        body = {"actor": "demo", "reason": "the demo approves what waits", "stage": stage}
        self.session.api.post(f"/v1/runs/{run['run']}/approve", body)

    def all_converged(self) -> bool:
        """Does every cluster run what Git wants, healthy, with no run left?"""
        fleet = self.session.api.get("/v1/status")
        count = fleet["bundleDeployments"]
        done = count["synced"] == count["total"] > 0 and not fleet["runs"]
        return done and set(count["health"]) <= {"Healthy"}

    def all_paused(self) -> bool:
        """Are there runs that go on, and does each wait for a person?"""
        runs = [run for run in self.session.api.get("/v1/runs")["items"] if not run["ended"]]
        return bool(runs) and all(run["state"] == "Paused" for run in runs)

    def runs_of(self, commit: str) -> list[Any]:
        """The runs that a commit made."""
        runs = self.session.api.get("/v1/runs")["items"]
        return [run for run in runs if run["commit"] == commit]

    def ended(self, commit: str) -> bool:
        """Has every run of the commit ended (and was there one), and is the fleet converged?"""
        runs = self.runs_of(commit)
        return bool(runs) and all(run["ended"] for run in runs) and self.all_converged()

    def all_healthy(self) -> bool:
        """Is everything Healthy, drifted or not?"""
        return set(self.session.api.get("/v1/status")["bundleDeployments"]["health"]) <= {"Healthy"}

    def tables(self) -> None:
        """The status tables, as the commands print them."""
        api = self.session.api
        self.title("$ fleet status")
        self.say(status_text(api.get("/v1/status")).rstrip())
        for name, columns in (
            ("clusters", asking.CLUSTER_COLUMNS),
            ("bundles", asking.BUNDLE_COLUMNS),
            ("runs", asking.RUN_COLUMNS),
        ):
            self.title(f"$ fleet {name}")
            self.say(asking.rows_text(api.get(f"/v1/{name}")["items"], columns, "table").rstrip())

    def stay(self) -> None:
        """Go on showing commits until Ctrl-C, and say how to look around."""
        session = self.session
        self.approves = False
        self.title("Still running: every commit is shown; Ctrl-C ends it. In another terminal:")
        self.say(
            f"  export FLEET_HUB={session.hub.url}"
            f" FLEET_TOKEN_FILE={session.hub.state_dir / TOKEN_FILE}\n"
            f"  fleet status; fleet runs; fleet explain CLUSTER BUNDLE; fleet rollout approve RUN\n"
            f"  git -C {session.repo} log\n"
            f"  kubectl --kubeconfig {session.kubeconfig}"
            f" --context {next(iter(session.clusters))} get deployments -A"
        )
        while True:
            self.problems()
            self.look()
            time.sleep(LOOK_SECONDS)  # noqa: TID251 - a person waits at a terminal


def tell_story(teller: Teller, example: ExampleRepository) -> None:
    """The four chapters after the first sync."""
    old, new, bad = TAGS
    teller.title(f"A new image tag: {old} → {new}")
    commit = example.set_image_tag(old, new, f"storefront {new}")
    teller.say(f"committed {commit[:12]} to the base that all groups share")
    teller.follow(lambda: teller.ended(commit), "the rollout")

    teller.title(f"A bad release: {new} → {bad}")
    worse = example.set_image_tag(new, bad, f"storefront {bad}")
    teller.say(f"committed {worse[:12]}; its image crashes")
    teller.follow(lambda: any(r["failed"] for r in teller.runs_of(worse)), "the bad release")
    teller.follow(lambda: any(r["state"] == "Paused" for r in teller.runs_of(worse)), "the stop")
    for run in teller.runs_of(worse):
        teller.say(f"{run['run']} is {run['state']}: {run['reason']}", fg="red")
        if all(s["state"] == "Waiting" for s in run["stages"] if s["stage"] != "staging"):
            teller.say("production never saw it", fg="green")

    teller.title("git revert: it brings back what ran before, so it waits for nobody")
    back = example.revert(worse)
    teller.say(f"committed {back[:12]}")
    teller.follow(lambda: teller.ended(back), "the revert")

    teller.title("Somebody changes things by hand")
    change_by_hand(teller, "prd-eu-1", "storefront", "storefront", 3)
    report_by_hand(teller, "prd-us-1", "monitoring", "prometheus")
    teller.follow(teller.all_healthy, "health", 20)  # what was healed is up again


def change_by_hand(teller: Teller, cluster: str, namespace: str, name: str, replicas: int) -> None:
    """`kubectl scale` to 5 where drift is corrected: watch it go back."""
    teller.say(scale(teller, cluster, namespace, name))
    began = time.monotonic()
    words = ("-n", namespace, "get", f"deployment/{name}", "-o", "jsonpath={.spec.replicas}")
    teller.follow(lambda: teller.session.kubectl(cluster, *words) == str(replicas), "healing", 20)
    teller.say(
        f"{cluster}: {name} is back at {replicas} replicas after {time.monotonic() - began:.1f} s",
        fg="green",
    )


def report_by_hand(teller: Teller, cluster: str, bundle: str, name: str) -> None:
    """`kubectl scale` to 5 where drift is only reported: see the difference named."""
    teller.say(scale(teller, cluster, bundle, name))
    path = f"/v1/explain/{cluster}/{bundle}"
    teller.follow(lambda: bool(teller.session.api.get(path)["drift"]), "the drift report", 20)
    for drift in teller.session.api.get(path)["drift"]:
        teller.say(
            f"{cluster}: {drift['object']} {drift['path']}: wanted {drift['wanted']}, live"
            f" {drift['live']}, changed by {drift['manager'] or 'somebody'}; only reported,"
            " as its fleet.yaml says",
            fg="yellow",
        )


def scale(teller: Teller, cluster: str, namespace: str, name: str) -> str:
    """What a person does at night."""
    words = ("-n", namespace, "scale", f"deployment/{name}", "--replicas=5")
    said = teller.session.kubectl(cluster, *words)
    return f"$ kubectl --context {cluster} {' '.join(words)}\n  {said}"
