"""The promises of conftest.py: no task is left behind, and no control plane is no surprise."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.controlplane.programs import ASSETS_VARIABLE
from tests.controlplane.real_cluster import KUBECONFIG_VARIABLE, REQUIRED_VARIABLE

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


def test_how_long_an_example_takes_decides_nothing() -> None:
    assert settings.default is not None
    assert settings.default.deadline is None
    assert HealthCheck.too_slow in settings.default.suppress_health_check


def test_a_task_that_outlives_its_test_is_a_failure(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text("utf-8"))
    pytester.makepyfile(TESTS)
    pytester.makeini("[pytest]\nasyncio_mode = auto\n")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:xdist")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_untidy*", "*wait_for_ever*"])


NEEDS_A_CLUSTER = """
def test_on_a_real_cluster(real_cluster):
    pass

def test_on_it_too(real_cluster):
    pass
"""


@pytest.fixture
def without_control_plane(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests on a machine where none was built and none is named."""
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text("utf-8"))
    pytester.makepyfile(NEEDS_A_CLUSTER)
    for name in (ASSETS_VARIABLE, KUBECONFIG_VARIABLE, REQUIRED_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(pytester.path))


def test_without_a_control_plane_one_line_says_how_many_were_skipped_and_the_cure(
    pytester: pytest.Pytester, without_control_plane: None
) -> None:
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:xdist")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["2 skipped: *`python -m tests.controlplane` builds it*"])


def test_where_ci_says_so_a_missing_control_plane_is_a_failure(
    pytester: pytest.Pytester, without_control_plane: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REQUIRED_VARIABLE, "1")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:xdist")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*`python -m tests.controlplane` builds it*"])
