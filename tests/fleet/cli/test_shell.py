"""The `fleet` command as a shell: quick, helpful, with errors of one form."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from fleet.cli import COMMANDS, main
from tests.docs_generation import commands

HEAVY = (
    "aiohttp", "git", "helm_python", "httpx", "kubernetes", "orjson", "pydantic", "ray", "rich",
    "sqlite_utils", "starlette", "uvicorn", "yaml",
)  # fmt: skip
EVERY = [pytest.param(path, id=" ".join(path)) for path, _ in commands()]


def run(*words: str) -> click.testing.Result:
    """The command with these words."""
    return CliRunner().invoke(main, list(words), prog_name="fleet")


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom fleet.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print('HEAVY', sorted(set({HEAVY!r}) & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert "one Git repository" in done.stdout
    assert done.stdout.rstrip().endswith("HEAVY []")


@pytest.mark.parametrize("path", EVERY)
def test_every_command_has_help_that_says_something(path: tuple[str, ...]) -> None:
    for option in ("--help", "-h"):
        done = run(*path[1:], option)
        assert done.exit_code == 0, done.output
        usage, _, said = done.output.partition("\n")
        assert usage.startswith("Usage: " + " ".join(path))
        assert said.strip()
        assert not said.strip().startswith("Options:")


@pytest.mark.parametrize("path", EVERY)
def test_every_option_says_what_it_is(path: tuple[str, ...]) -> None:
    found = dict(commands())[path]
    options = [param for param in found.params if isinstance(param, click.Option)]
    choices = [o for o in options if isinstance(o.type, click.Choice)]
    assert [o.name for o in options if not o.help and o not in choices] == []


def test_the_list_of_commands_is_the_commands() -> None:
    listed = run("--help").output.partition("Commands:\n")[2]
    assert [line.split()[0] for line in listed.splitlines() if line[2:3].strip()] == sorted(
        COMMANDS
    )
    assert main.list_commands(click.Context(main)) == sorted(COMMANDS)


def test_a_command_that_is_none_is_a_misuse() -> None:
    done = run("stauts")
    assert done.exit_code == 2
    assert "No such command 'stauts'" in done.output


def test_a_misused_option_ends_with_two() -> None:
    assert run("status", "-o", "xml").exit_code == 2
    assert run("rollout", "approve").exit_code == 2


def test_an_error_is_printed_as_what_at_fix_and_ends_with_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FLEET_TOKEN", "t" * 40)
    done = run("status", "--hub", "http://hub.example:8780")
    assert done.exit_code == 1
    assert done.stdout == ""
    what, at, fix = done.stderr.splitlines()
    assert what == "fleet: a token does not go over plain HTTP to another machine"
    assert at == "  at:  http://hub.example:8780"
    assert fix.startswith("  fix: ")
    assert "tttt" not in done.stderr


def test_without_a_token_the_error_names_where_it_was_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("FLEET_STATE", str(tmp_path))
    done = run("clusters")
    assert done.exit_code == 1
    assert f"  at:  {tmp_path}/operator-token" in done.stderr.splitlines()
