"""Raw manifests, and all that YAML can do to them."""

from __future__ import annotations

import json

import pytest

from agents.protocol import HookEvent
from fleet.model import Form
from fleet.render import Renderer
from tests.fleet.render.renders import (
    artifact,
    config_map,
    deployment,
    names,
    objects,
    problem,
    raw,
    render,
)


def test_files_are_read_in_order_and_lists_are_taken_apart(renderer: Renderer) -> None:
    inner = f'{{"apiVersion": "v1", "kind": "List", "items": [{config_map("c")}]}}'
    listed = f'{{"apiVersion": "v1", "kind": "List", "items": [{config_map("b")}, {inner}]}}'
    files = {"app/2.json": listed, "app/1.yaml": f"---\n{config_map('a')}\n---\n---\n# nothing\n"}
    rendered = raw(renderer, files)
    assert names(rendered) == ["ConfigMap/a", "ConfigMap/b", "ConfigMap/c"]
    assert rendered.objects == 3


def test_a_list_of_a_kind_is_taken_apart_too(renderer: Renderer) -> None:
    text = f'{{"apiVersion": "v1", "kind": "ConfigMapList", "items": [{config_map("a")}]}}'
    assert names(raw(renderer, {"app/a.json": text})) == ["ConfigMap/a"]


def test_every_image_is_found_wherever_containers_are(renderer: Renderer) -> None:
    custom = (
        "apiVersion: x/v1\nkind: Flow\nmetadata: {name: f}\n"
        "spec: {steps: [{template: {initContainers: [{image: 'init:2'}]}}]}\n"
    )
    files = {"app/a.json": deployment("web", "nginx:1"), "app/b.yaml": custom}
    assert raw(renderer, files).images == ("init:2", "nginx:1")


def test_yaml_is_read_as_kubernetes_reads_it(renderer: Renderer) -> None:
    text = (
        "apiVersion: v1\nkind: X\nmetadata: {name: a}\n"
        "spec: {no: no, mode: 0644, day: 2030-01-02, at: 12:30:45, big: 9223372036854775808}\n"
    )
    (obj,) = objects(raw(renderer, {"app/a.yaml": text}))
    assert obj["spec"] == {
        "false": False,
        "mode": 420,
        "day": "2030-01-02",
        "at": "12:30:45",
        "big": 2**63,
    }


HEAD = "apiVersion: v1\nkind: ConfigMap\n"
BAD = {
    "a tab": (HEAD + "\tmetadata: {name: a}\n", "yaml-invalid", "app/x.yaml:3"),
    "a duplicate key": (HEAD + "kind: Secret\n", "yaml-invalid", "app/x.yaml:3"),
    "an alias bomb": (
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n"
            for n in range(8)
        ),
        "yaml-invalid",
        "app/x.yaml",
    ),
    "a Python object": ("a: !!python/object/apply:os.system [x]\n", "yaml-invalid", "app/x.yaml:1"),
    "NaN": (HEAD + "metadata: {name: a}\ndata: {x: .nan}\n", "yaml-invalid", "app/x.yaml:4"),
    "a number of more than 64 bits": (
        HEAD + "metadata: {name: a}\ndata: {x: 99999999999999999999999}\n",
        "manifest-invalid",
        "app",
    ),
    "no kind": ("apiVersion: v1\nmetadata: {name: a}\n", "manifest-invalid", "app/x.yaml:1"),
    "no name": (HEAD + "metadata: {}\n", "manifest-invalid", "app/x.yaml:1"),
    "metadata as a list": (HEAD + "metadata: []\n", "manifest-invalid", "app/x.yaml:1"),
    "metadata as text, in a list": (
        "kind: List\nmetadata: x\nitems: [1]\n",
        "manifest-invalid",
        "app/x.yaml:1",
    ),
    "a name with a slash": (HEAD + "metadata: {name: a/b}\n", "manifest-invalid", "app/x.yaml:1"),
    "a number for a label": (
        HEAD + "metadata: {name: a, labels: {x: 1}}\n",
        "manifest-invalid",
        "app/x.yaml:1",
    ),
    "plain text": ("hello\n", "manifest-invalid", "app/x.yaml:1"),
    "bytes that are no text": (b"a: \xff\xfe\n", "yaml-invalid", "app/x.yaml"),
}


@pytest.mark.parametrize(("text", "code", "at"), BAD.values(), ids=BAD)
def test_a_bad_document_is_one_error_with_file_and_line(
    renderer: Renderer, text: str | bytes, code: str, at: str
) -> None:
    found = problem(raw(renderer, {"app/a.json": config_map("fine"), "app/x.yaml": text}))
    assert (found.code, found.at) == (code, at)
    assert found.bundle == "web"


def test_one_identity_twice_is_an_error_that_names_both_places(renderer: Renderer) -> None:
    files = {"app/a.json": config_map("a"), "app/b.yaml": f"# more\n---\n{config_map('a')}\n"}
    found = problem(raw(renderer, files))
    assert (found.code, found.at) == ("object-twice", "app/a.json:1, app/b.yaml:3")


def test_a_large_scalar_is_carried_as_it_is(renderer: Renderer) -> None:
    rendered = raw(renderer, {"app/a.json": config_map("a", text="x" * 10_000_000)})
    assert len(objects(rendered)[0]["data"]["text"]) == 10_000_000


def test_an_overlay_takes_the_place_of_files_and_adds_others(renderer: Renderer) -> None:
    files = {
        "app/cm.json": config_map("cm", from_="base"),
        "app/sub/keep.json": config_map("keep"),
        "app/overlays/eu/cm.json": config_map("cm", from_="eu"),
        "app/overlays/eu/sub/new.json": config_map("new"),
        "app/overlays/eu/README.md": "no manifest",
    }
    rendered = render(
        renderer,
        files,
        Form.RAW,
        "app",
        files=("app/cm.json", "app/sub/keep.json"),
        overlays=("app/overlays/eu",),
    )
    assert names(rendered) == ["ConfigMap/cm", "ConfigMap/keep", "ConfigMap/new"]
    assert objects(rendered)[0]["data"] == {"from_": "eu"}


def test_a_patch_in_an_overlay_is_refused_and_not_ignored(renderer: Renderer) -> None:
    files = {"app/cm.json": config_map("cm"), "app/overlays/eu/cm_patch.yaml": "data: {}"}
    rendered = render(
        renderer, files, Form.RAW, "app", files=("app/cm.json",), overlays=("app/overlays/eu",)
    )
    assert problem(rendered).code == "overlay-patch"


def test_hooks_by_annotation_become_hooks_of_the_artifact(renderer: Renderer) -> None:
    text = json.loads(config_map("migrate"))
    text["metadata"]["annotations"] = {
        "argocd.argoproj.io/hook": "PreSync",
        "argocd.argoproj.io/sync-wave": "-2",
    }
    rendered = raw(renderer, {"app/a.json": json.dumps(text), "app/b.json": config_map("b")})
    assert names(rendered) == ["ConfigMap/b"]
    (hook,) = artifact(rendered).hooks
    assert (hook.events, hook.weight) == ((HookEvent.PRE_SYNC,), -2)
    assert rendered.objects == 2


@pytest.mark.parametrize(
    ("annotation", "text"), [("hook", "PreSnyc"), ("sync-wave", "first"), ("hook", "Never,Skip")]
)
def test_an_annotation_of_phases_that_is_wrong_holds_the_bundle(
    renderer: Renderer, annotation: str, text: str
) -> None:
    said = json.loads(config_map("migrate"))
    said["metadata"]["annotations"] = {f"argocd.argoproj.io/{annotation}": text}
    found = problem(raw(renderer, {"app/a.json": json.dumps(said)}))
    assert found.code == "phase-invalid"
    assert "ConfigMap migrate: annotation argocd.argoproj.io/" in found.what
