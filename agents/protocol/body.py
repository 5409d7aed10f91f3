"""What every body on the wire is, and the one part that several of them have: a field that differs.

Bodies are frozen; fields that a newer partner sends are ignored.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class WireBody(BaseModel):
    """A value that goes over the wire."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class FieldDrift(WireBody):
    """One field that differs; a Secret's values are replaced by `(redacted)` in the agent."""

    path: str
    wanted: str | None = None
    live: str | None = None
    manager: str = ""
