"""The file of people: who is let in, and that half a file lets nobody in."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.errors import StoreError
from fleet.store.people import NOBODY, Person, read_people

ANA = "ana-has-this-token-1"
BOB = "bob-has-another-one-2"
GOOD = f"""
- {{name: ana, groups: [sre], aliases: [ana@example.com], token: {ANA}}}
- {{name: bob, token: {BOB}}}
"""


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "people.yaml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_token_says_whose_it_is(tmp_path: Path) -> None:
    people = read_people(written(tmp_path, GOOD))
    assert people.are_known
    assert people.person_of(ANA) == Person("ana", ("sre",), ("ana@example.com",))
    assert people.person_of(BOB) == Person("bob")
    for wrong in ("", ANA + "x", ANA[:-1]):
        assert people.person_of(wrong) is None
    assert not NOBODY.are_known
    assert NOBODY.person_of("") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "people: []",
        "- {name: ana}",
        "- {name: ana, token: short}",
        f"- {{name: '', token: {ANA}}}",
        f"- {{name: 'ana (operator token)', token: {ANA}}}",
        f"- {{name: ana, groups: ['*'], token: {ANA}}}",
        f"- {{name: ana, admin: true, token: {ANA}}}",
        f"- {{name: ana, token: {ANA}}}\n- {{name: ana, token: {BOB}}}",
        f"- {{name: ana, token: {ANA}}}\n- {{name: bob, token: {ANA}}}",
        f"- {{name: ana, token: {ANA}",
        f"- {{name: [{ANA}], token: {ANA}}}",
    ],
)
def test_a_file_that_is_wrong_lets_nobody_in_and_shows_no_token(tmp_path: Path, text: str) -> None:
    with pytest.raises(StoreError) as refused:
        read_people(written(tmp_path, text))
    assert refused.value.code == "bad-people"
    assert ANA not in str(refused.value)


def test_a_file_that_others_can_read_or_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as refused:
        read_people(written(tmp_path, GOOD, 0o640))
    assert refused.value.code == "token-readable"
    with pytest.raises(StoreError) as refused:
        read_people(tmp_path / "nothing.yaml")
    assert refused.value.code == "bad-people"
