"""How often and how soon a bundle that failed to apply is tried again, in Argo CD's words."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Retry(BaseModel):
    """A bundle's own way to be tried again; what it does not say is the agent's to choose."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    limit: int | None = None
    """Attempts after the first, for one bundle deployment; `None` for no end."""
    duration_seconds: float | None = None
    """The wait before the second attempt."""
    factor: float | None = None
    """By how much the wait grows with each attempt."""
    max_duration_seconds: float | None = None
    """The longest wait."""
