"""What changed in one cluster, in order: the feed, its bounded history, and watches on it.

`History.record` hands every `Change` to the subscribers and keeps the last `limit` of them, so
that a watch may start in the recent past. Older than that is compacted: `ExpiredError`.

A `Subscription` is one watch: a filter and a bounded buffer. A reader that falls behind by more
than the buffer gets `ExpiredError` and lists again; the writer never waits for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from clusters.cluster import EventType, WatchEvent
from clusters.errors import ExpiredError
from clusters.objects import Kind, Object, ObjectKey

Filter = Callable[[Object], bool]
Render = Callable[[Object], Object]


@dataclass(frozen=True, slots=True)
class Change:
    """One write: `previous` → `object` (for DELETED the last state, with its final version).

    Both are the stored objects themselves: to be read, never written to.
    """

    type: EventType
    key: ObjectKey
    object: Object
    previous: Object | None
    revision: int


class Subscription:
    """One watch of one kind: what `matches` lets through, as `render` shows it, to be polled.

    `wake` is called when there is something new (or the watch was closed); an asynchronous reader
    sets it to its event's `set`.
    """

    def __init__(
        self, history: History, kind: Kind, matches: Filter, render: Render, limit: int
    ) -> None:
        self._history = history
        self._kind = kind
        self._matches = matches
        self._render = render
        self._limit = limit
        self._events: deque[WatchEvent] = deque()
        self._overflowed = False
        self.closed = False
        self.wake: Callable[[], None] | None = None

    def poll(self) -> list[WatchEvent]:
        """What arrived since the last call, copies. Errors: `ExpiredError` if some was lost."""
        if self._overflowed:
            raise ExpiredError("the watch fell behind and lost events; list again")
        events = [WatchEvent(event.type, self._render(event.object)) for event in self._events]
        self._events.clear()
        return events

    def position(self) -> str:
        """How far the watch has come, for a bookmark; true when `poll` has nothing left."""
        return str(self._history.revision)

    def close(self) -> None:
        """End the watch; its reader is woken and finds it closed."""
        self.closed = True
        self._history.leave(self)
        if self.wake:
            self.wake()

    def offer(self, change: Change) -> None:
        """Take in one change, if it concerns this watch."""
        if change.key.kind_key != self._kind or self._overflowed:
            return
        now = self._matches(change.object) and change.type is not EventType.DELETED
        before = change.previous is not None and self._matches(change.previous)
        if not now and not before:
            return
        if len(self._events) >= self._limit:
            self._overflowed = True
            self._events.clear()
        else:
            self._events.append(WatchEvent(_event_type(before, now), change.object))
        if self.wake:
            self.wake()

    def present(self, objects: Iterable[Object]) -> None:
        """Begin with what is there already, beyond the limit of the buffer."""
        found = [WatchEvent(EventType.ADDED, obj) for obj in objects if self._matches(obj)]
        self._events.extend(found)
        self._limit += len(found)


def _event_type(before: bool, now: bool) -> EventType:
    """A watch with a selector sees an object come and go as it starts and stops matching."""
    if not now:
        return EventType.DELETED
    return EventType.MODIFIED if before else EventType.ADDED


class History:
    """The cluster-wide revision counter, the recent changes, and who listens."""

    def __init__(self, limit: int) -> None:
        self.revision = 0
        self._recent: deque[Change] = deque(maxlen=limit)
        self._compacted = 0
        self._watches: dict[Kind, list[Subscription]] = {}
        self._callbacks: tuple[Callable[[Change], None], ...] = ()

    def next_revision(self) -> int:
        """The number for the write that is about to be recorded."""
        self.revision += 1
        return self.revision

    def record(self, change: Change) -> None:
        """Keep a change and tell everybody, callbacks first."""
        if len(self._recent) == self._recent.maxlen:
            self._compacted = self._recent[0].revision
        self._recent.append(change)
        for callback in self._callbacks:
            callback(change)
        for watch in tuple(self._watches.get(change.key.kind_key, ())):
            watch.offer(change)

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call `callback` with every change from now on; the returned function ends that."""
        self._callbacks = (*self._callbacks, callback)

        def stop() -> None:
            self._callbacks = tuple(item for item in self._callbacks if item is not callback)

        return stop

    def watch(
        self, kind: Kind, matches: Filter, *, since: int | None, render: Render, limit: int
    ) -> Subscription:
        """A watch of `kind` after revision `since` (`None`: from the present on).

        Errors: `ExpiredError` if changes after `since` have been compacted.
        """
        watch = Subscription(self, kind, matches, render, limit)
        for change in self._after(since):
            watch.offer(change)
        self._watches.setdefault(kind, []).append(watch)
        return watch

    def end(self, kind: Kind) -> None:
        """Close every watch of a kind that is served no longer."""
        for watch in tuple(self._watches.get(kind, ())):
            watch.close()

    def leave(self, watch: Subscription) -> None:
        """Forget a watch that was closed."""
        for watches in self._watches.values():
            if watch in watches:
                watches.remove(watch)

    def _after(self, since: int | None) -> Iterator[Change]:
        if since is None or since >= self.revision:
            return
        if since < self._compacted:
            raise ExpiredError(f"too old resource version: {since} ({self._compacted}); list again")
        yield from (change for change in self._recent if change.revision > since)
