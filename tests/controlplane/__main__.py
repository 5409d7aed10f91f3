"""`python -m tests.controlplane` builds the programs; `… up` runs a cluster of them to try."""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from pathlib import Path

from tests.controlplane.building import build
from tests.controlplane.control_plane import ControlPlane
from tests.controlplane.programs import find


def say(line: str) -> None:
    """One line for the person who waits."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def up() -> None:
    """One cluster, until Ctrl-C."""
    programs = find()
    if programs is None:
        build(say)
        programs = find()
    assert programs is not None
    with (
        tempfile.TemporaryDirectory(prefix="fleet-controlplane-") as folder,
        ControlPlane(programs, Path(folder)) as plane,
    ):
        say(f"Kubernetes at {plane.url}; Ctrl-C stops it and removes all of it")
        say(f"  export KUBECONFIG={plane.kubeconfig}")
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        ended.wait()


def main(words: list[str]) -> int:
    """Exit code 0 when the programs are there."""
    try:
        if words == ["up"]:
            up()
        elif words:
            say(__doc__ or "")
            return 2
        else:
            build(say)
    except RuntimeError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
