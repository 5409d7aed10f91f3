"""What every test stands on: the same environment on every machine, and no task left behind."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.controlplane.real_cluster import RealCluster

# A person's own settings must not decide how a test ends: their Git identity and hooks,
# the cluster that their kubectl points at, or the telemetry that a library would like to send.
ENVIRONMENT = {
    "GIT_AUTHOR_EMAIL": "tests@fleet.example",
    "GIT_AUTHOR_NAME": "Fleet tests",
    "GIT_COMMITTER_EMAIL": "tests@fleet.example",
    "GIT_COMMITTER_NAME": "Fleet tests",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "KUBECONFIG": os.devnull,
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TZ": "Pacific/Chatham",  # a zone that is never UTC, so that a naive datetime shows
}
CLEARED_PREFIXES = ("FLEET_", "KUBERNETES_SERVICE_")
KEPT_PREFIX = "FLEET_TEST_"  # what is said to the tests themselves
ANY_MACHINE = "any-machine"
SLOWNESS = (HealthCheck.too_slow,)
"""A slow or busy machine is no failure of an example: nor is its default deadline of 200 ms."""
REAL_CLUSTER = "real_cluster"
EXPLORE = "FLEET_TEST_EXPLORE"
"""Set, it has Hypothesis try other examples each time: to look for mistakes. Without it a change is
judged by itself, today as tomorrow."""


def pytest_configure() -> None:
    """Set the environment before any test module is imported."""
    for name in list(os.environ):
        if name.startswith(CLEARED_PREFIXES) and not name.startswith(KEPT_PREFIX):
            del os.environ[name]
    os.environ.update(ENVIRONMENT)
    settings.register_profile(
        ANY_MACHINE,
        deadline=None,
        suppress_health_check=SLOWNESS,
        derandomize=not os.environ.get(EXPLORE),
    )
    settings.load_profile(ANY_MACHINE)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Have every coroutine test checked for tasks that it leaves behind.

    The tests on a real control plane run in one worker, so that there is one of it.
    """
    if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
        item.fixturenames.insert(0, "no_task_left_behind")
    if REAL_CLUSTER in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.xdist_group("real-cluster"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why tests were skipped and how many: one line for each reason."""
    reports = terminalreporter.getreports("skipped")
    reasons = Counter(_reason(report) for report in reports)
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"{count} skipped: {reason}")


def _reason(report: pytest.TestReport) -> str:
    """Why a test was skipped, without its place."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


@pytest.fixture
async def no_task_left_behind() -> AsyncIterator[None]:
    """Fail a test whose tasks outlive it and its fixtures; they would run into the next one.

    It is set up before all other fixtures of the test, and so looks after they are torn down.
    """
    before = asyncio.all_tasks()
    yield
    left = {task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()}
    if left:
        names = ", ".join(sorted(str(task.get_coro()) for task in left))
        pytest.fail(f"tasks are still running after the test: {names}")


@pytest.fixture(scope="session")
def real_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """A real Kubernetes API server; without one the test is skipped, or fails where CI says so."""
    from tests.controlplane.real_cluster import (
        REQUIRED_VARIABLE,
        NoRealClusterError,
        open_real_cluster,
    )

    try:
        with open_real_cluster(tmp_path_factory.mktemp("control-plane")) as cluster:
            yield cluster
    except NoRealClusterError as error:
        if os.environ.get(REQUIRED_VARIABLE):
            pytest.fail(str(error))
        pytest.skip(str(error))
