"""One worker process: takes jobs from a pipe, renders, answers, until the pipe closes.

Hostile input ends here: memory and file sizes are limited, a crash takes only this process, and
whoever started it can end it with all that it started (it leads a process group). It was spawned,
never forked: Helm's library hangs after a fork.
"""

from __future__ import annotations

import contextlib
import os
import resource
from multiprocessing.connection import Connection

from fleet.model import Form, Rendered
from fleet.render import kustomize
from fleet.render.charts import build_chart
from fleet.render.failure import RenderFailed
from fleet.render.groups import build_group
from fleet.render.job import Job, Results
from fleet.render.manifests import check_unique, finish
from fleet.render.raw import build_raw
from fleet.render.reach import Limits
from fleet.render.request import GroupRequest, RenderRequest


def serve(pipe: Connection, limits: Limits) -> None:
    """The worker's whole life. Writes nothing but what a job asks for into the job's folder."""
    os.setsid()
    for kind, most in (
        (resource.RLIMIT_DATA, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, 4 * limits.output_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError):  # the machine allows even less
            resource.setrlimit(kind, (most, most))
    while True:
        try:
            job: Job = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(perform(job))


def perform(job: Job) -> Results:
    """What a job gives, failures as problems."""
    if isinstance(job.request, GroupRequest):
        return build_group(job, job.request)
    try:
        return {job.request.bundle: _render(job, job.request)}
    except RenderFailed as error:
        return {job.request.bundle: Rendered(problem=error.problem)}


def _render(job: Job, request: RenderRequest) -> Rendered:
    if request.form is Form.HELM:
        return build_chart(job, request)
    if request.form is Form.RAW:
        return build_raw(job, request)
    documents = kustomize.build(job, request.path, request.bundle)
    check_unique(documents, request.bundle)
    objects = [document.object for document in documents]
    return finish(request.bundle, objects, job.limits, at=job.at)
