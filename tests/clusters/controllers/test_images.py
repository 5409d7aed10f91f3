"""How containers behave is written in their image."""

from __future__ import annotations

import pytest

from clusters.simulation.controllers import Behaviour, behaviour_of, images


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("nginx", Behaviour.NORMAL),
        ("registry.example:5000/team/web:1.2.3", Behaviour.NORMAL),
        ("web:v2-crashloop", Behaviour.CRASHLOOP),
        ("web:2.0.0neverready", Behaviour.NEVER_READY),
        ("WEB:SLOW", Behaviour.SLOW),
        ("demo/slow-api:1", Behaviour.SLOW),
        ("demo/slowhttp:1", Behaviour.NORMAL),
        ("web:1-pullerror@sha256:0000", Behaviour.PULL_ERROR),
        ("web@sha256:slow", Behaviour.NORMAL),
        ("migrate:exit1", Behaviour.EXIT_1),
        ("slow.example:5000/web", Behaviour.SLOW),
        ("web:slow-crashloop", Behaviour.CRASHLOOP),
    ],
)
def test_a_word_in_the_image_says_how_it_behaves(image: str, expected: Behaviour) -> None:
    assert behaviour_of(image) is expected


def test_every_word_is_in_the_table_of_the_documentation() -> None:
    assert images.__doc__ is not None
    assert all(f"``{behaviour}``" in images.__doc__ for behaviour in Behaviour if behaviour)
