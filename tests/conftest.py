"""What every test stands on: the same environment on every machine, and no task left behind."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncIterator

import pytest

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


def pytest_configure() -> None:
    """Set the environment before any test module is imported."""
    for name in [name for name in os.environ if name.startswith(CLEARED_PREFIXES)]:
        del os.environ[name]
    os.environ.update(ENVIRONMENT)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Have every coroutine test checked for tasks that it leaves behind."""
    if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
        item.fixturenames.insert(0, "no_task_left_behind")


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
