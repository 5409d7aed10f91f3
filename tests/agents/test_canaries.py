"""No value of a Secret leaves the agent: reports, logs and errors are searched for some."""

from __future__ import annotations

import base64
import logging

import pytest

from agents.cluster_copy import HEAD
from clusters.errors import AdmissionError, ClusterError, InvalidError
from tests.agents.lab import Lab
from tests.agents.log_lines import printed
from tests.agents.samples import config_map, key, secret

CANARY = "canary-of-a-secret"
BY_HAND = "canary-typed-by-hand"
FORMS = [
    form
    for value in (CANARY, BY_HAND)
    for form in (value, base64.b64encode(value.encode()).decode(), value[:12])
]


def leaks(lab: Lab, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Canaries in what was told to the hub, and in log lines of every level, traces included."""
    told = [report.model_dump_json() for report in lab.hub.received]
    logged = printed(caplog.records)
    return [form for form in FORMS for text in (*told, logged) if form in text]


async def test_drift_of_a_secret_is_told_without_its_values(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    lab.release("web", secret(password=CANARY), config_map())
    await lab.settled("web")
    lab.edit(key("Secret", "password"), {"stringData": {"password": BY_HAND}})
    await lab.until(lambda: lab.report("web").healed >= 1)
    await lab.run_for(20)
    assert "web" in lab.hub.known
    assert leaks(lab, caplog) == []


@pytest.mark.parametrize("refusal", [InvalidError, AdmissionError, RuntimeError])
async def test_a_refused_secret_and_a_surprise_print_no_values(
    lab: Lab, caplog: pytest.LogCaptureFixture, refusal: type[Exception]
) -> None:
    caplog.set_level(logging.DEBUG)

    def refuse(call: str, name: str) -> ClusterError | None:
        if name == "password" and call in ("apply", "dry-run"):
            if not issubclass(refusal, ClusterError):
                raise refusal(f"unforeseen: {CANARY}")
            return refusal("Secret shop/password: refused")
        return None

    lab.recorder.refuse = refuse
    lab.release("web", secret(password=CANARY), config_map())
    await lab.until(lambda: "web" in lab.hub.known and lab.hub.known["web"].sync == "Failed")
    await lab.run_for(5)
    assert leaks(lab, caplog) == []


async def test_a_copy_that_cannot_be_written_prints_no_values(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    def refuse(call: str, name: str) -> ClusterError | None:
        return InvalidError("too large") if name.startswith(HEAD) and call == "apply" else None

    lab.recorder.refuse = refuse
    lab.release("web", secret(password=CANARY))
    await lab.settled("web")
    await lab.run_for(5)
    assert "copy not kept" in caplog.text
    assert leaks(lab, caplog) == []
