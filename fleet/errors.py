"""What the hub and its commands can fail with; each says what, where and how to mend it.

::

    FleetError
    ├── SourceError      the repository, branch or commit cannot be read
    ├── RenderError      a render program is missing or cannot be used at all
    ├── StoreError       the database cannot be opened or is of a newer version
    ├── RequestError     a person asked for something that does not exist or is not allowed
    └── ServeError       the hub cannot listen (port in use)

What is wrong *in* a repository is no exception but a `fleet.model.Problem`: it stops nothing else.
"""

from __future__ import annotations


class FleetError(Exception):
    """Prints as what / at / fix; `code` is stable."""

    code = "fleet-error"

    def __init__(self, what: str, *, at: str = "", fix: str = "", code: str = "") -> None:
        super().__init__(what)
        self.what, self.at, self.fix = what, at, fix
        if code:
            self.code = code

    def __str__(self) -> str:
        return describe(self.what, self.at, self.fix)


def describe(what: str, at: str = "", fix: str = "") -> str:
    """The three-line form that every error of Fleet has."""
    lines = [what]
    if at:
        lines.append(f"  at:  {at}")
    if fix:
        lines.append(f"  fix: {fix}")
    return "\n".join(lines)


class SourceError(FleetError):
    """The repository, branch or commit cannot be read."""

    code = "source"


class RenderError(FleetError):
    """A render program is missing or cannot be used at all."""

    code = "render"


class StoreError(FleetError):
    """The database cannot be opened or is of a newer version."""

    code = "store"


class RequestError(FleetError):
    """A person asked for something that does not exist or is not allowed; `status` is HTTP's."""

    code = "request"
    status = 400

    def __init__(
        self, what: str, *, at: str = "", fix: str = "", code: str = "", status: int = 0
    ) -> None:
        super().__init__(what, at=at, fix=fix, code=code)
        self.status = status or type(self).status


class ServeError(FleetError):
    """The hub cannot listen."""

    code = "serve"
