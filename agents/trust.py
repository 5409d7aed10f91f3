"""Whom the agent believes: the hub's key, pinned.

    given    --hub-key: what an operator said; it always wins
    kept     what was pinned at the first registration, in the state directory and in the cluster
    none     the first hub that answers is believed, and pinned (trust on first use)

From there on the pin moves only along successions that the pinned key itself signed, and they are
kept with it, so that a restart without a hub ends at the same key. A target that the pin did not
sign is refused, wherever it came from: hub, disk or cluster.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from agents.cache import Cache
from agents.errors import AgentError, HubKeyError
from agents.protocol import RegisterAnswer, Succession, Target
from agents.protocol.signing import SignatureError, check_target, follow
from agents.protocol.sshsig import fingerprint, read_key_line


class Pinned(BaseModel):
    """What is kept of a hub's key."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: str
    successions: tuple[Succession, ...] = ()
    """How it came to be; what leads an operator's earlier word to it."""


class Trust:
    """The hub's key as one agent knows it. Everything it raises is `HubKeyError`, but at first."""

    def __init__(self, cache: Cache, given: str = "") -> None:
        """`given` is the operator's word. Errors: `AgentError` (`hub-key-unreadable`)."""
        self._cache = cache
        try:
            self._given = read_key_line(given) if given else ""
        except SignatureError as error:
            raise AgentError(
                f"the hub's key cannot be used: {error}",
                at="--hub-key",
                fix="give the line ssh-ed25519 AAAA… that `fleet hub-key` prints, or a file of it",
                code="hub-key-unreadable",
            ) from error
        self._kept = _read(cache.load_key())

    @property
    def pin(self) -> str:
        """The key that targets must be signed by; empty before the first registration."""
        if not self._given:
            return self._kept.key if self._kept else ""
        try:
            return follow(self._given, self._kept.successions if self._kept else ())
        except SignatureError:
            return self._given

    def check(self, target: Target) -> None:
        """Did the pinned key sign it? Errors: `HubKeyError`."""
        try:
            check_target(target, self.pin)
        except SignatureError as error:
            raise HubKeyError(
                f"target {target.etag} is not from the hub that this agent knows: {error}; refused",
                at=f"pinned key {_shown(self.pin)}",
                fix=_CURE,
            ) from error

    def meet(self, answer: RegisterAnswer) -> None:
        """Pin the key of the hub that was registered with, or follow where it moved to.

        Errors: `HubKeyError` for a hub with another key.
        """
        try:
            said = read_key_line(answer.hub_key)
            reached = follow(self.pin or said, answer.successions)
        except SignatureError as error:
            raise HubKeyError(
                f"the hub shows no key that can be used: {error}", fix=_CURE
            ) from error
        if reached != said:
            raise HubKeyError(
                f"the hub has another key than the one pinned: {_shown(said)}; it is not believed",
                at=f"pinned key {_shown(self.pin)}",
                fix=_CURE,
            )
        known = self._kept.successions if self._kept else ()
        pinned = Pinned(key=said, successions=answer.successions or known)
        if pinned != self._kept:
            self._keep(pinned)

    def recall(self, kept: bytes) -> None:
        """Take up a pin that was kept in the cluster, if there is none here."""
        found = _read(kept)
        if found is not None and self._kept is None:
            self._keep(found)

    @property
    def kept(self) -> bytes:
        """What to keep of it elsewhere; empty if nothing is pinned."""
        return self._kept.model_dump_json().encode() if self._kept else b""

    def _keep(self, pinned: Pinned) -> None:
        self._cache.save_key(pinned.model_dump_json().encode())
        self._kept = pinned


_CURE = (
    "if the hub really got a new key, start the agent with it: --hub-key; `fleet hub-key` prints it"
)


def _read(data: bytes) -> Pinned | None:
    try:
        pinned = Pinned.model_validate_json(data)
        read_key_line(pinned.key)
    except (ValidationError, SignatureError):
        return None
    return pinned


def _shown(line: str) -> str:
    return fingerprint(line) if line else "none"
