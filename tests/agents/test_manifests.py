"""What `fleet agent install` prints: one careful pod, and arguments that the agent has."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from agents.cli import agent
from agents.manifests import PORT, Installation, agent_manifests, arguments
from agents.protocol.needs import needs_of_manifests
from agents.rights import all_rights, rights_of
from clusters.objects import Object, read_yaml_documents

TOKEN = "c4n4ry-token"
WANTED = Installation(
    "prd-1",
    "https://hub.example:8780",
    TOKEN,
    "registry.example/agent:1",
    rights=tuple(all_rights()),
)
ROOT = Path(__file__).resolve().parents[2]


def of_kind(kind: str, wanted: Installation = WANTED) -> Object:
    (found,) = [item for item in agent_manifests(wanted) if item["kind"] == kind]
    return found


def pod(wanted: Installation = WANTED) -> Any:
    return of_kind("Deployment", wanted)["spec"]["template"]["spec"]


def test_everything_is_there_in_the_order_in_which_it_is_applied() -> None:
    assert [item["kind"] for item in agent_manifests(WANTED)] == [
        "Namespace",
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "Secret",
        "Deployment",
    ]
    spaces = {item["metadata"].get("namespace", "fleet-system") for item in agent_manifests(WANTED)}
    assert spaces == {"fleet-system"}


def test_the_pod_has_no_more_rights_on_its_node_than_it_needs() -> None:
    security = pod()["securityContext"]
    assert security["runAsNonRoot"]
    assert security["runAsUser"] > 10000
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod()["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    writable = [m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")]
    assert writable == ["/var/lib/fleet", "/tmp"]
    assert container["resources"]["limits"]["memory"] == "256Mi"


def test_never_two_agents_at_once() -> None:
    spec = of_kind("Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_every_argument_is_an_option_of_the_agent() -> None:
    options = {name for param in agent.params for name in param.opts}
    given = arguments(replace(WANTED, hub_key="ssh-ed25519 AAAA"))
    assert {item.partition("=")[0] for item in given} <= options
    assert f"--state-dir={pod()['containers'][0]['volumeMounts'][0]['mountPath']}" in given


def test_probes_ask_the_port_on_which_the_agent_listens() -> None:
    (container,) = pod()["containers"]
    assert f"--metrics-listen=0.0.0.0:{PORT}" in container["args"]
    assert container["ports"] == [{"name": "probes", "containerPort": PORT}]
    paths = {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness")}
    assert paths == {"/healthz", "/readyz"}


def test_the_token_is_in_the_secret_and_nowhere_else() -> None:
    others = [item for item in agent_manifests(WANTED) if item["kind"] != "Secret"]
    assert TOKEN not in str(others)
    assert base64.b64decode(of_kind("Secret")["data"]["token"]).decode() == TOKEN


def test_a_hub_key_is_handed_over_as_a_file() -> None:
    keyed = replace(WANTED, hub_key="ssh-ed25519 AAAA")
    assert "--hub-key=/var/run/fleet/hub-key" in arguments(keyed)
    assert base64.b64decode(of_kind("Secret", keyed)["data"]["hub-key"]) == b"ssh-ed25519 AAAA"
    assert "hub-key" not in str(agent_manifests(WANTED))


def test_rights_stand_before_what_needs_them_and_the_namespace_is_made_once() -> None:
    keep = replace(WANTED, rights=rights_of(needs_of_manifests([])))
    kinds = [item["kind"] for item in agent_manifests(keep)]
    assert kinds == [
        "Namespace",
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
        "Secret",
        "Deployment",
    ]
    enforced = "pod-security.kubernetes.io/enforce"
    assert agent_manifests(keep)[0]["metadata"]["labels"][enforced] == "restricted"


def install(*words: str, token: str = TOKEN) -> tuple[int, str]:
    done = CliRunner(env={"FLEET_TOKEN": token}).invoke(agent, ["install", *words, "--all-rights"])
    return done.exit_code, done.output


def test_the_command_prints_what_the_function_says() -> None:
    words = ("--cluster", "prd-1", "--hub", WANTED.hub, "--image", WANTED.image)
    code, output = install(*words)
    assert code == 0
    assert read_yaml_documents(output) == agent_manifests(WANTED)


def test_without_an_image_it_is_the_one_that_the_dockerfile_makes() -> None:
    import fleet

    _, output = install("--cluster", "prd-1", "--hub", WANTED.hub)
    assert f"image: fleet-agent:{fleet.__version__}\n" in output
    dockerfile = (ROOT / "deploy/Dockerfile").read_text("utf-8")
    assert f"--target agent -t fleet-agent:{fleet.__version__}" in dockerfile


def test_what_cannot_work_is_refused_before_it_is_installed() -> None:
    code, output = install("--cluster", "prd-1", "--hub", "http://hub.example:8780")
    assert code == 1
    assert "plain HTTP" in output
    code, output = install("--cluster", "prd-1", "--hub", WANTED.hub, token="")
    assert code == 1
    assert "there is no token" in output


def test_the_images_run_as_the_user_of_the_pod() -> None:
    dockerfile = (ROOT / "deploy/Dockerfile").read_text("utf-8")
    last = [line for line in dockerfile.splitlines() if line.startswith("USER ")][-1]
    user = pod()["securityContext"]["runAsUser"]
    assert last == f"USER {user}:{user}"
    copied = [line.split()[1] for line in dockerfile.splitlines() if line.startswith("COPY ")]
    for path in copied:
        assert path.startswith("--from") or (ROOT / path).exists(), path
