"""A write as admission plugins see it, and their way to say no."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from clusters.errors import AdmissionError
from clusters.objects import Object, ObjectKey
from clusters.simulation.server.builtin import KindTraits


class Operation(StrEnum):
    """What is done, in the words of an AdmissionReview."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


class Attributes(NamedTuple):
    """One write. Both objects are to be read only."""

    operation: Operation
    traits: KindTraits
    version: str
    """The API version in which the client speaks."""
    key: ObjectKey
    object: Object | None
    """As it would be stored; `None` when it is to be deleted."""
    old: Object | None
    subresource: str = ""
    dry_run: bool = False

    @property
    def creates(self) -> bool:
        """Whether a whole new object is made."""
        return self.operation is Operation.CREATE and not self.subresource

    @property
    def what(self) -> str:
        """`deployments.apps "web"`, as Kubernetes names an object in its messages."""
        resource, group = self.traits.resource.plural, self.key.group
        return f'{resource}.{group} "{self.key.name}"' if group else f'{resource} "{self.key.name}"'

    def with_object(self, obj: Object | None) -> Attributes:
        """The same write, of an object that a plugin has changed."""
        return self if obj is self.object else self._replace(object=obj)


def denied(attributes: Attributes, why: str) -> AdmissionError:
    """The 403 of a plugin."""
    return AdmissionError(forbidden_text(attributes, why))


def forbidden_text(attributes: Attributes, why: str) -> str:
    """`pods "web" is forbidden: …`."""
    return f"{attributes.what} is forbidden: {why}"
