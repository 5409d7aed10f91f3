"""What may be a source, and what Git would run as a program instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.errors import SourceError
from fleet.source import check_location


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-x",
        "--upload-pack=touch /tmp/owned",
        "ext::sh -c 'touch /tmp/owned'",
        "fd::17/foo",
        "EXT::sh -c x",
        "ssh://-oProxyCommand=touch/x",
        "git@host:-x",
        "ftp://host/x",
        "git://host/x",
        "javascript://x",
        "https:///nohost",
        "https://[broken/x",
        "https://host/x\n--upload-pack=x",
        "a\0b",
    ],
)
def test_what_git_would_run_or_cannot_reach_is_refused(text: str) -> None:
    with pytest.raises(SourceError) as caught:
        check_location(text)
    assert caught.value.code == "source-refused"


def test_a_host_that_starts_with_a_dash_never_reaches_ssh() -> None:
    assert check_location("git@-oProxyCommand=x:y").url == ""


@pytest.mark.parametrize(
    "text", ["https://host/x.git", "ssh://git@host:22/x", "git@host:team/fleet.git", "file:///x"]
)
def test_urls_and_the_short_form_of_ssh_are_taken_as_they_are(text: str) -> None:
    assert check_location(text).url == text


def test_a_folder_wins_over_what_looks_like_ssh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "host:fleet").mkdir()
    monkeypatch.chdir(tmp_path)
    assert check_location("host:fleet").path == tmp_path / "host:fleet"
    assert check_location("host:other").url == "host:other"


def test_a_password_in_a_url_is_never_shown() -> None:
    location = check_location("https://bot:s3cret@host/x.git")
    assert location.url == "https://bot:s3cret@host/x.git"
    assert location.shown == "https://host/x.git"
    with pytest.raises(SourceError) as caught:
        check_location("ftp://bot:s3cret@host/x.git")
    assert "s3cret" not in str(caught.value)
