"""How long things take in a simulated cluster: ranges, and the point in them for one name.

The point is a hash of (seed, name), so that the same cluster behaves the same in every run and
two pods of one Deployment differ. Seconds throughout.

Never asks a clock: it says how long, not when.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds from … to …, for each thing that takes time."""

    pod_ready: Range = (0.5, 1.5)
    """From a pod's creation until its containers are ready."""
    slow: Range = (30.0, 40.0)
    """The same for an image that says `slow`."""
    job_run: Range = (0.5, 1.5)
    """How long a Job's pod runs before it ends."""
    job_retry: Range = (0.5, 1.0)
    """Between a Job's failed pod and its next one; doubles with each failure."""
    load_balancer: Range = (0.2, 0.6)
    """Until a load balancer or an Ingress has its address."""
    volume: Range = (0.1, 0.3)
    """Until a claim is bound."""


def seconds_for(seed: int, name: str, within: Range) -> float:
    """The point of a range that belongs to `name` under `seed`."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
    low, high = within
    return low + (high - low) * (int.from_bytes(digest) / 2**64)


_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def short_hash(text: str | bytes, length: int = 10) -> str:
    """A hash in the letters that Kubernetes uses for generated names."""
    data = text.encode() if isinstance(text, str) else text
    number = int.from_bytes(hashlib.blake2b(data, digest_size=16).digest())
    letters = []
    for _ in range(length):
        number, index = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[index])
    return "".join(letters)
