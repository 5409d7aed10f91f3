"""A `fleet hub` process of our own: the same program that production runs, on loopback.

It is a separate operating-system process, so what the demo shows goes over the real wire, and a
crash of one side does not take the other with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from fleet.api.client import TOKEN_FILE, ApiClient
from fleet.errors import RequestError, ServeError

START_SECONDS = 30.0


class HubProcess:
    """One hub with its state in `folder`. Use as a context manager."""

    def __init__(
        self, folder: Path, repo: str, *, port: int, options: tuple[str, ...] = ()
    ) -> None:
        self.state_dir = folder / "hub"
        self.log = folder / "hub.log"
        self.url = f"http://127.0.0.1:{port}"
        self._command = [
            *(sys.executable, "-m", "fleet", "hub", "--repo", repo),
            *("--state-dir", str(self.state_dir), "--port", str(port), *options),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> HubProcess:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id, 0 while it does not run."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start it and wait until it answers. Errors: `ServeError` with the end of its log."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._answers():
                return
            time.sleep(0.1)  # noqa: TID251 - a process is awaited, no decision depends on it
        self.stop()
        raise ServeError(
            "the hub did not start: " + self.log.read_text(errors="replace")[-2000:],
            at=str(self.log),
        )

    def _answers(self) -> bool:
        if not (self.state_dir / TOKEN_FILE).exists():
            return False
        try:
            with self.client() as client:
                client.get("/v1/status")
        except RequestError:
            return False
        return True

    def client(self) -> ApiClient:
        """A client with the operator token. Errors: `RequestError`."""
        token = (self.state_dir / TOKEN_FILE).read_text(encoding="utf-8").strip()
        return ApiClient(self.url, token)

    def kill(self) -> None:
        """kill -9, as a power cut would."""
        if self._process:
            self._process.kill()
            self._process.wait(timeout=10)

    def stop(self) -> None:
        """Ask it to end; kill it if it does not within five seconds."""
        if not self._process or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.kill()
