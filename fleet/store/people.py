"""The people that a hub knows: a file with a token, a name and groups for each.

::

    - name: ana                      who a decision says it was
      groups: [sre]                  for approvals that ask for a group
      aliases: [ana@example.com]     other names in Git, for `notAuthor`
      token: …                       16 characters or more, readable by the hub's user only (0600)

A file that is wrong in any way keeps the hub from starting: nobody is let in by half a file. Tokens
are kept as hashes in memory, and never appear in an error. Read once, at the hub's start.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from clusters.objects import YamlError, read_yaml
from fleet.errors import StoreError
from fleet.store.agents import token_hash

SHORTEST = 16


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a token of their own."""

    name: str
    groups: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


class People:
    """Everybody that a hub knows; without a file nobody, and it says so (`are_known`)."""

    def __init__(
        self, tokens: Iterable[tuple[str, Person]] = (), *, are_known: bool = True
    ) -> None:
        """`tokens` are hashes."""
        self._people = tuple(tokens)
        self.are_known = are_known

    def person_of(self, token: str) -> Person | None:
        """Whose token this is."""
        found, given = None, token_hash(token)
        for known, person in self._people:
            if hmac.compare_digest(known, given):
                found = person
        return found


NOBODY = People(are_known=False)

_Name = Annotated[str, Field(pattern=r"^[^\s*()](?:[^\n\r*()]{0,126}[^\s*()])?$")]


class _PersonDocument(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    name: _Name
    groups: list[_Name] = []
    aliases: list[_Name] = []
    token: str = Field(min_length=SHORTEST)


_PEOPLE = TypeAdapter(list[_PersonDocument])


def read_people(path: Path) -> People:
    """The people of a file. Errors: `StoreError`, which never shows a token."""
    try:
        if path.stat().st_mode & 0o077:
            raise StoreError(
                "the file of people and their tokens can be read by others on this machine",
                at=str(path),
                fix=f"chmod 600 {path}",
                code="token-readable",
            )
        said = _PEOPLE.validate_python(read_yaml(path.read_bytes()))
    except OSError as error:
        raise _wrong(path, error.strerror or "it cannot be read") from None
    except (UnicodeDecodeError, YamlError):
        raise _wrong(path, "it is no YAML") from None
    except ValidationError as error:
        places = sorted({".".join(str(p) for p in e["loc"]) or "all" for e in error.errors()})
        raise _wrong(path, f"see {', '.join(places[:5])}") from None
    return _distinct(path, said)


def _distinct(path: Path, said: list[_PersonDocument]) -> People:
    names = [one.name for one in said]
    if len(set(names)) < len(names) or len({one.token for one in said}) < len(said):
        raise _wrong(path, "a name or a token is there twice")
    return People(
        (token_hash(one.token), Person(one.name, tuple(one.groups), tuple(one.aliases)))
        for one in said
    )


def _wrong(path: Path, why: str) -> StoreError:
    return StoreError(
        f"the file of people cannot be used: {why}",
        at=str(path),
        fix="a list of {name, groups, aliases, token}, as docs/rollouts.md shows",
        code="bad-people",
    )
