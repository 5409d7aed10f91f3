"""What a client says about the object that it means to change: its resourceVersion and its uid."""

from __future__ import annotations

from clusters.errors import ConflictError
from clusters.objects import Kind, Object
from clusters.simulation.server.rejections import (
    PreconditionError,
    rejected,
    unsupported,
)


def check_sent(what: str, live: Object, sent: Object) -> None:
    """Hold a new object to the version and uid that it names.

    `what` names the object in messages. Errors: `ConflictError`, `PreconditionError`.
    """
    check_version(what, live, sent)
    uid = sent["metadata"].get("uid")
    if uid and uid != live["metadata"]["uid"]:
        raise PreconditionError(
            f"Operation cannot be fulfilled on {what}: the UID in the precondition ({uid}) does "
            f"not match the UID in record ({live['metadata']['uid']})"
        )


def check_version(what: str, live: Object, sent: Object) -> None:
    """Hold what a patch makes to the version that it names. Errors: `ConflictError`."""
    version = sent["metadata"].get("resourceVersion")
    if version and version != live["metadata"]["resourceVersion"]:
        raise ConflictError(
            f"Operation cannot be fulfilled on {what}: the object has been modified; please apply "
            "your changes to the latest version and try again"
        )


def check_absent(what: str, sent: Object) -> None:
    """Refuse to make an object that is meant to be another one that went.

    Errors: `ConflictError`.
    """
    uid = sent["metadata"].get("uid")
    if uid:
        raise ConflictError(
            f"Operation cannot be fulfilled on {what}: uid mismatch: the provided object "
            f"specified uid {uid}, and no existing object was found"
        )


_POLICIES = ("Foreground", "Background", "Orphan")


def check_propagation(policy: str) -> None:
    """Refuse a word that is no propagation policy. Errors: `RejectedError`."""
    if policy not in _POLICIES:
        cause = unsupported("propagationPolicy", policy, _POLICIES)
        raise rejected(Kind("meta.k8s.io", "DeleteOptions"), "", (cause,))


def check_deletion(what: str, live: Object, *, uid: str, resource_version: str) -> None:
    """Hold a delete to its preconditions, those that are set. Errors: `PreconditionError`."""
    metadata = live["metadata"]
    for field, word, wanted in (
        ("uid", "UID", uid),
        ("resourceVersion", "ResourceVersion", resource_version),
    ):
        if wanted and wanted != metadata.get(field):
            guess = "deleted and then recreated" if field == "uid" else "modified"
            raise PreconditionError(
                f"Operation cannot be fulfilled on {what}: the {word} in the precondition "
                f"({wanted}) does not match the {word} in record ({metadata.get(field)}). The "
                f"object might have been {guess}"
            )
