"""The verbs of one cluster's API server. See the package for how to use it.

Every verb reads its arguments, decides, and leaves the way of writing to `writing` and of
removing to `deletion`. What comes in is copied, what goes out is a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from clusters.clock import Clock
from clusters.cluster import Discovery
from clusters.errors import ForbiddenError, NotFoundError
from clusters.objects import Kind, Object, ObjectKey, split_api_version
from clusters.simulation.server.admission.chain import has_webhooks, review_deletion
from clusters.simulation.server.admission.priorities import system_classes
from clusters.simulation.server.admission.reviews import Webhook
from clusters.simulation.server.catalog import CRD, Catalog
from clusters.simulation.server.changes import Change, History, Subscription
from clusters.simulation.server.conversion import convert
from clusters.simulation.server.copies import clone
from clusters.simulation.server.deletion import marked_for_deletion, release, remove
from clusters.simulation.server.intake import (
    Request,
    addressed,
    read_patched,
    read_request,
    refuse_managed_fields,
    typed_patch_error,
    with_generated_name,
)
from clusters.simulation.server.ownership import (
    APPLY,
    UPDATE,
    Claims,
    Owner,
    apply_config,
    read_claims,
)
from clusters.simulation.server.paging import page
from clusters.simulation.server.patches import patch_object
from clusters.simulation.server.preconditions import (
    check_absent,
    check_deletion,
    check_propagation,
    check_sent,
    check_version,
)
from clusters.simulation.server.quota_status import settle_quotas
from clusters.simulation.server.rejections import BadRequestError, check_manager
from clusters.simulation.server.selectors import object_filter
from clusters.simulation.server.state import NAMESPACE, State
from clusters.simulation.server.storage import Store
from clusters.simulation.server.touching import touchable
from clusters.simulation.server.typed import ItemKeyError
from clusters.simulation.server.writing import Write, perform

_FIRST_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_UNDELETABLE = ("default", "kube-public", "kube-system")
HISTORY_LIMIT = 512
"""Changes that a watch may go back; what is older is compacted."""
WATCH_LIMIT = 1024
"""Events that a watch holds for a slow reader before it is cut off."""


class ApiServer:
    """One cluster's API server, in memory."""

    def __init__(
        self, clock: Clock, seed: int = 0, name: str = "", history_limit: int = HISTORY_LIMIT
    ) -> None:
        self.name = name
        self._history = History(history_limit)
        self._state = State(clock, f"{seed}/{name}", Store(self._history))
        for namespace in _FIRST_NAMESPACES:
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
            self.create(body, manager="kube-apiserver")
        for body in system_classes():
            self.create(body, manager="kube-apiserver")

    @property
    def catalog(self) -> Catalog:
        """The kinds served."""
        return self._state.catalog

    @property
    def webhooks(self) -> dict[str, Webhook]:
        """Functions that answer in place of webhook programs, by webhook name; set them freely."""
        return self._state.webhooks

    @property
    def resource_version(self) -> str:
        """The cluster-wide counter as of the last write."""
        return str(self._history.revision)

    def resources(self) -> Discovery:
        """Every kind served, in its preferred version."""
        return self._state.catalog.discovery()

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call `callback` after every write; returns the function that ends it."""
        return self._history.subscribe(callback)

    def peek(self, key: ObjectKey) -> Object | None:
        """The stored object itself, to be read only; `None` if there is none."""
        return self._state.store.get(key)

    def peek_all(self, kind: Kind, namespace: str = "") -> Iterator[Object]:
        """The stored objects of a kind, to be read only."""
        return self._state.store.all(kind, namespace)

    def create(
        self, obj: Object, *, manager: str = "", dry_run: bool = False, validation: str = "Warn"
    ) -> Object:
        """Make a new object.

        Errors: `AlreadyExistsError`, `NotFoundError` (namespace), `InvalidError`,
        `KindNotFoundError`, `ForbiddenError` (namespace going away), `AdmissionError`,
        `QuotaError`.
        """
        named = with_generated_name(obj, self._state.next_uid)
        request = read_request(self.catalog, named, applied=False, validation=validation)
        if request.obj["metadata"].get("resourceVersion"):
            raise BadRequestError("resourceVersion should not be set on objects to be created")
        self._state.require_namespace(request.key)
        return self._write(request, None, request.obj, manager, dry_run=dry_run)

    def update(
        self,
        obj: Object,
        *,
        subresource: str = "",
        manager: str = "",
        dry_run: bool = False,
        validation: str = "Warn",
    ) -> Object:
        """Replace an object, or with subresource `status` just its status; some kinds it creates.

        Errors: `NotFoundError`, `ConflictError` if `obj` names another resourceVersion or uid,
        `InvalidError`, `ImmutableError`.
        """
        request = read_request(self.catalog, obj, applied=False, validation=validation)
        live = self.peek(request.key)
        if live is None and request.traits.created_by_update and not subresource:
            return self.create(obj, manager=manager, dry_run=dry_run, validation=validation)
        live = self._require(request.key)
        check_sent(self._state.describe(request.key), live, request.obj)
        return self._write(
            request, live, request.obj, manager, subresource=subresource, dry_run=dry_run
        )

    def apply(
        self,
        obj: Object,
        *,
        manager: str,
        force: bool = False,
        dry_run: bool = False,
        subresource: str = "",
    ) -> Object:
        """Server-side apply: create, or merge with what others own.

        Errors: `ConflictError` (names managers and fields) unless `force`, `InvalidError`,
        `ImmutableError`, `NotFoundError` (namespace), `KindNotFoundError`.
        """
        if not manager:
            raise BadRequestError("fieldManager is required for apply patch")
        check_manager(manager)
        refuse_managed_fields(obj)
        request = read_request(self.catalog, obj, applied=True)
        live = self.peek(request.key)
        if live is None:
            if subresource:
                raise self._not_found(request.key)
            self._state.require_namespace(request.key)
        owner = Owner(manager, APPLY, subresource, request.obj["apiVersion"])
        merged, claims = self._merged(request, live, owner, force)
        if request.unreadable is not None:
            raise request.unreadable
        if live is None:
            check_absent(self._state.describe(request.key), request.obj)
        else:
            check_version(self._state.describe(request.key), live, request.obj)
        unchanged = live is not None and merged == live and claims == read_claims(live)
        if live is not None and unchanged and not has_webhooks(self._state):
            return self._shown(live, request.version)
        return self._perform(
            Write(
                request.traits,
                request.schema,
                request.key,
                merged,
                live,
                owner,
                claims,
                subresource,
                dry_run,
                request.version,
                request.wrong,
            )
        )

    def patch(
        self,
        key: ObjectKey,
        patch: Any,
        *,
        patch_type: str = "merge",
        manager: str = "",
        subresource: str = "",
        dry_run: bool = False,
        force: bool = False,
        version: str = "",
        validation: str = "Warn",
    ) -> Object:
        """Change an object by a patch of type `json`, `merge`, `strategic` or `apply`.

        `version` is the API version that the patch speaks. Errors: those of `update`, and
        `BadRequestError` for a patch that cannot be read.
        """
        if subresource:
            self._require(key)
        if patch_type == "apply":
            return self.apply(
                addressed(key, patch, version),
                manager=manager,
                force=force,
                dry_run=dry_run,
                subresource=subresource,
            )
        traits = self.catalog.find(key.kind_key)
        live = self._require(key)
        current = self._shown(live, version or traits.resource.version)
        spoken = split_api_version(current["apiVersion"])[1]
        schema = None if traits.custom else self.catalog.schema(traits, spoken)
        patched = patch_object(current, patch, patch_type, schema)
        request = read_patched(self.catalog, patched, key, spoken, validation=validation)
        if request.key != key:
            raise BadRequestError("the name, namespace or kind of an object cannot be patched")
        check_version(self._state.describe(key), live, request.obj)
        return self._write(
            request, live, request.obj, manager, subresource=subresource, dry_run=dry_run
        )

    def delete(
        self,
        key: ObjectKey,
        *,
        propagation: str = "Background",
        uid: str = "",
        resource_version: str = "",
        dry_run: bool = False,
    ) -> Object:
        """Delete an object; returns its last state, or as it is while its finalizers hold it.

        Errors: `NotFoundError`, `ConflictError` for a precondition that does not hold,
        `ForbiddenError` for a namespace that may not go, `BadRequestError`, `AdmissionError`.
        """
        check_propagation(propagation)
        live = self._require(key)
        what = self._state.describe(key)
        check_deletion(what, live, uid=uid, resource_version=resource_version)
        if key.kind_key == NAMESPACE and key.name in _UNDELETABLE:
            raise ForbiddenError(
                f'namespaces "{key.name}" is forbidden: this namespace may not be deleted'
            )
        review_deletion(self._state, key, live, dry_run=dry_run)
        if not dry_run:
            remove(self._state, key, propagation)
            settle_quotas(self._state)
            live = self.peek(key) or live
        elif live["metadata"].get("finalizers"):
            live = marked_for_deletion(live, "", self._state.now())
        return clone(live)  # type: ignore[no-any-return]

    def get(self, key: ObjectKey, *, version: str = "") -> Object:
        """The object, in `version` or the preferred one. Errors: `NotFoundError`."""
        traits = self.catalog.find(key.kind_key)
        return self._shown(self._require(key), version or traits.resource.version)

    def list(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        continue_: str = "",
        version: str = "",
    ) -> tuple[list[Object], str, str]:
        """Objects by namespace and name: (items, resourceVersion, token of the next page)."""
        traits = self.catalog.find(kind)
        shown = version or traits.resource.version
        matches = object_filter(namespace, labels, fields, self.catalog.selectable(kind, shown))
        found, token = page(self._state.store.in_order(kind), matches, limit, continue_)
        return [self._shown(obj, shown) for obj in found], self.resource_version, token

    def watch(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        resource_version: str = "",
        version: str = "",
        limit: int = WATCH_LIMIT,
    ) -> Subscription:
        """Changes after `resource_version`; without one (or 0) first what is there, as ADDED.

        Errors: `ExpiredError` if that is compacted, `BadRequestError` if it is no number.
        """
        traits = self.catalog.find(kind)
        if resource_version and not resource_version.isdigit():
            raise BadRequestError(f"invalid resource version {resource_version!r}")
        shown = version or traits.resource.version
        since = int(resource_version or 0)
        watch = self._history.watch(
            kind,
            object_filter(namespace, labels, fields, self.catalog.selectable(kind, shown)),
            since=since or None,
            render=lambda obj: self._shown(obj, shown),
            limit=limit,
        )
        if not since:
            watch.present(self.peek_all(kind))
        return watch

    def _write(
        self,
        request: Request,
        live: Object | None,
        new: Object,
        manager: str,
        *,
        subresource: str = "",
        dry_run: bool,
    ) -> Object:
        check_manager(manager)
        owner = Owner(manager or "unknown", UPDATE, subresource, new["apiVersion"])
        write = Write(
            request.traits,
            request.schema,
            request.key,
            new,
            live,
            owner,
            None,
            subresource,
            dry_run,
            request.version,
            request.wrong,
        )
        return self._perform(write)

    def _merged(
        self, request: Request, live: Object | None, owner: Owner, force: bool
    ) -> tuple[Object, Claims]:
        """The object after an apply, and who owns what in it."""
        try:
            before = live and touchable(request.traits, live, owner.subresource)
            return apply_config(
                live,
                touchable(request.traits, request.obj, owner.subresource),
                request.schema,
                owner,
                before=before,
                now=self._state.now(),
                force=force,
            )
        except ItemKeyError as error:
            raise typed_patch_error(request.key, owner.api_version, [str(error)], ()) from error

    def _perform(self, write: Write) -> Object:
        stored = perform(self._state, write)
        if not write.dry_run:
            if write.key.kind_key == CRD:
                self.catalog.install(stored)
            if stored["metadata"].get("deletionTimestamp"):
                release(self._state, write.key)
            settle_quotas(self._state)
        return self._shown(stored, write.version)

    def _shown(self, stored: Object, version: str) -> Object:
        shown: Object = clone(convert(stored, version))
        return shown

    def _require(self, key: ObjectKey) -> Object:
        live = self.peek(key)
        if live is None:
            raise self._not_found(key)
        return live

    def _not_found(self, key: ObjectKey) -> NotFoundError:
        return NotFoundError(f"{self._state.describe(key)} not found")
