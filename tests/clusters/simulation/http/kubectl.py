"""The real kubectl, run against served clusters."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from clusters.objects import Object, dump_yaml
from clusters.simulation import SimulatedCluster

PATIENCE_SECONDS = 60.0
KUBECTL = Path(sys.executable).parent / "kubectl"


class Kubectl:
    """Runs kubectl against one context."""

    def __init__(self, folder: Path, clusters: dict[str, SimulatedCluster]) -> None:
        self.folder = folder
        self.clusters = clusters
        self.server = clusters["stg-1"].server
        self._files = 0

    async def __call__(self, *arguments: str, fails: bool = False) -> str:
        """Standard output, or what kubectl complains of if it is to fail."""
        code, out, err = await self.run(*arguments)
        assert (code != 0) is fails, f"{out}\n{err}"
        return err if fails else out

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        process = await self.start(*arguments)
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
        return process.returncode or 0, out.decode(), err.decode()

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """A kubectl that runs on."""
        return await asyncio.create_subprocess_exec(
            KUBECTL,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={
                "KUBECONFIG": str(self.folder / "config"),
                "HOME": str(self.folder),
                "PATH": os.environ["PATH"],
                "KUBE_EDITOR": "sed -i 's/replicas: 2/replicas: 4/'",
            },
        )

    def file(self, *objects: Object) -> str:
        """A file with these objects."""
        self._files += 1
        path = self.folder / f"objects-{self._files}.yaml"
        path.write_text(dump_yaml(list(objects)))
        return str(path)
