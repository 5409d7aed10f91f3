"""`fleet sandbox` as a process: served, reachable with the real kubectl, gone when told to stop."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from clusters.kubernetes import KubernetesCluster
from clusters.objects import Kind, ObjectKey
from fleet.cli import main
from fleet.cli.sandbox import welcome

KUBECTL = Path(sys.executable).parent / "kubectl"
PATIENCE_SECONDS = 60.0


class Running:
    """A sandbox that has said how to reach it."""

    def __init__(self, process: subprocess.Popen[str], said: str) -> None:
        self.process = process
        self.said = said

    @property
    def kubeconfig(self) -> Path:
        """The file that it names."""
        found = re.search(r"^  export KUBECONFIG=(.+)$", self.said, re.M)
        assert found, self.said
        return Path(found[1])

    def stop(self, number: int) -> str:
        """End it; what it says at last."""
        self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=PATIENCE_SECONDS)
        assert self.process.returncode == 0
        return out


@contextmanager
def sandbox(*words: str) -> Iterator[Running]:
    """A sandbox with these options."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "fleet", "sandbox", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = ""
    try:
        for line in process.stdout:
            said += line
            if "fleet agent" in line:
                break
        yield Running(process, said)
    finally:
        process.kill()
        process.communicate()


def kubectl(kubeconfig: Path, *words: str) -> str:
    """What kubectl prints."""
    done = subprocess.run(
        [KUBECTL, "--kubeconfig", str(kubeconfig), *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_it_says_one_can_do_can_be_done(number: int) -> None:
    with sandbox("--clusters", "2", "--kubernetes-version", "1.35.0") as running:
        config = running.kubeconfig
        contexts = kubectl(config, "config", "get-contexts", "-o", "name").split()
        assert contexts == ["cluster-1", "cluster-2"]
        advised = re.findall(r"^  kubectl (--context cluster-1 .+)$", running.said, re.M)
        assert len(advised) == 5
        for line in advised[:4]:
            kubectl(config, *line.split())
        assert "nginx:2-crashloop" in kubectl(config, "get", "deployments", "-o", "wide")
        assert "web" not in kubectl(config, "--context", "cluster-2", "get", "deployments")
        assert "v1.35.0" in kubectl(config, "version")
        assert "nothing of the clusters is left" in running.stop(number)
    assert not config.parent.exists()


async def test_the_driver_of_the_agent_gets_in_by_a_named_file(tmp_path: Path) -> None:
    named = tmp_path / "config"
    options = ("--name-prefix", "lab", "--nodes", "3", "--kubeconfig", str(named))
    with sandbox("--clusters", "1", *options) as running:
        cluster = await KubernetesCluster.connect(named, "lab-1")
        try:
            listing = await cluster.list(Kind("", "Node"))
            assert len(listing.items) == 3
            assert await cluster.get(ObjectKey("", "Namespace", "", "kube-system"))
        finally:
            await cluster.close()
        running.stop(signal.SIGTERM)
    assert not named.exists()


def test_an_existing_kubeconfig_is_refused_with_a_cure(tmp_path: Path) -> None:
    named = tmp_path / "config"
    named.write_text("precious")
    done = CliRunner().invoke(main, ["sandbox", "--kubeconfig", str(named)])
    assert done.exit_code == 1
    assert "fix: name a new file" in done.output
    assert named.read_text() == "precious"


def test_many_clusters_are_listed_in_their_order_and_not_all() -> None:
    urls = {f"lab-{number}": f"http://127.0.0.1:1/{number}" for number in range(1, 13)}
    said = welcome(Path("/somewhere"), urls, "v1.37.2")
    assert "lab-1, lab-2, lab-3, lab-4, lab-5, lab-6, lab-7, lab-8 … lab-12: simulated" in said
    assert "--context lab-1 get nodes" in said


def test_clusters_keep_their_order() -> None:
    with sandbox("--clusters", "10") as running:
        assert "cluster-1, cluster-2, cluster-3" in running.said
        running.stop(signal.SIGTERM)


@pytest.mark.parametrize(
    "words",
    [
        ("--clusters", "0"),
        ("--name-prefix", "Not_Valid"),
        ("--kubernetes-version", "latest"),
        ("--nodes", "0"),
    ],
)
def test_what_makes_no_sense_is_a_misused_option(words: tuple[str, ...]) -> None:
    assert CliRunner().invoke(main, ["sandbox", *words]).exit_code == 2
