"""The hub's API on loopback for the people of a story, whichever hub is alive at the moment.

A story's hub lives in virtual time on the story's own thread; people ask it as anywhere, over HTTP
with their own token, by the program `fleet`. Use as a context manager.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import uvicorn
from click.testing import CliRunner
from starlette.types import ASGIApp, Receive, Scope, Send

from fleet.api.serving import Listen, bind, url_of
from fleet.cli import main

TOKENS = {name: f"token-of-{name}-in-a-story" for name in ("ana", "ben", "cleo")}
PEOPLE = f"""\
- {{name: ana, groups: [sre], token: {TOKENS["ana"]}}}
- {{name: ben, groups: [shop], token: {TOKENS["ben"]}}}
- {{name: cleo, groups: [sre], aliases: [cleo@shop.example], token: {TOKENS["cleo"]}}}
"""


class PeopleDoor:
    """A server in a thread of its own; `app` is whom it asks."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None
        self._socket = bind(Listen(port=0))
        config = uvicorn.Config(
            self._pass_on, interface="asgi3", lifespan="off", log_config=None, access_log=False
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="people", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=20)
        self._socket.close()
        assert not self._thread.is_alive(), "the server of a story did not stop"

    def fleet(self, person: str, *words: str) -> tuple[int, str]:
        """`fleet …` of one person: its exit code, and what it printed."""
        environment: Mapping[str, str] = {
            "FLEET_HUB": url_of(self._socket, "http"),
            "FLEET_TOKEN": TOKENS[person],
        }
        done = CliRunner().invoke(main, list(words), env=environment, prog_name="fleet")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None, "no hub is open"
        await self.app(scope, receive, send)
