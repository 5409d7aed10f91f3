"""A simulated control plane on a clock that the test moves, and workloads to put into it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from clusters.clock import FakeClock
from clusters.objects import Kind, Object, ObjectKey, key_of
from clusters.simulation.controllers import Controllers, Timing
from clusters.simulation.server import ApiServer, Change

POD = Kind("", "Pod")
MAX_STEPS = 2000


class Lab:
    """A server, its controllers and their clock."""

    def __init__(self, seed: int = 7, timing: Timing | None = None, nodes: Any = ("node-1",)):
        self.clock = FakeClock()
        self.server = ApiServer(self.clock, seed, "lab")
        self.controllers = Controllers(self.server, self.clock, seed, timing, nodes)
        self.journal = Journal()
        self.server.subscribe(self.journal.changes.append)
        self.run(0)

    def apply(self, obj: Object, manager: str = "fleet/shop") -> ObjectKey:
        """Apply as an agent would."""
        self.server.apply(obj, manager=manager, force=True)
        return key_of(obj)

    def run(self, seconds: float) -> datetime | None:
        """Let that much time pass, stopping wherever a controller is due; returns what is next."""
        end = self.clock.now().timestamp() + seconds
        for _ in range(MAX_STEPS):
            due = self.controllers.step(self.clock.now())
            now = self.clock.now().timestamp()
            if due is None or due.timestamp() > end:
                self.clock.advance(end - now)
                return due
            self.clock.advance(max(due.timestamp() - now, 0.0001))
        raise AssertionError("the controllers found no rest")

    def see(self, key: ObjectKey) -> Object:
        """The object as it is."""
        found = self.server.peek(key)
        assert found is not None, f"{key} is not there"
        return found

    def status(self, key: ObjectKey) -> Object:
        """Its status."""
        status: Object = self.see(key).get("status", {})
        return status

    def condition(self, key: ObjectKey, type_: str) -> tuple[str, str]:
        """Status and reason of one of its conditions."""
        for condition in self.status(key).get("conditions", ()):
            if condition["type"] == type_:
                return condition["status"], condition.get("reason", "")
        return "", ""

    def pods(self, **labels: str) -> list[Object]:
        """The pods with these labels, by name."""
        found = (p for p in self.server.peek_all(POD) if labels.items() <= _labels(p).items())
        return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))

    def kinds(self, group: str, kind: str) -> list[Object]:
        """All objects of a kind."""
        return list(self.server.peek_all(Kind(group, kind)))


@dataclass
class Journal:
    """Every change since the lab was set up."""

    changes: list[Change] = field(default_factory=list)


def _labels(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def images(lab: Lab, app: str) -> list[str]:
    """Images of an app's pods, by name of pod."""
    return [pod["spec"]["containers"][0]["image"] for pod in lab.pods(app=app)]


def revisions(lab: Lab) -> dict[int, str]:
    """Images of the ControllerRevisions, by their numbers."""
    return {
        found["revision"]: found["data"]["spec"]["template"]["spec"]["containers"][0]["image"]
        for found in lab.kinds("apps", "ControllerRevision")
    }


def template(image: str, app: str = "web", **spec: object) -> Object:
    """A pod template with one container."""
    containers = [{"name": "main", "image": image}]
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": containers, **spec}}


def workload(kind: str, image: str, name: str = "web", **spec: Any) -> Object:
    """A Deployment, StatefulSet or DaemonSet."""
    selector = {"matchLabels": {"app": name}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": selector, "template": template(image, name), **spec},
    }


def deployment(image: str, replicas: int = 3, **spec: Any) -> Object:
    """A Deployment of three."""
    return workload("Deployment", image, replicas=replicas, **spec)


def job(image: str, **spec: object) -> Object:
    """A Job with one pod."""
    pods = template(image, "migrate", restartPolicy="Never")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "migrate", "namespace": "default"},
        "spec": {"template": pods, **spec},
    }


def cron_job(image: str, schedule: str, **spec: object) -> Object:
    """A CronJob `backup` of Jobs that try once."""
    metadata = {"labels": {"part": "backup"}}
    work = {"backoffLimit": 0, "template": template(image, "backup", restartPolicy="Never")}
    job_template = {"metadata": metadata, "spec": work}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "backup", "namespace": "default"},
        "spec": {"schedule": schedule, "jobTemplate": job_template, **spec},
    }


def service(app: str = "web", **spec: object) -> Object:
    """A Service in front of an app's pods."""
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": app, "namespace": "default"},
        "spec": {"selector": {"app": app}, "ports": ports, **spec},
    }
