"""Hostile inputs on a simulated and a real cluster: what is quoted, filled in, or there twice."""

from __future__ import annotations

import base64
import logging
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from agents.agent import Agent
from agents.errors import LeaseLostError
from agents.inventory import NAMESPACE
from agents.protocol import SyncState
from clusters.clock import FakeClock
from clusters.errors import AdmissionError
from clusters.objects import Kind, Object, ObjectKey, key_of
from clusters.simulation.server import Review, Verdict, denial
from tests.agents.log_lines import printed
from tests.agents.memory_hub import CLUSTER
from tests.agents.recorder import Recorder
from tests.agents.samples import config_map, crd, namespace, secret
from tests.clusters.simulation.server.admission.policies import HOOK, rule, webhook
from tests.e2e.agent.real_lab import SETTINGS, SPACE, RealLab

pytestmark = pytest.mark.slow
ADMISSION = "admissionregistration.k8s.io"
CANARY = "c4n4ry-that-a-policy-quotes"
ENCODED = base64.b64encode(CANARY.encode()).decode()
REFUSED = {"refuse": "me"}


def _policy() -> tuple[Object, Object]:
    """Refuses to make a labelled Secret, and to delete any, and quotes what it refuses."""
    rules = [
        rule("secrets", operations=[word]) | {"scope": "*"}
        for word in ("CREATE", "UPDATE", "DELETE")
    ]
    quotes = (
        ("request.operation != 'DELETE'", "string(oldObject.data.password)"),
        (
            "request.operation == 'DELETE' || !('refuse' in object.metadata.?labels.orValue({}))",
            "string(object.data.password)",
        ),
    )
    spec: Object = {
        "matchConstraints": {
            "resourceRules": rules,
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": SPACE}},
        },
        "validations": [
            {"expression": expression, "messageExpression": f"'no ' + {quoted}"}
            for expression, quoted in quotes
        ],
    }
    binding = {"policyName": "fleet-e2e-quotes", "validationActions": ["Deny"]}
    return (
        _of_admission("ValidatingAdmissionPolicy", spec),
        _of_admission("ValidatingAdmissionPolicyBinding", binding),
    )


def _of_admission(kind: str, spec: Object) -> Object:
    meta = {"name": "fleet-e2e-quotes"}
    return {"apiVersion": f"{ADMISSION}/v1", "kind": kind, "metadata": meta, "spec": spec}


def _quoting(review: Review) -> Verdict:
    """The same, as a webhook of a simulated cluster."""
    shown = review.object or review.old_object or {}
    if review.namespace != SPACE:
        return Verdict()
    if review.operation == "DELETE" or "refuse" in (shown["metadata"].get("labels") or {}):
        return denial(f"no {shown['data']}")
    return Verdict()


@asynccontextmanager
async def quoted(lab: RealLab) -> AsyncIterator[None]:
    """The cluster refuses and quotes, until the end of it."""
    made: list[Object] = [webhook(rule("secrets"))]
    if isinstance(lab.clock, FakeClock):
        lab.cluster.server.webhooks[HOOK] = _quoting
    else:
        made = [*_policy()]
    for item in (namespace(SPACE), *made):
        await lab.cluster.apply(item, manager="admin", force=True)
    try:
        for _ in range(200):
            if await _is_refused(lab):
                break
            await lab.run_for(0.1)
        else:
            raise AssertionError("nothing is refused")
        yield
    finally:
        for item in reversed(made):
            await lab.cluster.delete(key_of(item))


async def _is_refused(lab: RealLab) -> bool:
    tried = _labelled(secret("tried", password=CANARY))
    tried["metadata"]["namespace"] = SPACE
    try:
        await lab.cluster.apply(tried, manager="admin", dry_run=True)
    except AdmissionError:
        return True
    return False


def _labelled(obj: Object) -> Object:
    return {**obj, "metadata": {**obj["metadata"], "labels": REFUSED}}


def _printed(lab: RealLab, caplog: pytest.LogCaptureFixture) -> str:
    """All that was told to the hub and written to the log, at every level."""
    told = [item.model_dump_json() for item in lab.hub.received]
    return "\n".join([*told, printed(caplog.records)])


async def test_a_secret_that_a_policy_quotes_is_refused_without_the_quote(
    either: RealLab, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "agents")
    either.agent = _agent(either, "loud", replace(SETTINGS, events=True))
    either.release("web", config_map(), secret("kept", password=CANARY))
    await either.synced("web")
    async with quoted(either):
        either.release("web", config_map(), _labelled(secret("kept", password=f"{CANARY}2")))
        report = await either.code("web", "admission")
        assert "ask the owner of that webhook or policy" in report.message
        await either.until(lambda: either.report("web").sync is SyncState.FAILED)
        either.release("web", config_map(), run="without")
        await either.until(lambda: f"{SPACE}/kept admission" in _failing(either))
        await either.until(lambda: either.report("web").sync is SyncState.FAILED)
        await either.run_for(1)
    events = await either.cluster.list(Kind("", "Event"), namespace=NAMESPACE)
    assert any(item["reason"] == "SyncFailed" for item in events.items)
    for text in (_printed(either, caplog), str(events.items)):
        assert f"Secret {SPACE}/kept" in text
        assert CANARY not in text
        assert ENCODED[:-4] not in text
    await either.synced("web")
    assert await either.live("Secret", "kept") is None


def _failing(lab: RealLab) -> str:
    """The objects that fail, and how."""
    return "\n".join(f"{item.object} {item.code}" for item in lab.report("web").objects)


HOSTILE = {
    "lines": "first\nsecond",
    "quotes": "\"both\" and 'single'",
    "documents": "a\n---\nkind: Secret\n",
    "reference": "${lines} $${lines} ${undeclared:=x}",
    "empty": "",
}
DECLARED = {**HOSTILE, "one": "1"}


async def test_variables_arrive_byte_by_byte_and_nothing_else_is_touched(either: RealLab) -> None:
    shell = "for i in ${i}; do echo ${HOME:-x} ${} ${1x} ${undeclared} $${one}; done"
    definition = crd()
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["description"] = f"{shell} ${{one}}"
    settings = config_map(
        script=shell, fallback="${empty:=none}", **{name: f"<${{{name}}}>" for name in HOSTILE}
    )
    hidden = secret(password="${quotes}", literal="p$${one}")
    either.release("web", definition, settings, hidden, variables=DECLARED)
    await either.synced("web")
    live = (await either.there("ConfigMap", "settings"))["data"]
    filled = shell.replace("$${one}", "${one}")
    expected = {name: f"<{value}>" for name, value in HOSTILE.items()}
    assert live == {**expected, "script": filled, "fallback": "none"}
    stored = (await either.there("Secret", "password"))["data"]
    assert base64.b64decode(stored["password"]).decode() == HOSTILE["quotes"]
    assert base64.b64decode(stored["literal"]).decode() == "p${one}"
    made = await either.there(
        "CustomResourceDefinition", "widgets.example.com", "", "apiextensions.k8s.io"
    )
    (version,) = made["spec"]["versions"]
    assert version["schema"]["openAPIV3Schema"]["description"] == f"{filled} 1"
    writes = len(either.recorder.writes)
    await either.run_for(2)
    assert len(either.recorder.writes) == writes, "and what is filled in is no drift"


def _agent(lab: RealLab, incarnation: str, settings: Any, state: str = "state") -> Agent:
    return Agent(
        lab.recorder,
        lab.hub,
        lab.clock,
        lab.folder / state,
        name=CLUSTER,
        incarnation=incarnation,
        settings=settings,
    )


async def test_an_agent_on_a_copied_disk_waits_for_the_one_that_it_is_a_copy_of(
    either: RealLab,
) -> None:
    quick = replace(SETTINGS, lease_seconds=3.0, lease_renew_seconds=0.5, lease_retry_seconds=0.3)
    either.agent = first = _agent(either, "first", quick)
    either.release("web", config_map())
    await either.synced("web")
    shutil.copytree(either.folder / "state", either.folder / "copy")
    own, either.recorder = either.recorder, Recorder(either.cluster)
    second = _agent(either, "second", quick, "copy")
    copied = either.recorder
    await second.step(either.clock.now())
    assert second.waits_for
    either.release("web", config_map(colour="green"), run="second")
    await either.synced("web")
    assert (len(own.writes) > 0, copied.writes) == (True, [])
    assert "second" not in {item.incarnation for item in either.hub.registrations}
    either.agent = second  # and now the first one is dead
    await either.edit(ObjectKey("", "ConfigMap", SPACE, "settings"), {"data": {"colour": "red"}})
    await either.until(lambda: "web" in second.reports and second.reports["web"].healed == 1)
    assert copied.writes
    with pytest.raises(LeaseLostError):
        await first.step(either.clock.now() + timedelta(seconds=10))
