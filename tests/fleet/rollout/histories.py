"""How random histories of a fleet are tried: `@settings(HISTORIES, max_examples=60)`."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

HISTORIES = settings(
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking takes minutes: to debug
    suppress_health_check=list(HealthCheck),
)
"""None is shrunk, and none is too long or too slow to be made."""
