"""docs/commands.md from what the commands say of themselves.

`python -m tests.docs_generation` writes it; `tests/test_docs.py` fails while it is stale. Helps are
printed 80 columns wide, whatever terminal this runs in.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from fleet.cli import main

PAGE = Path(__file__).resolve().parents[1] / "docs" / "commands.md"
HEAD = """\
# Commands

Every command with its options, as `--help` prints it. Generated: `python -m tests.docs_generation`.

- Questions take `-o table|wide|json|yaml`; `--watch` prints the answer again whenever it differs,
  until Ctrl-C.
- A failure prints what / at / fix on stderr and ends with 1 ([errors](errors.md)); a misused option
  ends with 2. `fleet plan` and `fleet render` end with 1 too if the repository has an error
  ([problems](problems.md)).
- Which hub is asked: `--hub`, else `FLEET_HUB`, else `http://127.0.0.1:8780`. With which token:
  `FLEET_TOKEN`, else the file `FLEET_TOKEN_FILE`, else `operator-token` in the state folder
  (`FLEET_STATE`, else `~/.local/share/fleet/hub`).
- RUN may be shortened as long as it is clear.
"""


def commands(
    command: click.Command = main, path: tuple[str, ...] = ("fleet",)
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and subcommand with the words that call it, parents first, sorted."""
    yield path, command
    if isinstance(command, click.Group):
        inside = click.Context(command, info_name=path[-1])
        for name in sorted(command.list_commands(inside)):
            found = command.get_command(inside, name)
            assert found is not None, name
            yield from commands(found, (*path, name))


def help_of(path: tuple[str, ...], command: click.Command) -> str:
    """What `--help` prints."""
    context = click.Context(
        command,
        info_name=" ".join(path),
        terminal_width=80,
        max_content_width=80,
        help_option_names=["-h", "--help"],
    )
    return command.get_help(context)


def page() -> str:
    """The whole of docs/commands.md."""
    parts = [HEAD]
    for path, command in commands():
        parts.append(f"## {' '.join(path)}\n\n```text\n{help_of(path, command)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
