"""The project's papers agree: README and CI, ranges and lock files; none names an index."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.test_tidy import PACKAGES, ROOT, imports_of, repository, sources

RUNTIME_LOCK = "deploy/requirements.lock"
DEV_LOCK = "deploy/requirements-dev.lock"

# Modules that are a part of what another library offers: its own types in its own interface.
COMES_WITH = {"pydantic_core": "pydantic", "yarl": "aiohttp"}

# Spelled in pieces, so that this file does not contain what it looks for.
INDEX_ADDRESS = re.compile(
    "|".join(
        [
            r"index[-_]url\s*[= ]\s*\S*:/" + "/",
            r"find[-_]links\s*[= ]\s*[/h]",
            r"pypi\." + r"org",
            r"pythonhosted\." + r"org",
            r'"resolved"' + ":",
            "registry =" + ' "',
        ]
    )
)


@cache
def pyproject() -> dict[str, Any]:
    """What pyproject.toml says."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


@cache
def locked(path: str) -> dict[str, str]:
    """The versions that a lock file names, by canonical name."""
    pins = re.findall(r"^([\w.-]+)(?:\[[^]]*])?==(\S+)", (ROOT / path).read_text("utf-8"), re.M)
    return {canonicalize_name(name): version for name, version in pins}


def requirements(*groups: str) -> list[Requirement]:
    """The ranges that pyproject.toml asks for, with these dependency groups."""
    project = pyproject()["project"]
    extras = project["optional-dependencies"].values()
    texts = [*project["dependencies"], *(text for extra in extras for text in extra)]
    for group in groups:
        texts += pyproject()["dependency-groups"][group]
    return [Requirement(text) for text in texts]


def commands_of_the_readme() -> list[str]:
    """The commands of README's shell blocks that do their own set-up, a line each."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("python3 -m venv")]


@pytest.mark.parametrize(
    ("lock", "groups"), [(RUNTIME_LOCK, ["build"]), (DEV_LOCK, ["build", "dev"])]
)
def test_the_lock_file_covers_the_ranges(lock: str, groups: list[str]) -> None:
    pins = locked(lock)
    for wanted in requirements(*groups):
        pinned = pins.get(canonicalize_name(wanted.name))
        assert pinned, f"{lock} does not name {wanted.name}; run .ci/lock"
        assert wanted.specifier.contains(pinned), f"{lock}: {wanted.name}=={pinned} is not {wanted}"


def test_the_build_backend_is_locked_as_it_is_required() -> None:
    assert pyproject()["build-system"]["requires"] == pyproject()["dependency-groups"]["build"]


def test_both_lock_files_name_the_same_versions() -> None:
    assert locked(RUNTIME_LOCK).items() <= locked(DEV_LOCK).items()


def test_every_library_that_is_imported_is_asked_for() -> None:
    asked = {canonicalize_name(wanted.name) for wanted in requirements()}
    distributions = packages_distributions()
    own = {*PACKAGES, *sys.stdlib_module_names}
    faults = []
    for source in sources(*PACKAGES):
        for line, module, _ in imports_of(source.tree):
            top = module.split(".")[0]
            providers = {canonicalize_name(name) for name in distributions.get(top, [])}
            if top not in own and not (providers | {COMES_WITH.get(top)}) & asked:
                faults.append(
                    f"{source.path}:{line}: {module} is in no dependency of pyproject.toml"
                )
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("lock", [RUNTIME_LOCK, DEV_LOCK])
def test_every_locked_version_has_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    for entry in re.split(r"\n(?=\S)", text):
        assert entry.startswith("#") or "--hash=sha256:" in entry, entry
    assert "://" not in text
    assert not re.search(r"^\s*--(?!hash=)", text, re.M)


def test_no_file_names_an_index() -> None:
    faults = []
    for path in repository():
        text = (ROOT / path).read_bytes().decode("utf-8", "replace")
        faults += [f"{path}: {found.group()!r}" for found in INDEX_ADDRESS.finditer(text)]
    assert not faults, "\n".join(faults)


def test_the_readme_has_two_commands_that_do_their_own_set_up() -> None:
    demo, tests = commands_of_the_readme()
    assert demo.endswith("/fleet demo")
    assert RUNTIME_LOCK in demo
    assert "pytest" in tests
    assert DEV_LOCK in tests
    for command in (demo, tests):
        assert "--require-hashes" in command
        assert "--no-build-isolation" in command


def test_ci_runs_the_tests_as_the_readme_does() -> None:
    _, tests = commands_of_the_readme()
    assert tests in (ROOT / ".ci/run").read_text("utf-8").splitlines()


@pytest.mark.parametrize("script", [".ci/run", ".ci/lock"])
def test_scripts_can_be_run(script: str) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--stage", script], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    assert listed.startswith("100755 "), f"chmod +x {script}, and commit it"


def test_the_changelog_knows_the_version() -> None:
    import fleet

    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(rf"^## \[?{re.escape(fleet.__version__)}\b", changelog, re.M)


def test_every_package_is_shipped_and_says_that_it_is_typed() -> None:
    shipped = pyproject()["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    for package in PACKAGES:
        assert package in shipped
        assert (ROOT / package / "py.typed").exists(), package
