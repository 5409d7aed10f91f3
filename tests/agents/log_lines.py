"""What is logged, as it is printed and as the facts that it is made of."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from clusters.logs import LineFormatter


def printed(records: Iterable[logging.LogRecord]) -> str:
    """The lines as the processes write them, traces included."""
    formatter = LineFormatter("text")
    return "\n".join(formatter.format(record) for record in records)


def facts(records: Iterable[logging.LogRecord], event: str) -> list[dict[str, Any]]:
    """The parts of each line with that event."""
    return [vars(record) for record in records if record.getMessage() == event]
