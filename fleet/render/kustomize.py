"""Runs the real Kustomize over files on disk.

The network is off twice: remote bases were refused by `fleet.render.reach`, and the program gets
an environment without `git`, with proxies that lead nowhere. No plug-ins, no functions, no Helm;
the load restrictor is on. What it prints on standard error is kept only if it failed.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from fleet.render.failure import RenderFailed, failed, tidy, without_documents
from fleet.render.job import Job
from fleet.render.manifests import Document, read_documents

_NOWHERE = "http://127.0.0.1:9"
_WORDS = re.compile(r"[^\s'\":,;\[\]()]+")


def build(job: Job, directory: str, bundle: str) -> list[Document]:
    """The objects that `kustomize build` prints for a directory of the job's folder.

    Errors: `RenderFailed`.
    """
    text = run(job, directory, bundle)
    return read_documents(text, directory or ".", bundle, lines=False)


def run(job: Job, directory: str, bundle: str) -> bytes:
    """What the program prints. Errors: `RenderFailed`."""
    command = [*job.tools.kustomize, "--load-restrictor=LoadRestrictionsRootOnly", f"./{directory}"]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as said:
        try:
            ended = subprocess.run(
                command,
                cwd=job.folder,
                env=_environment(job.folder),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=said,
                timeout=job.limits.seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _too_slow(job, directory, bundle) from error
        output.seek(0)
        said.seek(0)
        if ended.returncode:
            raise _refused(job, directory, bundle, said.read(1_000_000).decode(errors="replace"))
        text = output.read(job.limits.output_bytes + 1)
    if len(text) > job.limits.output_bytes:
        raise failed(
            "render-too-large",
            f"Kustomize printed more than {job.limits.output_bytes:,} bytes",
            at=directory,
            fix="split it into several bundles",
            bundle=bundle,
        )
    return text


def _environment(folder: str) -> dict[str, str]:
    """Nothing of the hub's own: no PATH to find `git` on, no home, no credentials, no network."""
    off = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), _NOWHERE)
    return off | {
        "PATH": folder + "/.fleet-no-programs",
        "HOME": folder + "/.fleet-no-home",
        "KUBECONFIG": "/dev/null",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_TERMINAL_PROMPT": "0",
        "NO_COLOR": "1",
        "LC_ALL": "C",
    }


def _refused(job: Job, directory: str, bundle: str, said: str) -> RenderFailed:
    errors = "\n".join(line for line in said.splitlines() if not line.startswith("# Warning"))
    text = (
        tidy(without_documents(errors), str(Path(job.folder).resolve()))
        or "it ended without saying why"
    )
    named = _named_files(job, directory, text)
    return failed(
        "kustomize-failed",
        f"Kustomize cannot build {directory or '.'}: {text}",
        at=named[-1] if named else directory,
        fix=f"correct it until `kubectl kustomize {directory or '.'}` succeeds",
        bundle=bundle,
    )


def _named_files(job: Job, directory: str, text: str) -> list[str]:
    """The files of the repository that a message names, in order: the cause comes last.

    Kustomize names a file as its kustomization does, after the directory that it is in.
    """
    root = Path(job.folder).resolve()
    places, found = [root, root / directory], list[str]()
    for word in _WORDS.findall(text):
        for place in reversed(places):
            path = (place / word.rstrip(".")).resolve()
            if not path.is_relative_to(root) or path == root:
                continue
            if path.is_file():
                found.append(str(path.relative_to(root)))
                break
            if path.is_dir():
                places.append(path)
                break
    return found


def _too_slow(job: Job, directory: str, bundle: str) -> RenderFailed:
    return failed(
        "render-timeout",
        f"Kustomize took longer than {job.limits.seconds:g} s",
        at=directory,
        fix="make the kustomization smaller",
        bundle=bundle,
    )
