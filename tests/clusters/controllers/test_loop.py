"""The loop works in proportion to what changed, survives refusals, and can take over."""

from __future__ import annotations

from clusters.clock import FakeClock
from clusters.errors import QuotaError
from clusters.objects import Kind, Object, ObjectKey
from clusters.simulation.controllers import Controllers
from clusters.simulation.server import ApiServer
from tests.clusters.controllers.lab import Lab, deployment, service

WEB = ObjectKey("apps", "Deployment", "default", "web")


class Stingy(ApiServer):
    """A server with a quota for pods, which counts its refusals."""

    allowed = 2
    refusals = 0
    refused: tuple[str, ...] = ()

    def create(
        self, obj: Object, *, manager: str = "", dry_run: bool = False, validation: str = "Warn"
    ) -> Object:
        """Refuse a pod too many."""
        pods = sum(1 for _ in self.peek_all(Kind("", "Pod")))
        if obj["kind"] in self.refused:
            raise QuotaError(f"exceeded quota: {obj['kind']}")
        if obj["kind"] == "Pod" and pods >= self.allowed:
            self.refusals += 1
            raise QuotaError("exceeded quota: pods")
        return super().create(obj, manager=manager, dry_run=dry_run, validation=validation)


def named(obj: Object, name: str) -> Object:
    """The same workload under another name and label."""
    labels = {"app": name}
    spec = obj["spec"] | {"selector": {"matchLabels": labels}}
    spec["template"] = spec["template"] | {"metadata": {"labels": labels}}
    return obj | {"metadata": obj["metadata"] | {"name": name}, "spec": spec}


def writes_of_one_more(others: int) -> list[str]:
    """What is written for one Deployment beside so many that are at rest."""
    lab = Lab()
    for number in range(others):
        lab.apply(named(deployment("web:1", 1), f"other-{number}"))
    lab.run(10)
    lab.journal.changes.clear()
    lab.apply(deployment("web:1", 1))
    lab.run(10)
    return [f"{change.type} {change.key}" for change in lab.journal.changes]


def test_a_change_costs_the_same_however_much_else_there_is() -> None:
    alone = writes_of_one_more(0)
    assert writes_of_one_more(20) == alone
    assert len(alone) < 20


def test_a_write_that_is_refused_is_tried_again_ever_more_rarely() -> None:
    clock = FakeClock()
    server = Stingy(clock, 7, "lab")
    controllers = Controllers(server, clock, 7)
    server.apply(deployment("web:1", 3), manager="fleet/shop")
    for _ in range(600):
        controllers.step(clock.now())
        clock.advance(0.1)
    assert sum(1 for _ in server.peek_all(Kind("", "Pod"))) == 2
    assert 4 <= server.refusals <= 10
    assert failure(server) == ("True", "FailedCreate", "exceeded quota: pods")
    assert server.peek(WEB)["status"]["readyReplicas"] == 2  # type: ignore[index]
    server.allowed = 3
    for _ in range(120):
        controllers.step(clock.now())
        clock.advance(1)
    found = server.peek(WEB)
    assert found is not None
    assert found["status"]["readyReplicas"] == 3
    assert failure(server) == ()


def failure(server: ApiServer) -> tuple[str, ...]:
    """Status, reason and message of the Deployment's ReplicaFailure."""
    found = server.peek(WEB)
    for condition in found["status"]["conditions"] if found else ():
        if condition["type"] == "ReplicaFailure":
            return condition["status"], condition["reason"], condition["message"]
    return ()


def test_a_replica_set_that_is_refused_is_told_of_by_its_deployment() -> None:
    clock = FakeClock()
    server = Stingy(clock, 7, "lab")
    server.refused = ("ReplicaSet",)
    controllers = Controllers(server, clock, 7)
    server.apply(deployment("web:1", 1), manager="fleet/shop")
    controllers.step(clock.now())
    found = server.peek(WEB)
    assert found is not None
    (progressing,) = found["status"]["conditions"]
    assert (progressing["status"], progressing["reason"]) == ("False", "ReplicaSetCreateError")
    assert progressing["message"] == "exceeded quota: ReplicaSet"


def test_controllers_that_start_later_take_over_what_is_there() -> None:
    lab = Lab()
    lab.apply(service())
    lab.apply(deployment("web:1"))
    lab.run(0.3)
    lab.controllers.close()
    before = {pod["metadata"]["uid"] for pod in lab.pods(app="web")}
    lab.controllers = Controllers(lab.server, lab.clock, 7)
    lab.run(5)
    assert lab.status(WEB)["readyReplicas"] == 3
    assert {pod["metadata"]["uid"] for pod in lab.pods(app="web")} == before


def test_closed_controllers_hear_of_nothing() -> None:
    lab = Lab()
    lab.controllers.close()
    lab.apply(deployment("web:1"))
    lab.run(10)
    assert lab.pods() == []


def test_a_status_that_somebody_else_writes_is_put_right() -> None:
    lab = Lab()
    lab.apply(deployment("web:1"))
    lab.run(5)
    lab.server.patch(
        WEB, {"status": {"readyReplicas": 0}}, manager="somebody", subresource="status"
    )
    lab.run(0)
    assert lab.status(WEB)["readyReplicas"] == 3


def test_a_webhook_configuration_is_left_alone() -> None:
    lab = Lab()
    key = lab.apply(
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "w"},
            "webhooks": [],
        }
    )
    lab.server.patch(key, {"metadata": {"labels": {"a": "b"}}}, manager="cert-manager-cainjector")
    before = lab.see(key)
    lab.run(100)
    assert lab.see(key) == before
