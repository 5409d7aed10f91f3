"""The promise of conftest.py: a test that leaves a task behind fails, a tidy one passes."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

TESTS = """
import asyncio
import pytest

async def wait_for_ever():
    await asyncio.Event().wait()

@pytest.fixture
async def server():
    task = asyncio.create_task(wait_for_ever())
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

async def test_tidy(server):
    assert not server.done()

async def test_untidy():
    test_untidy.task = asyncio.create_task(wait_for_ever())
"""


def test_a_task_that_outlives_its_test_is_a_failure(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text("utf-8"))
    pytester.makepyfile(TESTS)
    pytester.makeini("[pytest]\nasyncio_mode = auto\n")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:xdist")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_untidy*", "*wait_for_ever*"])
