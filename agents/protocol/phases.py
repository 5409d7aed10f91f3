"""When an object's turn comes: sync waves and hooks, by annotation, in Fleet's and Argo CD's words.

| Fleet | Argo CD |
|---|---|
| `fleet.dev/sync-wave: "-5"` | `argocd.argoproj.io/sync-wave` |
| `fleet.dev/hook: pre-sync` | `argocd.argoproj.io/hook: PreSync` |
| `fleet.dev/hook-delete-policy: hook-succeeded` | `argocd.argoproj.io/hook-delete-policy: HookSucceeded` |

Either way of writing a word is understood in both; Fleet's annotation wins. `Skip` leaves an object
out. A hook's wave is its weight. Helm's own hooks are the renderer's business. Pure.
"""  # noqa: E501 - a table's row is one line

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from agents.protocol.artifact import BEFORE_CREATION, Hook, HookEvent
from clusters.objects import Object, annotations_of

PREFIXES = ("fleet.dev/", "argocd.argoproj.io/")
WAVE, HOOK, POLICY = "sync-wave", "hook", "hook-delete-policy"
FURTHEST_WAVE = 2**31 - 1
POLICIES = (BEFORE_CREATION, "hook-succeeded", "hook-failed")
SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Phases:
    """Objects by their turn."""

    objects: tuple[Object, ...]
    hooks: tuple[Hook, ...]


def sync_wave(obj: Object) -> int:
    """The wave of an object, 0 if it names none. Errors: `ValueError` for what is no number."""
    name, text = _said(obj, WAVE)
    try:
        number = int(text) if text.strip() else 0
    except ValueError:
        raise ValueError(f"annotation {name} is {text[:40]!r}, not a whole number") from None
    if abs(number) > FURTHEST_WAVE:
        raise ValueError(f"annotation {name} is {text[:40]!r}, too far away")
    return number


def names_hook(obj: Object) -> bool:
    """Does the object say by annotation that it is a hook?"""
    return bool(_said(obj, HOOK)[1])


def sort_out(objects: Iterable[Object]) -> Phases:
    """Plain objects in their order, hooks by wave. Errors: `ValueError`, naming the object."""
    plain: list[Object] = []
    hooks: list[Hook] = []
    for obj in objects:
        try:
            wave, events = sync_wave(obj), _words(obj, HOOK, (*HookEvent, SKIP))
            policies = _words(obj, POLICY, POLICIES)
        except ValueError as error:
            metadata = obj["metadata"]
            raise ValueError(f"{obj['kind']} {metadata['name']}: {error}") from None
        if not events:
            plain.append(obj)
        elif SKIP not in events:
            chosen = tuple(event for event in HookEvent if event in events)
            hooks.append(_hook(obj, chosen, wave, policies or (BEFORE_CREATION,)))
    return Phases(tuple(plain), tuple(sorted(hooks, key=lambda hook: hook.weight)))


def _hook(
    obj: dict[str, Any], events: tuple[HookEvent, ...], wave: int, policies: tuple[str, ...]
) -> Hook:
    return Hook(events=events, weight=wave, deletePolicies=policies, object=obj)


def _words(obj: Object, what: str, known: Iterable[str]) -> tuple[str, ...]:
    """The words of an annotation as Fleet writes them, in its order."""
    name, text = _said(obj, what)
    by_letters = {word.replace("-", ""): str(word) for word in known}
    found = []
    for part in text.split(","):
        letters = part.strip().lower().replace("-", "")
        if letters and letters not in by_letters:
            choice = ", ".join(by_letters.values())
            raise ValueError(f"annotation {name} says {part.strip()[:40]!r}, none of {choice}")
        if letters:
            found.append(by_letters[letters])
    return tuple(dict.fromkeys(found))


def _said(obj: Object, what: str) -> tuple[str, str]:
    """The annotation that counts, and its text; an empty text if there is none."""
    annotations = annotations_of(obj)
    for prefix in PREFIXES:
        text = annotations.get(f"{prefix}{what}")
        if text is not None:
            return f"{prefix}{what}", str(text)
    return f"{PREFIXES[0]}{what}", ""
