"""The token that a cluster speaks to its hub with: from a file, or from the environment.

Never an argument: a command line is visible to everybody. Never logged.
"""

from __future__ import annotations

import os
from pathlib import Path

from agents.errors import AgentError

TOKEN_VARIABLE = "FLEET_TOKEN"  # the variable's name, not a token


def read_token(path: Path | None) -> str:
    """The token from the file, or from the environment. Errors: `AgentError` (`token`)."""
    if path is None:
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
        where = TOKEN_VARIABLE
    else:
        where = str(path)
        try:
            token = path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise _no_token(f"the token cannot be read: {error}", where) from error
    if not token:
        raise _no_token("there is no token", where)
    return token


def _no_token(what: str, where: str) -> AgentError:
    fix = f"pass --token-file or set {TOKEN_VARIABLE}; `fleet cluster token NAME` makes one"
    return AgentError(what, at=where, fix=fix, code="token")
