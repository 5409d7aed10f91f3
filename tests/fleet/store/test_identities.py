"""What identifies the objects of a bundle deployment, as far as it is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agents.protocol import Artifact, BundleDeployment, Options
from clusters.objects import Digest, Kind, Object
from fleet.store import Store, open_store
from fleet.store.identities import Identities
from fleet.store.targets import keep_bodies

WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.io"},
    "spec": {"group": "example.io", "names": {"kind": "Widget"}, "scope": "Cluster"},
}


def made(api_version: str, kind: str, **metadata: str) -> Object:
    """An object of which only its identity matters."""
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "a", **metadata}}


def kept(store: Store, *objects: Object, **options: Any) -> Digest:
    """The digest of a bundle deployment of these objects."""
    data = Artifact(bundle="web", objects=objects).to_bytes()
    item = BundleDeployment.of("web", store.artifacts.put(data), {}, Options(**options), "")
    with store.write() as c:
        keep_bodies(c, [item])
    return item.digest


@pytest.mark.parametrize(
    ("options", "said", "where"),
    [
        ({}, {}, "default"),
        ({"namespace": "shop"}, {}, "shop"),
        ({"namespace": "shop"}, {"namespace": "own"}, "own"),
        ({"namespace": "shop", "force_namespace": True}, {"namespace": "own"}, "shop"),
    ],
)
def test_an_object_is_where_its_bundle_puts_it(
    tmp_path: Path, options: dict[str, Any], said: dict[str, str], where: str
) -> None:
    store = open_store(tmp_path)
    digest = kept(store, made("v1", "ConfigMap", **said), **options)
    with store.read() as c:
        found = Identities(store.artifacts).of(c, digest)
    assert found == {(Kind("", "ConfigMap"), where, "a")}


def test_what_has_no_namespace_is_one_object_whoever_has_it(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    objects = (WIDGETS, made("example.io/v1", "Widget"), made("v1", "Namespace"))
    digests = [kept(store, *objects, namespace=name) for name in ("one", "two")]
    with store.read() as c:
        one, two = (Identities(store.artifacts).of(c, digest) for digest in digests)
    assert one == two
    assert (Kind("example.io", "Widget"), "", "a") in one


def test_an_artifact_that_is_not_here_or_is_damaged_holds_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    gone, damaged = (kept(store, made("v1", "Secret", name=name)) for name in ("x", "y"))
    with store.read() as c:
        of = {row["digest"]: row["artifact"] for row in c.execute("SELECT * FROM deployment_body")}
        store.artifacts.remove(of[gone])
        (path,) = store.artifacts.folder.rglob(of[damaged].removeprefix("sha256:"))
        path.write_bytes(b"{}")
        identities = Identities(store.artifacts)
        assert [identities.of(c, each) for each in (gone, damaged, "unheard-of")] == [set()] * 3
