"""One agent at a time on one state directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.errors import StateError
from agents.state_lock import locked


def test_a_second_agent_on_one_directory_is_told_and_ends(tmp_path: Path) -> None:
    with locked(tmp_path / "state"):
        with pytest.raises(StateError) as refused, locked(tmp_path / "state"):
            pass
        assert refused.value.code == "state-directory-in-use"
        assert "--state-dir" in refused.value.fix
    with locked(tmp_path / "state"):
        pass


def test_a_directory_that_cannot_be_made_is_an_error_with_a_cure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError) as refused, locked(tmp_path / "file" / "state"):
        pass
    assert "--state-dir" in refused.value.fix
