"""What the cluster keeps for an agent that may lose its disk: taken up at a start, kept current.

Until the cluster was asked once, an agent without a pin asks no hub: whoever answered first would
be believed ever after. Errors of the cluster are logged, and it is asked again.
"""

from __future__ import annotations

import logging

from agents.cache import Cache
from agents.cluster_copy import ClusterCopy
from agents.link import Link
from agents.protocol import Target
from clusters.cluster import Cluster
from clusters.errors import ClusterError

_log = logging.getLogger(__name__)


class Keeping:
    """The copy of one agent's target and artifacts."""

    def __init__(self, cluster: Cluster, name: str, link: Link, cache: Cache) -> None:
        self._copy = ClusterCopy(cluster, name)
        self._link = link
        self._cache = cache
        self._recalled = False

    @property
    def knows_whom_to_believe(self) -> bool:
        """Is a hub pinned, or is it certain that none is?"""
        return self._link.is_pinned or self._recalled

    async def recall(self) -> bool:
        """Take up the copy, once; has the link another target by it? Errors: `StateError`."""
        if self._recalled:
            return False
        try:
            kept = await self._copy.load()
        except ClusterError as error:
            _log.debug("copy unread", extra={"reason": str(error)})
            return False
        self._recalled = True
        if kept is None or not self._link.recall(kept):
            return False
        _log.info("target recalled", extra={"target": kept.target.etag})
        return True

    async def keep(self, target: Target) -> None:
        """Have the cluster keep what the agent goes by; asked again it writes what is missing."""
        try:
            await self._copy.keep(target, self._link.pinned, self._cache.artifact_bytes)
        except ClusterError as error:
            _log.warning("copy not kept", extra={"reason": str(error)})
