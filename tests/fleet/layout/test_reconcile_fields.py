"""What a fleet.yaml says of waiting, trying again, being healthy and depending on others."""

from __future__ import annotations

import pytest

from agents.protocol import HealthCheck, Options, Readiness, Retry
from tests.fleet.layout.repositories import CLUSTERS, problems_of, raw, repo_of

WEB = "apps/staging/web"
DNS = "infrastructure/dns"
FILES = CLUSTERS | raw(WEB, DNS) | {f"{DNS}/fleet.yaml": "labels: {tier: base}\n"}


def _options(text: str, files: dict[str, str] = FILES) -> Options:
    repo = repo_of(files | {f"{WEB}/fleet.yaml": text})
    return next(b for b in repo.bundles if b.name == "web").sources[0].options


def _errors(text: str, files: dict[str, str] = FILES) -> list[tuple[str, str]]:
    """What is refused, and where."""
    found = problems_of(files | {f"{WEB}/fleet.yaml": text})
    return [(p.what, p.at) for p in found if p.bundle == "web" and p.severity == "error"]


def test_every_field_arrives() -> None:
    text = """
timeout: 1h30m
retry: {limit: 5, backoff: {duration: 5s, factor: 2, maxDuration: 3m}}
healthCheckExprs:
  - {apiVersion: example.com/v1, kind: Widget, current: "status.up", failed: "has(status.error)"}
  - {apiVersion: v1, kind: ConfigMap, current: "has(data.ready)", inProgress: "has(data.busy)"}
"""
    assert _errors(text) == []
    assert _options(text) == Options(
        timeout_seconds=5400,
        retry=Retry(limit=5, duration_seconds=5, factor=2, max_duration_seconds=180),
        health_checks=(
            HealthCheck(
                api_version="example.com/v1",
                kind="Widget",
                current="status.up",
                failed="has(status.error)",
            ),
            HealthCheck(
                api_version="v1",
                kind="ConfigMap",
                current="has(data.ready)",
                in_progress="has(data.busy)",
            ),
        ),
    )


def test_a_customization_may_say_them_too() -> None:
    text = "targetCustomizations:\n- {clusterName: stg-1, timeout: 5m, retry: {limit: 0}}\n"
    repo = repo_of(FILES | {f"{WEB}/fleet.yaml": text})
    (source,) = next(b for b in repo.bundles if b.name == "web").sources
    assert source.customizations[0].options == {"timeout_seconds": 300, "retry": Retry(limit=0)}


def test_minus_one_is_no_limit() -> None:
    assert _options("retry: {limit: -1}") == Options()


BAD_DURATIONS = ("1.s", "-5m", "0s", "1e9h", '"15"', "15", "true", "[5m]", "999999h", "٣m")


@pytest.mark.parametrize("bad", BAD_DURATIONS)
@pytest.mark.parametrize(
    "text",
    [
        "timeout: {}",
        "retry: {{backoff: {{duration: {}}}}}",
        "retry: {{limit: 1, backoff: {{maxDuration: {}}}}}",
    ],
)
def test_what_only_looks_like_a_duration_holds_its_bundle_and_no_other(text: str, bad: str) -> None:
    said = text.format(bad)
    ((what, at),) = _errors(said)
    assert "duration" in what or "no time" in what or "year" in what
    assert at == f"{WEB}/fleet.yaml:1"
    repo = repo_of(FILES | {f"{WEB}/fleet.yaml": said})
    assert repo.held == {"web"}


@pytest.mark.parametrize(
    "text",
    [
        *(f"retry: {{limit: {n}}}" for n in ("-2", "1001", '"5"', "1.5", "true", ".inf", "[1]")),
        *(f"retry: {{backoff: {{factor: {n}}}}}" for n in ("0", "0.5", "-1", '"2"', ".nan", "1e9")),
        "retry: 5",
        "retry: {backoff: 5s}",
    ],
)
def test_what_is_no_number_of_attempts_is_refused(text: str) -> None:
    assert len(_errors(text)) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[{kind: Widget, apiVersion: a/v1, current: '1 +'}]", "healthCheckExprs[0].current is no"),
        ("[{kind: Widget, apiVersion: a/v1, current: ''}]", "current is empty"),
        ("[{kind: Widget, apiVersion: a/v1}]", "current is empty"),
        ("[{kind: W, apiVersion: a/v1, current: 'true', failed: nosuch}]", "failed is no CEL"),
        ("[{kind: Widget, current: 'true'}]", "names no kind"),
        ("[{apiVersion: a/v1, current: 'true'}]", "names no kind"),
        ("[{kind: Widget, apiVersion: a/v1, current: 'status.a.map(x, x) == []'}]", "map"),
        ("[{kind: Widget, apiVersion: a/v1, current: 7}]", "not text"),
        ("[text]", "not a mapping"),
        ("true", "not a list"),
    ],
)
def test_a_rule_of_health_that_cannot_be_used_is_an_error_with_its_line(
    text: str, why: str
) -> None:
    found = _errors(f"name: web\nhealthCheckExprs: {text}")
    assert any(why in what for what, _ in found)
    assert {at for _, at in found} == {f"{WEB}/fleet.yaml:2"}


def test_two_rules_for_one_kind_are_refused() -> None:
    rule = "{{kind: Widget, apiVersion: example.com/{}, current: 'true'}}"
    text = f"healthCheckExprs: [{rule.format('v1')}, {rule.format('v2')}]"
    assert "two rules for Widget.example.com" in _errors(text)[0][0]


def test_accepted_states_go_with_names_and_labels() -> None:
    text = "dependsOn: [{name: dns, acceptedStates: [NotReady, Ready]}]"
    assert _options(text).depends_on == ("dns",)
    accepted = (("dns", (Readiness.READY, Readiness.NOT_READY)),)
    assert _options(text).accepted_states == accepted
    text = "dependsOn: [{selector: {matchLabels: {tier: base}}, acceptedStates: [Ready, NotReady]}]"
    assert _options(text).accepted_states == accepted


def test_two_entries_about_one_bundle_both_accept() -> None:
    text = "dependsOn: [{name: dns}, {name: dns, acceptedStates: [Modified]}]"
    assert _options(text).accepted_states == (("dns", (Readiness.READY, Readiness.MODIFIED)),)


def test_the_usual_state_does_not_change_the_digest() -> None:
    said = _options("dependsOn: [{name: dns, acceptedStates: [Ready]}]")
    assert said == _options("dependsOn: [{name: dns}]") == Options(depends_on=("dns",))


def test_a_state_that_is_none_is_refused() -> None:
    ((what, at),) = _errors("dependsOn:\n- name: dns\n  acceptedStates: [Ready, Fine]\n")
    assert "'Fine' is no state" in what
    assert at == f"{WEB}/fleet.yaml:3"
