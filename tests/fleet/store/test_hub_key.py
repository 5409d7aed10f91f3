"""The hub's key on disk: made once, for its owner only, and replaced such that agents follow."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.protocol.signing import check_target, follow
from agents.protocol.wire import Target
from fleet.errors import StoreError
from fleet.store.hub_key import HISTORY_FILE, KEY_FILE, hub_key, known_key, rotate

TARGET = Target(cluster="stg-1", epoch=1, serial=1)


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    first = hub_key(tmp_path / "hub")
    assert (tmp_path / "hub" / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert hub_key(tmp_path / "hub").line == first.line
    check_target(hub_key(tmp_path / "hub").sign(TARGET), first.line)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    hub_key(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o640)
    with pytest.raises(StoreError) as refused:
        hub_key(tmp_path)
    assert refused.value.code == "key-readable"


@pytest.mark.parametrize("spoil", [b"", b"no key", None], ids=["empty", "text", "half"])
def test_a_damaged_key_is_never_replaced_by_itself(tmp_path: Path, spoil: bytes | None) -> None:
    hub_key(tmp_path)
    path = tmp_path / KEY_FILE
    data = path.read_bytes()[:120] if spoil is None else spoil
    path.write_bytes(data)
    with pytest.raises(StoreError) as refused:
        hub_key(tmp_path)
    assert refused.value.code == "key-damaged"
    assert path.read_bytes() == data


def test_agents_follow_from_every_earlier_key(tmp_path: Path) -> None:
    lines = [hub_key(tmp_path).line, rotate(tmp_path).line, rotate(tmp_path).line]
    assert len(set(lines)) == 3
    now = hub_key(tmp_path)
    assert now.line == lines[-1]
    assert [follow(line, now.successions) for line in lines] == [now.line] * 3
    assert (tmp_path / HISTORY_FILE).stat().st_mode & 0o777 == 0o600


def test_a_rotation_that_was_killed_half_way_never_happened(tmp_path: Path) -> None:
    before = hub_key(tmp_path)
    kept = (tmp_path / KEY_FILE).read_bytes()
    rotate(tmp_path)
    (tmp_path / KEY_FILE).write_bytes(kept)  # as a kill before the second write leaves it
    found = hub_key(tmp_path)
    assert (found.line, found.successions) == (before.line, ())
    after = rotate(tmp_path)
    assert follow(before.line, after.successions) == after.line


def test_a_history_that_cannot_be_read_leaves_the_key_in_use(tmp_path: Path) -> None:
    hub_key(tmp_path)
    line = rotate(tmp_path).line
    (tmp_path / HISTORY_FILE).write_text("[{]")
    assert (hub_key(tmp_path).line, hub_key(tmp_path).successions) == (line, ())


def test_the_private_half_is_not_shown(tmp_path: Path) -> None:
    shown = repr(hub_key(tmp_path))
    assert "private" not in shown.lower()


def test_a_folder_where_no_hub_ran_has_no_key_to_show_or_to_rotate(tmp_path: Path) -> None:
    for asked in (known_key, rotate):
        with pytest.raises(StoreError) as refused:
            asked(tmp_path)
        assert refused.value.code == "no-hub-key"
    assert not list(tmp_path.iterdir()), "a key that no hub signs with would only mislead agents"
    assert hub_key(tmp_path).line == known_key(tmp_path).line
