"""`fleet agent install` and `rbac`: rights as the hub knows them, or as a person says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agents.cli import agent
from agents.manifests import Installation, agent_manifests
from agents.protocol import Artifact, BundleDeployment, Options
from agents.protocol.needs import needs_of_deployments, needs_of_manifests
from agents.rights import all_rights, rights_of
from clusters.objects import Object, dump_yaml, read_yaml_documents
from tests.agents.memory_hub import CLUSTER, MemoryHub
from tests.agents.samples import config_map, deployment, secret
from tests.agents.served_hub import TOKEN, ServedHub

WEB = Artifact(bundle="web", objects=(deployment(), secret(k="v")))
TEAM = Artifact(bundle="team", objects=(config_map(),))
IN_SHOP = Options(namespace="shop")
WANTED = (
    BundleDeployment.of("web", WEB.digest(), {}, IN_SHOP),
    BundleDeployment.of("team", TEAM.digest(), {}, Options(service_account="team-a")),
)
NEEDS = needs_of_deployments(WANTED, {item.digest(): item for item in (WEB, TEAM)})
OFFLINE = ("--cluster", "prd-1", "--hub", "https://hub.example:8780")


async def fleet_agent(*words: str, stdin: str | None = None, token: str = TOKEN) -> Result:
    runner = CliRunner(env={"FLEET_TOKEN": token})
    return await asyncio.to_thread(runner.invoke, agent, words, input=stdin)


def printed(done: Result) -> list[Object]:
    assert done.exit_code == 0, done.output
    return read_yaml_documents(done.stdout)


@pytest.fixture
async def served() -> AsyncIterator[ServedHub]:
    hub = MemoryHub()
    hub.needs = NEEDS
    async with ServedHub(hub).serving() as face:
        yield face


def of_hub(served: ServedHub) -> tuple[str, ...]:
    return ("--cluster", CLUSTER, "--hub", served.url)


async def test_an_agent_is_installed_with_the_rights_that_the_hub_says_it_needs(
    served: ServedHub,
) -> None:
    found = printed(await fleet_agent("install", *of_hub(served), "--image", "agent:1"))
    rights = rights_of(NEEDS)
    assert found == agent_manifests(
        Installation(CLUSTER, served.url, TOKEN, "agent:1", rights=rights)
    )
    assert all("*" not in str(item["rules"]) for item in found if "rules" in item)
    assert {item["metadata"]["namespace"] for item in found if item["kind"] == "Role"} == {
        "default",
        "fleet-system",
        "shop",
    }


async def test_new_rights_are_printed_alone(served: ServedHub) -> None:
    found = printed(await fleet_agent("rbac", *of_hub(served)))
    assert found == rights_of(NEEDS)
    assert TOKEN not in str(found)


async def test_what_the_hub_cannot_say_is_told_and_does_not_hold_up_the_rest(
    served: ServedHub,
) -> None:
    served.hub.needs = needs_of_deployments(WANTED[:1], {WEB.digest(): WEB}, ["broken"])
    done = await fleet_agent("rbac", *of_hub(served))
    assert printed(done) == rights_of(served.hub.needs)
    assert "no rights for broken" in done.stderr


async def test_a_hub_that_cannot_say_gives_no_rights_and_the_cure_names_the_other_ways(
    served: ServedHub,
) -> None:
    served.hub.needs = None
    done = await fleet_agent("install", *of_hub(served))
    assert done.exit_code == 1
    assert done.stdout == ""
    for words in ("Git declares no cluster", "--rights-for", "--all-rights"):
        assert words in done.stderr
    done = await fleet_agent("install", *of_hub(served), token="wrong")
    assert done.exit_code == 1
    assert "does not take this token" in done.stderr


async def test_rights_can_be_said_by_manifests_or_be_all_of_them(tmp_path: Path) -> None:
    manifests = [{**deployment(), "metadata": {"name": "web", "namespace": "shop"}}]
    path = tmp_path / "rendered.yaml"
    path.write_text(dump_yaml(manifests))
    found = printed(await fleet_agent("install", *OFFLINE, "--rights-for", str(path)))
    said = rights_of(needs_of_manifests(manifests))
    assert [item for item in found if item in said and item["kind"] != "Namespace"] == [
        item for item in said if item["kind"] != "Namespace"
    ]
    found = printed(await fleet_agent("install", *OFFLINE, "--all-rights"))
    assert [item for item in found if item in all_rights()] == all_rights()


async def test_both_ways_at_once_or_none_is_a_misuse(tmp_path: Path) -> None:
    path = tmp_path / "rendered.yaml"
    path.write_text(dump_yaml([config_map()]))
    for words in (
        ("install", *OFFLINE, "--all-rights", "--rights-for", str(path)),
        ("rbac",),
        ("rbac", "--cluster", "prd-1"),
        ("rbac", *OFFLINE, str(path)),
    ):
        assert (await fleet_agent(*words)).exit_code == 2, words


async def test_the_command_reads_what_render_prints_and_prints_manifests() -> None:
    manifests = [{**deployment(), "metadata": {"name": "web", "namespace": "shop"}}]
    done = await fleet_agent("rbac", "-", "--service-account", "team-a", stdin=dump_yaml(manifests))
    assert printed(done) == rights_of(needs_of_manifests(manifests, ["team-a"]))


async def test_the_command_refuses_what_is_no_manifest() -> None:
    done = await fleet_agent("rbac", "-", stdin="- a\n- b\n")
    assert done.exit_code == 1
    assert "Traceback" not in done.output
