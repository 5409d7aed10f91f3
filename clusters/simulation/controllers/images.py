"""How a container behaves is written in its image: one table, so that a commit can fail on purpose.

======================  ============================================================================
word in the image       what its containers do
======================  ============================================================================
(none)                  start, become ready; in a Job they succeed
``crashloop``           start and fall over again and again: `CrashLoopBackOff`; a Job's pod fails
``neverready``          run, and never become ready
``slow``                become ready after a long time (`Timing.slow`)
``pullerror``           cannot be pulled: `ErrImagePull`, then `ImagePullBackOff`
``exit1``               end with code 1: a Job's pod fails, elsewhere as `crashloop`
======================  ============================================================================

A word counts anywhere in the tag (`v2-crashloop`, `2.0.0neverready`), and in the name only as a
whole part between punctuation (`demo/slow-api`, but not `slowhttp`). The first word of the table
wins. A pod is as bad as its worst container.
"""

from __future__ import annotations

import re
from enum import StrEnum


class Behaviour(StrEnum):
    """What a container does; the values are the words in the image."""

    NORMAL = ""
    CRASHLOOP = "crashloop"
    NEVER_READY = "neverready"
    SLOW = "slow"
    PULL_ERROR = "pullerror"
    EXIT_1 = "exit1"


_WORDS = tuple(behaviour for behaviour in Behaviour if behaviour)


def behaviour_of(image: str) -> Behaviour:
    """The behaviour that an image's text asks for; a digest is not looked at."""
    name, _, tag = _split(image.lower())
    parts = set(re.split(r"[^a-z0-9]+", name))
    for behaviour in _WORDS:
        if behaviour in tag or behaviour in parts:
            return behaviour
    return Behaviour.NORMAL


def _split(image: str) -> tuple[str, str, str]:
    """Name and tag; the colon of a registry's port is no tag."""
    without_digest = image.split("@", 1)[0]
    head, slash, last = without_digest.rpartition("/")
    last_name, colon, tag = last.partition(":")
    return head + slash + last_name, colon, tag
