"""A person has a cluster forgotten that no agent will ever take leave of: a machine that is gone.

Only what Git does not declare: a declared cluster would be back with the next commit.
"""

from __future__ import annotations

from datetime import datetime

from fleet.errors import RequestError
from fleet.store import Store
from fleet.store.leaving import forget
from fleet.store.questions import cluster_rows


def forget_cluster(store: Store, cluster: str, now: datetime) -> str:
    """Drop its state and its agent's token; says what was done.

    Errors: `RequestError` for one that is not known, and for one that Git declares.
    """
    with store.write() as c:
        rows = cluster_rows(c, cluster)
        if not rows:
            raise RequestError(
                f"there is no cluster {cluster!r}",
                fix="see `fleet clusters`",
                code="not-found",
                status=404,
            )
        if rows[0]["declared"]:
            raise RequestError(
                f"Git declares cluster {cluster}",
                at=rows[0]["at"],
                fix="remove its declaration first",
                code="still-declared",
                status=409,
            )
        forget(c, cluster, now)
    return f"cluster {cluster} is forgotten; its agent's token works no more"
