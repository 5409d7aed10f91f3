"""Worker processes: spawned when first needed, each with one job at a time.

A worker that crashes or takes too long is ended with all that it started, its job becomes a
problem, and another worker takes its place: the other jobs never notice.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from fleet.model import Problem, Rendered, Severity
from fleet.render.job import Job, Results
from fleet.render.reach import DEFAULT_LIMITS, Limits
from fleet.render.request import GroupRequest
from fleet.render.worker import serve

CRASHED, TIMEOUT = "render-crashed", "render-timeout"
_CONTEXT = multiprocessing.get_context("spawn")


class Pool:
    """At most `size` workers; call `run` from as many threads as you like, `close` once."""

    def __init__(self, size: int, limits: Limits = DEFAULT_LIMITS) -> None:
        self.size, self._limits = max(1, size), limits
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._slots = threading.Semaphore(self.size)
        self._workers: set[_Worker] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run_all(self, jobs: Sequence[Job], done: Callable[[int, Results], None]) -> None:
        """Runs every job, several at a time; `done(index, results)` is called one at a time."""
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in range(len(jobs)):
            waiting.put(index)
        failures: list[BaseException] = []
        one_at_a_time = threading.Lock()

        def drain() -> None:
            try:
                while not failures:
                    index = waiting.get_nowait()
                    results = self.run(jobs[index])
                    with one_at_a_time:
                        done(index, results)
            except queue.Empty:
                return
            except BaseException as error:
                failures.append(error)

        threads = [
            threading.Thread(target=drain, name=f"render-{n}", daemon=True)
            for n in range(min(self.size, len(jobs)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def run(self, job: Job) -> Results:
        """One job; waits for a free worker. Never fails: what goes wrong is in the results."""
        with self._slots:
            worker = self._take()
            if worker is None:
                return _lost(job, CRASHED, "the renderer was closed")
            try:
                results = worker.ask(job, job.patience_seconds)
            except TimeoutError:  # before OSError, which it is one of
                self._discard(worker)
                return _lost(job, TIMEOUT, f"it took longer than {job.limits.seconds:g} s")
            except (EOFError, OSError):
                self._discard(worker)
                return _lost(job, CRASHED, "its worker process ended without an answer")
            self._idle.put(worker)
            return results

    def close(self) -> None:
        """Ends every worker, also those that are at work."""
        with self._lock:
            self._closed = True
            for worker in self._workers:
                worker.end()
            self._workers.clear()

    def _take(self) -> _Worker | None:
        """A worker that is free, or a new one; none any more after `close`."""
        with self._lock:
            if self._closed:
                return None
            with contextlib.suppress(queue.Empty):
                return self._idle.get_nowait()
            worker = _Worker(self._limits)
            self._workers.add(worker)
            return worker

    def _discard(self, worker: _Worker) -> None:
        with self._lock:
            if worker in self._workers:
                self._workers.remove(worker)
                worker.end()


class _Worker:
    """One process and our end of its pipe."""

    def __init__(self, limits: Limits) -> None:
        self._pipe, theirs = _CONTEXT.Pipe()
        self.process: SpawnProcess = _CONTEXT.Process(
            target=serve, args=(theirs, limits), name="fleet-render", daemon=True
        )
        self.process.start()
        theirs.close()

    def ask(self, job: Job, seconds: float) -> Results:
        """Errors: `EOFError`, `OSError` if it is gone, `TimeoutError` if it is too slow."""
        pipe: Connection = self._pipe
        pipe.send(job)
        if not pipe.poll(seconds):
            raise TimeoutError
        results: Results = pipe.recv()
        return results

    def end(self) -> None:
        """Kills the process and all that it started."""
        if self.process.pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.kill()  # it may not lead its group yet
            self.process.join()
        self._pipe.close()
        self.process.close()


def _lost(job: Job, code: str, why: str) -> Results:
    request = job.request
    path = request.directory if isinstance(request, GroupRequest) else request.path
    problem = Problem(
        code=code,
        severity=Severity.ERROR,
        what=f"rendering {path} failed: {why}",
        at=job.at,
        fix="look for endless recursion or very large output in its templates",
        bundle="" if isinstance(request, GroupRequest) else request.bundle,
        cluster=request.group if isinstance(request, GroupRequest) else "",
    )
    return {bundle: Rendered(problem=problem) for bundle in job.bundles}
