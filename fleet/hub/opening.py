"""A hub from its settings: the folder and its lock, the store, the source, the renderer."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random
from types import TracebackType
from typing import Self

from clusters.clock import Clock
from fleet.hub.hub import Hub
from fleet.hub.lock import FolderLock
from fleet.hub.observing import Observer
from fleet.hub.planning import make_plan, plan_content
from fleet.hub.settings import HubSettings
from fleet.render import Renderer
from fleet.source import Source
from fleet.store import open_store
from fleet.store.access import Access, operator_token
from fleet.store.hub_key import hub_key
from fleet.store.people import NOBODY, read_people


def _mint() -> str:
    return secrets.token_urlsafe(32)


@dataclass
class OpenHub:
    """A hub with what it needs; close it to give everything back. Use as a context manager."""

    hub: Hub
    access: Access
    _opened: ExitStack

    def close(self) -> None:
        """End the renderer and the source, close the store, give the folder back."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_hub(
    settings: HubSettings,
    clock: Clock,
    *,
    mint: Callable[[], str] = _mint,
    rng: Random | None = None,
) -> OpenHub:
    """Open everything that a hub needs; nothing runs yet.

    Errors: `ServeError` (folder in use), `StoreError`, `SourceError` (no such repository; a Git
    host that is only away is a problem that people see, and no error).
    """
    folder = settings.state_dir
    opened = ExitStack()
    try:
        lock = FolderLock(folder)
        lock.take()
        opened.callback(lock.release)
        store = open_store(folder)
        opened.callback(store.close)
        people = read_people(settings.people) if settings.people else NOBODY
        access = Access(store, operator_token(folder, mint), people)
        source = Source.open(
            settings.repo, branch=settings.branch, mirror_dir=folder / "mirrors", fetch=False
        )
        opened.callback(source.close)
        renderer = opened.enter_context(Renderer(folder / "renders"))
        observer = Observer(
            store,
            source,
            functools.partial(make_plan, renderer=renderer),
            location=source.location.shown,
            plan_part=functools.partial(plan_content, renderer=renderer),
        )
        hub = Hub(
            store,
            observer,
            settings,
            clock,
            mint=mint,
            key=hub_key(folder),
            rng=rng or Random(),
        )
    except BaseException:
        opened.close()
        raise
    return OpenHub(hub, access, opened)
