"""The way of every write to the store: complete, check, claim, count, put.

::

    new object ─▶ stored form ─▶ defaults, addresses ─▶ admission: mutate
               ─▶ validation, immutability ─▶ admission: review ─▶ is it there already?
               ─▶ generation ─▶ managedFields ─▶ same as before? keep it : put

A write that changes nothing puts nothing: the resourceVersion stays. What admission fills in
belongs to nobody, as on a real server.

Never decides what the new object is (that is `api`), and never deletes (that is `deletion`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clusters.errors import AlreadyExistsError
from clusters.objects import Kind, Object, ObjectKey, annotations_of
from clusters.simulation.server.admission.attributes import Attributes, Operation
from clusters.simulation.server.admission.chain import is_idle, mutate, review
from clusters.simulation.server.builtin import KindTraits
from clusters.simulation.server.catalog import CRD
from clusters.simulation.server.copies import clone
from clusters.simulation.server.custom_values import object_causes, replica_causes
from clusters.simulation.server.decoding import missing_fields, normalise
from clusters.simulation.server.defaults import set_defaults, set_schema_defaults
from clusters.simulation.server.immutability import (
    immutable_changes,
    metadata_changes,
    phase_causes,
)
from clusters.simulation.server.ownership import (
    Claims,
    Owner,
    read_claims,
    track_update,
    write_claims,
)
from clusters.simulation.server.preparation import prepare
from clusters.simulation.server.rejections import (
    Cause,
    rejected,
    rejected_as_immutable,
    required,
)
from clusters.simulation.server.schema import Node
from clusters.simulation.server.state import NAMESPACE, State
from clusters.simulation.server.touching import STATUS, touchable, written_over
from clusters.simulation.server.typed import ItemKeyError
from clusters.simulation.server.validation import (
    allocation_causes,
    metadata_causes,
    validate,
)

_DEPLOYMENT = Kind("apps", "Deployment")
_DAEMON_SET = Kind("apps", "DaemonSet")
_PRIORITY_CLASS = Kind("scheduling.k8s.io", "PriorityClass")
_ENDPOINT_SLICE = Kind("discovery.k8s.io", "EndpointSlice")
_CRON_JOB = Kind("batch", "CronJob")
_NETWORK_POLICY = Kind("networking.k8s.io", "NetworkPolicy")
_DEPLOYMENT_NOTES = "deployment.kubernetes.io/"
_CARRIED = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "resourceVersion",
    "selfLink",
)


@dataclass(frozen=True, slots=True)
class Write:
    """One object on its way into the store."""

    traits: KindTraits
    schema: Node
    key: ObjectKey
    new: Object
    live: Object | None
    owner: Owner
    claims: Claims | None = None
    """Who owns what afterwards, where an apply has worked that out; else it is tracked."""
    subresource: str = ""
    dry_run: bool = False
    version: str = ""
    """The version in which the client speaks; the storage version if it is not said."""
    wrong: tuple[Cause, ...] = ()
    """What the client sent of the wrong type, in an object of a custom kind."""
    reviewed: bool = True
    """Whether it goes through admission; the server's own bookkeeping does not."""


def perform(state: State, write: Write) -> Object:
    """Carry out a write; returns the object as stored (not a copy), or as it would be.

    Errors: `RejectedError`, `RejectedImmutableError`, `AdmissionError`, `QuotaError`,
    `AlreadyExistsError`.
    """
    sent = _complete(state, write)
    final = _prepared(state, write, sent)
    if not write.reviewed or is_idle(state, write.traits.kind):
        _check(write, final)
    else:
        final = _admit(state, write, final)
    if write.live is None and state.store.get(write.key) is not None:
        # Only the store knows, and it is asked last: a quota may have refused before.
        raise AlreadyExistsError(f"{state.describe(write.key)} already exists")
    _count_generation(write, final)
    # Its count of templates is among what a client is taken to have sent when it is made.
    is_made = write.live is None and write.traits.kind == _DAEMON_SET
    _claim(state, write, final if is_made else sent, final)
    if write.live is not None and _is_same(final, write.live):
        return write.live
    if write.dry_run:
        return final
    state.store.put(write.key, final)
    return final


def _admit(state: State, write: Write, sent: Object) -> Object:
    """The object as admission completes it, checked and let pass."""
    attributes = Attributes(
        Operation.UPDATE if write.live is not None else Operation.CREATE,
        write.traits,
        write.version or write.traits.storage_version,
        write.key,
        sent,
        write.live,
        write.subresource,
        write.dry_run,
    )
    final = mutate(state, attributes) or sent
    _check(write, final)
    review(state, attributes.with_object(final))
    return final


def _complete(state: State, write: Write) -> Object:
    """What the client means, with defaults; nothing yet that the server decides."""
    new = written_over(write.traits, write.live, write.new, write.subresource)
    new["metadata"] = _metadata(state, write, new["metadata"])
    final: Object = normalise(new, write.schema)
    if write.traits.custom:
        set_schema_defaults(final, write.schema)
    else:
        set_defaults(write.traits.kind, final)
    return final


def _prepared(state: State, write: Write, sent: Object) -> Object:
    """A copy of `sent` with what the server sets; defaults then follow from that too."""
    if write.traits.custom:
        return {**sent, "metadata": dict(sent["metadata"])}
    final: Object = clone(sent)
    if write.live is None and not write.new["metadata"].get("labels"):
        # Labels by default are those of the template, also those that are set there now.
        final["metadata"].pop("labels", None)
    if write.subresource != STATUS:
        prepare(state, write.traits.kind, final, write.live, dry_run=write.dry_run)
        if write.traits.kind != CRD:
            set_defaults(write.traits.kind, final)
    return final


def _metadata(state: State, write: Write, sent: Any) -> dict[str, Any]:
    """The client's labels, annotations, owners and finalizers; the server's everything else."""
    own = {key: value for key, value in sent.items() if key not in (*_CARRIED, "managedFields")}
    if write.live is not None:
        live = write.live["metadata"]
        shown = _said(write, sent, "selfLink")
        return {**{key: live[key] for key in _CARRIED if key in live}, **shown, **own}
    result: dict[str, Any] = {"name": write.key.name}
    if write.key.namespace:
        result["namespace"] = write.key.namespace
    result["uid"] = state.next_uid(dry_run=write.dry_run)
    result["creationTimestamp"] = state.now()
    return {**result, **_said(write, sent, "resourceVersion"), **own}


def _said(write: Write, sent: Any, name: str) -> dict[str, Any]:
    """What only storing an object would take out of it; a dry run stores nothing."""
    return {name: sent[name]} if write.dry_run and sent.get(name) else {}


def _check(write: Write, final: Object) -> None:
    """Refuse what is wrong: all of it at once, and with that what may not change."""
    kind = write.traits.kind
    if write.subresource == STATUS and kind == _CRON_JOB:
        return  # the one kind of whose status a real server believes everything
    if write.subresource != STATUS and (causes := allocation_causes(kind, final, write.live)):
        raise rejected(kind, write.key.name, causes)
    causes, frozen = _wrongs(write, final), _frozen(write, final)
    if causes:
        raise rejected(kind, write.key.name, [*causes, *frozen])
    if frozen:
        raise rejected_as_immutable(kind, write.key.name, frozen)


def _frozen(write: Write, final: Object) -> list[Cause]:
    if write.live is None:
        return []
    causes = metadata_changes(write.live, write.new)
    if write.subresource == STATUS:
        is_namespace = write.traits.kind == NAMESPACE
        return [*causes, *(phase_causes(write.live, write.new) if is_namespace else ())]
    return [*causes, *immutable_changes(write.traits.kind, write.live, final)]


def _wrongs(write: Write, final: Object) -> list[Cause]:
    if write.traits.custom:
        return _custom_wrongs(write, final)
    if write.subresource == STATUS:
        return metadata_causes(write.traits.kind, final)
    causes = validate(write.traits.kind, final, made=write.live is None)
    known = {cause.field for cause in causes}
    missing = [path for path in missing_fields(final, write.schema) if path not in known]
    return [*causes, *(required(path) for path in missing)]


def _custom_wrongs(write: Write, final: Object) -> list[Cause]:
    """What is wrong in the part of a custom object that the write is about."""
    # Of what is applied, a null stays, and is wrong; of what is written, it is left out.
    sent = write.new if write.claims is not None else final
    of_type = {cause.field for cause in write.wrong}
    causes = [*write.wrong]
    causes += [cause for cause in object_causes(sent, write.schema) if cause.field not in of_type]
    causes += replica_causes(sent, write.traits.replica_paths)
    if not write.traits.has_status:
        return [*causes, *validate(write.traits.kind, final)]
    about = write.subresource == STATUS
    causes = [cause for cause in causes if _is_about_status(cause) == about]
    return causes if about else [*causes, *validate(write.traits.kind, final)]


def _is_about_status(cause: Cause) -> bool:
    return cause.field.removeprefix(".").split(".")[0] == STATUS


def _count_generation(write: Write, final: Object) -> None:
    if not write.traits.counts_generation:
        given = write.new["metadata"].get("generation")
        if write.live is None and isinstance(given, int) and given:
            final["metadata"]["generation"] = given  # nobody minds what it is
        return
    if write.live is None:
        final["metadata"]["generation"] = 1
    elif write.subresource == STATUS:
        return
    elif _desired(write, final) != _desired(write, write.live) or _empties_count(write):
        final["metadata"]["generation"] = write.live["metadata"].get("generation", 1) + 1


def _empties_count(write: Write) -> bool:
    """Of this one kind, a list that is sent empty is no list that is not there."""
    if write.traits.kind != _NETWORK_POLICY or write.subresource:
        return False
    spec = write.new.get("spec") or {}
    return any(spec.get(name) == [] for name in ("ingress", "egress"))


def _desired(write: Write, obj: Object) -> dict[str, Any]:
    if write.traits.kind == _PRIORITY_CLASS:
        return {}  # It has a generation, which nothing counts.
    if write.traits.kind == _ENDPOINT_SLICE:
        return {**obj, "metadata": obj["metadata"].get("labels")}
    ignored = ("metadata", "status") if write.traits.has_status else ("metadata",)
    desired = {key: value for key, value in obj.items() if key not in ignored}
    if write.traits.kind != _DEPLOYMENT:
        return desired
    # Of this one kind, annotations count too. Its controller's own arrive with the status there.
    noted = {k: v for k, v in annotations_of(obj).items() if not k.startswith(_DEPLOYMENT_NOTES)}
    return {**desired, "annotations": noted}


def _claim(state: State, write: Write, sent: Object, final: Object) -> None:
    """Record in `final` who owns what of what was `sent`, before admission touched it."""
    claims = write.claims
    if claims is None:
        # A client that sends one empty entry resets who owns what; what cannot be read is ignored.
        reset = _resets_claims(write)
        before = {} if reset else read_claims(write.new) or read_claims(write.live or {})
        # Who writes to an object of which nobody owns anything does not begin to own.
        claims = {}
        if write.live is None or before:
            claims = _tracked(state, write, sent, before)
    write_claims(final, claims)


def _resets_claims(write: Write) -> bool:
    """Whether the client says that nobody owns anything; with no entry only in a built-in kind."""
    given = write.new["metadata"].get("managedFields")
    empty: tuple[Any, ...] = ([{}],) if write.traits.custom else ([{}], [])
    return not write.subresource and given in empty


def _tracked(state: State, write: Write, sent: Object, before: Claims) -> Claims:
    """Who owns what after an update; as before if it leaves items of a map without a key."""
    try:
        return track_update(
            write.live and touchable(write.traits, write.live, write.subresource),
            touchable(write.traits, sent, write.subresource),
            write.schema,
            write.owner,
            claims=before,
            now=state.now(),
        )
    except ItemKeyError:
        return before


def _is_same(one: Object, other: Object) -> bool:
    """Whether a write changes nothing; the time at which an owner last wrote is nothing."""
    return one == other or _untimed(one) == _untimed(other)


def _untimed(obj: Object) -> Object:
    entries = obj["metadata"].get("managedFields") or ()
    untimed = [{key: entry[key] for key in entry if key != "time"} for entry in entries]
    untimed.sort(key=lambda entry: (entry["operation"], entry["manager"], str(entry)))
    return {**obj, "metadata": {**obj["metadata"], "managedFields": untimed}}
