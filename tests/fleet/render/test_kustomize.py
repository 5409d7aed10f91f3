"""Kustomize by the real program, and what its input may not do."""

from __future__ import annotations

import http.server
import threading
from pathlib import Path

import pytest

from fleet.layout import MemoryTree
from fleet.model import Form, Rendered
from fleet.render import Limits, Renderer, RenderRequest
from tests.fleet.render.renders import (
    Files,
    config_map,
    deployment,
    kubectl_kustomize,
    kustomization,
    names,
    objects,
    problem,
    reach_of,
    render,
)

BASE = {
    "base/kustomization.yaml": kustomization(resources=["deploy.json"]),
    "base/deploy.json": deployment("web", "nginx:1"),
}
OVERLAY = BASE | {
    "eu/kustomization.yaml": kustomization(
        resources=["../base"],
        namespace="shop",
        namePrefix="eu-",
        images=[{"name": "nginx", "newTag": "2"}],
        configMapGenerator=[{"name": "conf", "files": ["app.conf"]}],
    ),
    "eu/app.conf": "colour: blue",
}


def built(renderer: Renderer, content: Files | MemoryTree, path: str = "eu") -> Rendered:
    return render(renderer, content, Form.KUSTOMIZE, path)


def test_an_overlay_is_what_the_program_prints(renderer: Renderer, tmp_path: Path) -> None:
    rendered = built(renderer, OVERLAY)
    assert objects(rendered) == kubectl_kustomize(MemoryTree(OVERLAY), "eu", tmp_path / "x")
    assert rendered.images == ("nginx:2",)
    assert names(rendered)[0].startswith("ConfigMap/eu-conf-")
    assert rendered.objects == 2


def test_only_what_a_kustomization_reaches_counts() -> None:
    files = OVERLAY | {
        "other/x.json": config_map("x"),
        "parts/net/kustomization.yaml": kustomization(kind="Component", resources=["np.json"]),
        "parts/net/np.json": config_map("np"),
        "us/kustomization.yml": kustomization(
            resources=["../base"],
            components=["../parts/net"],
            patches=[{"path": "fix/patch.json"}],
        ),
        "us/fix/patch.json": "{}",
    }
    assert reach_of(files, RenderRequest("web", Form.KUSTOMIZE, "us")) == [
        "base/deploy.json",
        "base/kustomization.yaml",
        "parts/net/kustomization.yaml",
        "parts/net/np.json",
        "us/fix/patch.json",
        "us/kustomization.yml",
    ]


REMOTES = [
    "https://example.test/base.yaml",
    "http://127.0.0.1/base.yaml",
    "github.com/team/repo//base?ref=v1",
    "git@example.test:team/repo.git",
    "git::https://example.test/x",
    "ssh://git@example.test/x",
    "file:///etc",
    "team/repo?ref=main",
]


@pytest.mark.parametrize("remote", REMOTES)
@pytest.mark.parametrize("field", ["resources", "bases", "components", "crds", "generators"])
def test_remote_bases_are_refused_before_anything_runs(
    renderer: Renderer, remote: str, field: str
) -> None:
    found = problem(built(renderer, {"eu/kustomization.yaml": kustomization(**{field: [remote]})}))
    assert (found.code, found.at) == ("remote-base", "eu/kustomization.yaml")
    assert remote in found.what


@pytest.mark.parametrize(
    "fields",
    [
        {"patches": [{"path": "https://example.test/p.yaml"}]},
        {"openapi": {"path": "https://example.test/o.json"}},
        {"configMapGenerator": [{"name": "x", "files": ["a=https://example.test/f"]}]},
        {"secretGenerator": [{"name": "x", "envs": ["https://example.test/f"]}]},
        {"replacements": [{"path": "https://example.test/r.yaml"}]},
    ],
)
def test_remote_files_are_refused_wherever_a_file_is_named(
    renderer: Renderer, fields: dict[str, object]
) -> None:
    assert problem(built(renderer, {"eu/kustomization.yaml": kustomization(**fields)})).code == (
        "remote-base"
    )


def test_a_remote_base_behind_a_local_one_is_refused_too(renderer: Renderer) -> None:
    files = {
        "eu/kustomization.yaml": kustomization(resources=["../base"]),
        "base/kustomization.yaml": kustomization(resources=["https://example.test/x.yaml"]),
    }
    assert problem(built(renderer, files)).at == "base/kustomization.yaml"


def test_the_program_itself_has_no_network_either(renderer: Renderer) -> None:
    """A transformer's own file hides the address from the first check."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    server = http.server.HTTPServer(("0.0.0.0", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        host = f"fleet-test.invalid:{server.server_port}"
        transformer = {
            "apiVersion": "builtin",
            "kind": "PatchTransformer",
            "metadata": {"name": "x"},
            "path": f"http://{host}/p.yaml",
        }
        files = BASE | {
            "eu/kustomization.yaml": kustomization(resources=["../base"], transformers=["t.yaml"]),
            "eu/t.yaml": str(transformer),
        }
        assert problem(built(renderer, files)).code == "kustomize-failed"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert asked == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"helmCharts": [{"name": "x", "repo": "https://example.test"}]}, "helm"),
        ({"resources": ["../../../../../etc"]}, "leads out"),
        ({"resources": ["missing.yaml"]}, "missing.yaml"),
        ({"resources": ["../base/deploy.json"]}, "security"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_what_kustomize_may_not_do_is_said(
    renderer: Renderer, fields: dict[str, object], said: str
) -> None:
    found = problem(built(renderer, BASE | {"eu/kustomization.yaml": kustomization(**fields)}))
    assert said in found.what
    assert "/tmp" not in found.what


def test_a_broken_file_is_named_with_its_path_in_the_repository(renderer: Renderer) -> None:
    files = OVERLAY | {"base/deploy.json": "kind: [\n"}
    found = problem(built(renderer, files))
    assert (found.code, found.at) == ("kustomize-failed", "base/deploy.json")
    found = problem(built(renderer, OVERLAY | {"eu/kustomization.yaml": "a: 1\na: 2\n"}))
    assert (found.code, found.at) == ("yaml-invalid", "eu/kustomization.yaml:2")


def test_a_refused_patch_of_a_secret_does_not_show_the_secret(renderer: Renderer) -> None:
    patch = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {key: canary-7}\n"
    fields = {"resources": ["../base"], "patches": [{"patch": patch}]}
    found = problem(built(renderer, BASE | {"eu/kustomization.yaml": kustomization(**fields)}))
    assert found.code == "kustomize-failed"
    assert "canary-7" not in found.what
    fields["patches"] = [{"patch": patch + "- not: yaml"}]
    found = problem(built(renderer, BASE | {"eu/kustomization.yaml": kustomization(**fields)}))
    assert "canary-7" not in found.what


def test_a_cycle_of_bases_is_an_error_and_ends(renderer: Renderer) -> None:
    files = {
        "a/kustomization.yaml": kustomization(resources=["../b"]),
        "b/kustomization.yaml": kustomization(resources=["../a"]),
    }
    assert "cycle" in problem(built(renderer, files, "a")).what


def test_bases_a_hundred_deep_build(renderer: Renderer) -> None:
    files = BASE | {
        f"d{n}/kustomization.yaml": kustomization(
            resources=[f"../d{n + 1}" if n < 99 else "../base"]
        )
        for n in range(100)
    }
    assert names(built(renderer, files, "d0")) == ["Deployment/web"]


def test_links_inside_the_repository_are_followed(renderer: Renderer) -> None:
    tree = MemoryTree(
        {**BASE, "eu/kustomization.yaml": kustomization(resources=["linked"])},
        links={"eu/linked": "../alias", "alias": "base"},
    )
    assert names(built(renderer, tree)) == ["Deployment/web"]


@pytest.mark.parametrize(
    ("links", "code"),
    [
        ({"eu/linked": "/etc"}, "link-leaves-repository"),
        ({"eu/linked": "../../etc"}, "link-leaves-repository"),
        ({"eu/linked": "../hop", "hop": "../../x"}, "link-leaves-repository"),
        ({"eu/linked": "other", "eu/other": "linked"}, "link-loop"),
        ({"eu/linked": "linked"}, "link-loop"),
    ],
)
def test_links_that_leave_or_loop_are_refused(
    renderer: Renderer, links: dict[str, str], code: str
) -> None:
    content = BASE | {"eu/kustomization.yaml": kustomization(resources=["../base"])}
    found = problem(built(renderer, MemoryTree(content, links=links)))
    assert found.code == code


def test_a_submodule_as_a_base_is_refused_and_an_unused_one_is_not(renderer: Renderer) -> None:
    used = {"eu/kustomization.yaml": kustomization(resources=["../vendor/base"])}
    tree = MemoryTree(used, submodules={"vendor": "1" * 40})
    found = problem(built(renderer, tree))
    assert (found.code, found.at) == ("submodule", "eu/kustomization.yaml")
    tree = MemoryTree(OVERLAY, submodules={"eu/vendor": "1" * 40})
    assert built(renderer, tree).problem is None


def test_a_file_whose_name_looks_like_an_option_is_a_file(renderer: Renderer) -> None:
    files = {"-x/kustomization.yaml": kustomization(resources=["-f"]), "-x/-f": config_map("a")}
    assert names(built(renderer, files, "-x")) == ["ConfigMap/a"]


def test_bases_that_double_at_every_level_are_stopped(tmp_path: Path) -> None:
    files = BASE | {
        "d0/kustomization.yaml": kustomization(resources=["../base"]),
        **{
            f"d{n}{side}/kustomization.yaml": kustomization(
                resources=[f"../d{n - 1}a", f"../d{n - 1}b"] if n > 1 else ["../d0"],
                namePrefix=f"{side}-",
            )
            for n in range(1, 12)
            for side in "ab"
        },
    }
    with Renderer(tmp_path, workers=1, limits=Limits(objects=100, seconds=30)) as renderer:
        assert problem(built(renderer, files, "d11a")).code == "render-too-large"


def test_too_much_input_is_refused_before_it_is_written(tmp_path: Path) -> None:
    with Renderer(tmp_path, limits=Limits(input_bytes=100)) as renderer:
        found = problem(built(renderer, OVERLAY))
    assert found.code == "render-too-large"
    assert not (tmp_path / "work").exists()
