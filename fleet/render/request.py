"""What a render is asked for; `fleet.plan` makes it, so the words live there."""

from __future__ import annotations

from fleet.plan.request import GroupRequest, RenderRequest

__all__ = ["GroupRequest", "RenderRequest"]
