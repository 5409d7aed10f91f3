"""Have the pushes settled? A burst of commits makes one run, of the last of them.

A commit is released when no other was seen for `source.coalesce` after it. A stream of pushes that
never settles does not hold releases for ever: a burst is over after `BURST_AT_MOST` times that.
Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

BURST_AT_MOST = 6
"""Times `source.coalesce`."""


def settles_at(pushes: Sequence[datetime], coalesce_seconds: float) -> datetime | None:
    """When the newest commit may be released; `None` if nothing is known of pushes.

    `pushes` says when each of the newest commits was first seen, the newest first.
    """
    if not pushes:
        return None
    pause = timedelta(seconds=coalesce_seconds)
    begin = pushes[0]
    for earlier in pushes[1:]:
        if begin - earlier >= pause:
            break
        begin = earlier
    return min(pushes[0] + pause, begin + BURST_AT_MOST * pause)
