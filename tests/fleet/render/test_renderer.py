"""Done once, in parallel, contained: the cache, the workers and what they cost."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from fleet.errors import RenderError
from fleet.layout import MemoryTree
from fleet.model import Form, Problem, Rendered, Severity
from fleet.render import GroupRequest, Renderer, RenderRequest
from fleet.render.cache import RenderCache
from fleet.render.job import Job, Tools
from fleet.render.pool import Pool
from tests.fleet.render.renders import (
    chart,
    config_map,
    deployment,
    kustomization,
    names,
    problem,
    raw,
    render,
)

WEB = {
    "web/kustomization.yaml": kustomization(resources=["deploy.json"]),
    "web/deploy.json": deployment("web"),
    "unrelated/x.json": config_map("x"),
}


def request(bundle: str = "web", **fields: str) -> RenderRequest:
    """The overlay in `web/`."""
    return RenderRequest(bundle, Form.KUSTOMIZE, "web", **fields)  # type: ignore[arg-type]


def test_unchanged_input_is_never_rendered_twice(tmp_path: Path) -> None:
    with Renderer(tmp_path, workers=1) as renderer:
        first = renderer.render_all(MemoryTree(WEB), [request(), request()])
        other_commit = MemoryTree(WEB | {"unrelated/x.json": config_map("y")})
        assert renderer.render_all(other_commit, [request()]) == first
        assert renderer.rendered_jobs == 1
    with Renderer(tmp_path, workers=1) as later:
        assert later.render_all(MemoryTree(WEB), [request()]) == first
        assert later.rendered_jobs == 0


def test_whatever_a_render_depends_on_renders_it_again(tmp_path: Path) -> None:
    with Renderer(tmp_path, workers=1) as renderer:
        renderer.render_all(MemoryTree(WEB), [request()])
        changed = WEB | {"web/deploy.json": deployment("web", "nginx:2")}
        renderer.render_all(MemoryTree(changed), [request()])
        renderer.render_all(MemoryTree(WEB), [request("other")])
        assert renderer.rendered_jobs == 3
        files = chart(templates__a=config_map("{{ .Values.a }}"))
        for fields in ({"a": "x"}, {"a": "y"}):
            render(renderer, files, Form.HELM, "chart", values=fields)
        render(renderer, files, Form.HELM, "chart", values={"a": "x"}, kubernetes_version="1.30.0")
        assert renderer.rendered_jobs == 6


def test_another_version_of_a_tool_renders_again(tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        program = tmp_path / "kustomize"
        program.write_text(
            f"#!/bin/sh\n[ $1 = version ] && echo {version} && exit\n"
            f"echo '{config_map('from')}' | /usr/bin/sed s/from/{version}/\n"
        )
        program.chmod(0o755)
        with Renderer(tmp_path / "cache", workers=1, kustomize=str(program)) as renderer:
            found = renderer.render_all(MemoryTree(WEB), [request()])[request().key]
            assert names(found) == [f"ConfigMap/{version}"]


def test_equal_input_gives_equal_bytes_on_another_machine(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        with Renderer(tmp_path / name, workers=1) as renderer:
            found.append(renderer.render_all(MemoryTree(WEB), [request()])[request().key])
    assert found[0] == found[1]
    assert found[0].artifact.startswith("sha256:")


def test_one_bad_bundle_stops_no_other(renderer: Renderer) -> None:
    files = WEB | chart(templates__a="{{ fail `no` }}") | {"raw/x.yaml": "a: ["}
    requests = [
        request(),
        RenderRequest("helm", Form.HELM, "chart"),
        RenderRequest("raw", Form.RAW, "raw", files=("raw/x.yaml",)),
        RenderRequest("gone", Form.KUSTOMIZE, "gone"),
    ]
    found = renderer.render_all(MemoryTree(files), requests)
    assert names(found[requests[0].key]) == ["Deployment/web"]
    assert [problem(found[r.key]).bundle for r in requests[1:]] == ["helm", "raw", "gone"]


def test_problems_are_kept_like_other_results(tmp_path: Path) -> None:
    with Renderer(tmp_path, workers=1) as renderer:
        first = raw(renderer, {"app/x.yaml": "kind: ["})
        assert raw(renderer, {"app/x.yaml": "kind: ["}) == first
        assert renderer.rendered_jobs == 1
    with Renderer(tmp_path, workers=1) as later:
        assert raw(later, {"app/x.yaml": "kind: ["}) == first
        assert later.rendered_jobs == 0


def test_a_damaged_file_of_the_cache_counts_as_missing(tmp_path: Path) -> None:
    with Renderer(tmp_path, workers=1) as renderer:
        first = renderer.render_all(MemoryTree(WEB), [request()])
    (file,) = (tmp_path / "results").glob("??/*")
    whole = file.read_bytes()
    for damaged in (whole[:-5], whole.replace(b"nginx", b"xxxxx"), b"", b"{}", b"null\n", b"\xff"):
        file.write_bytes(damaged)
        with Renderer(tmp_path, workers=1) as renderer:
            assert renderer.render_all(MemoryTree(WEB), [request()]) == first


def test_what_was_not_used_for_longest_leaves_the_cache_first(tmp_path: Path) -> None:
    cache = RenderCache(tmp_path)
    for number in range(5):
        key = f"sha256:{number:064d}"
        cache.put(key, {"web": Rendered()})
        os.utime(tmp_path / "00" / key.removeprefix("sha256:"), (number, number))
    assert RenderCache(tmp_path).get(f"sha256:{0:064d}") == {"web": Rendered()}
    assert cache.trim(most=2) == 3
    left = {path.name[-1] for path in tmp_path.glob("??/*")}
    assert left == {"0", "4"}


def test_a_crash_is_never_kept(tmp_path: Path) -> None:
    cache = RenderCache(tmp_path)
    crash = Problem("render-crashed", Severity.ERROR, "x", "x", "x")
    cache.put("sha256:aa", {"web": Rendered(problem=crash)})
    assert cache.get("sha256:aa") is None


def test_a_worker_that_is_killed_costs_one_job_and_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web/a.json").write_text(config_map("a"))
    os.mkfifo(tmp_path / "web/stuck.yaml")
    tools = Tools(("nothing",), "")
    stuck = RenderRequest("stuck", Form.RAW, "web", files=("web/stuck.yaml",))
    fine = RenderRequest("fine", Form.RAW, "web", files=("web/a.json",))
    pool = Pool(1)
    results = {}
    try:
        thread = threading.Thread(
            target=lambda: results.update(pool.run(Job(stuck, str(tmp_path), tools)))
        )
        thread.start()
        with (tmp_path / "web/stuck.yaml").open("wb"):  # returns when the worker reads it
            (worker,) = pool._workers
            assert worker.process.pid is not None
            os.kill(worker.process.pid, signal.SIGKILL)
            thread.join(timeout=30)
        assert problem(results["stuck"]).code == "render-crashed"
        assert names(pool.run(Job(fine, str(tmp_path), tools))["fine"]) == ["ConfigMap/a"]
    finally:
        pool.close()


def test_a_pool_that_is_closed_ends_what_runs_and_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    os.mkfifo(tmp_path / "web/stuck.yaml")
    stuck = RenderRequest("stuck", Form.RAW, "web", files=("web/stuck.yaml",))
    job = Job(stuck, str(tmp_path), Tools(("nothing",), ""))
    pool = Pool(1)
    results = {}
    thread = threading.Thread(target=lambda: results.update(pool.run(job)))
    thread.start()
    with (tmp_path / "web/stuck.yaml").open("wb"):
        pool.close()
        thread.join(timeout=30)
    assert problem(results["stuck"]).code == "render-crashed"
    assert "closed" in problem(pool.run(job)["stuck"]).what


def test_nothing_is_started_and_nothing_left_on_disk_by_a_warm_render(tmp_path: Path) -> None:
    with Renderer(tmp_path, workers=1) as renderer:
        renderer.render_all(MemoryTree(WEB), [request()])
        assert list((tmp_path / "work").iterdir()) == []
    with Renderer(tmp_path, workers=1) as renderer:
        renderer.render_all(MemoryTree(WEB), [request()])
        assert renderer._pool._workers == set()


def test_a_missing_program_is_one_clear_error(tmp_path: Path) -> None:
    with (
        Renderer(tmp_path, kustomize="no-such-kustomize") as renderer,
        pytest.raises(RenderError) as caught,
    ):
        renderer.render_all(MemoryTree(WEB), [request()])
    assert "no-such-kustomize" in caught.value.what
    assert caught.value.fix


def test_a_cache_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        Renderer(tmp_path / "file") as renderer,
        pytest.raises(RenderError) as caught,
    ):
        renderer.render_all(MemoryTree(WEB), [request()])
    assert caught.value.at == str(tmp_path / "file")


def test_nothing_to_render_is_nothing(renderer: Renderer) -> None:
    assert renderer.render_all(MemoryTree({}), []) == {}
    assert renderer.render_all(MemoryTree(WEB), [], [GroupRequest("g", "web", ())]) == {}
    alone = RenderRequest("g-cluster", Form.GROUP, "web", group="g")
    assert renderer.render_all(MemoryTree(WEB), [alone]) == {}, "absence is never an empty result"
