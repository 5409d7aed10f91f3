"""What `source.track` delivers, from real repositories with the real tools."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from agents.protocol import read_artifact
from fleet.hub.contents import deliver, plan_commit
from fleet.hub.planning import Planned, make_plan, plan_content
from fleet.hub.tracks import NOTHING, track
from fleet.model import Severity
from fleet.render import Renderer
from fleet.source import Source
from tests.fleet.source.repositories import commit, git, new_repository


def config(colour: str) -> str:
    return json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"c": colour}}
    )


def clusters(*names: str) -> str:
    return "".join(
        f"---\napiVersion: fleet.dev/v1\nkind: Cluster\n"
        f"metadata: {{name: {name}, labels: {{env: production}}}}\n"
        for name in names
    )


def rollout(track: str, name: str = "shop") -> str:
    return (
        f"apiVersion: fleet.dev/v1\nkind: Rollout\nmetadata: {{name: {name}}}\nspec:\n"
        f"  source: {{bundles: {{matchLabels: {{team: {name}}}}}, track: {track}}}\n"
        "  stages: [{name: all, select: {catchAll: true}}]\n"
    )


def app(colour: str, name: str = "web", team: str = "shop") -> dict[str, str]:
    return {
        f"apps/production/{name}/c.json": config(colour),
        f"apps/production/{name}/fleet.yaml": f"labels: {{team: {team}}}\nnamespace: {name}\n",
    }


def home(folder: Path, said: str, **more: str) -> Path:
    files = {
        "clusters/clusters.yaml": clusters("prd-1"),
        "clusters/rollout.yaml": rollout(said),
        **app("blue"),
        **app("blue", "other", "none"),
        **more,
    }
    return new_repository(folder, files)


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Renderer]:
    with Renderer(tmp_path_factory.mktemp("renders")) as made:
        yield made


def colours(planned: Planned, cluster: str = "prd-1") -> dict[str, str]:
    """Bundle → the colour that the cluster is to have; empty: held."""
    data = planned.artifacts()
    found = {}
    for entry in planned.plan.entries_of(cluster):
        wanted = entry.deployment
        objects = read_artifact(data[wanted.artifact], wanted.artifact).objects if wanted else ()
        found[entry.bundle] = objects[0]["data"]["c"] if objects else ""
    return found


def planned_at_head(where: Path, renderer: Renderer) -> Planned:
    with Source.open(str(where)) as source:
        return plan_commit(source, source.head(), renderer)


def codes(planned: Planned) -> set[str]:
    return {problem.code for problem in planned.plan.problems}


def test_a_range_of_versions_delivers_the_highest_tag_and_only_its_bundles(
    tmp_path: Path, renderer: Renderer
) -> None:
    where = home(tmp_path / "home", '{semver: ">=2 <3"}')
    git(where, "tag", "v1.0.0")
    commit(where, app("green"))
    git(where, "tag", "-m", "two", "v2.0.0")
    commit(where, app("red") | app("red", "other", "none"))
    git(where, "tag", "v3.0.0-rc.1")
    made = planned_at_head(where, renderer)
    assert colours(made) == {"web": "green", "other": "red"}
    assert made.contents["shop"].ref == "tag v2.0.0"
    assert made.contents["shop"].about.id == git(where, "rev-parse", "v2.0.0^{commit}")
    assert codes(made) == set()
    commit(where, app("gold"))
    git(where, "tag", "v2.1.0")
    assert colours(planned_at_head(where, renderer))["web"] == "gold"


def test_clusters_groups_and_policies_are_always_those_of_the_hubs_branch(
    tmp_path: Path, renderer: Renderer
) -> None:
    where = home(tmp_path / "home", "{ref: release}")
    git(where, "branch", "release")
    group = "apiVersion: fleet.dev/v1\nkind: ClusterGroup\nmetadata: {name: production}\n"
    commit(
        where,
        app("red")
        | {
            "clusters/clusters.yaml": clusters("prd-2", "prd-3"),
            "clusters/groups.yaml": group + "spec: {selector: {matchLabels: {env: production}}}\n",
        },
    )
    made = planned_at_head(where, renderer)
    assert sorted(made.plan.clusters()) == ["prd-2", "prd-3"]
    assert colours(made, "prd-3") == {"web": "blue", "other": "blue"}
    git(where, "checkout", "-q", "release")
    commit(where, {"clusters/rollout.yaml": rollout("{ref: nowhere}")} | app("green"))
    git(where, "checkout", "-q", "main")
    assert colours(planned_at_head(where, renderer), "prd-2")["web"] == "green"


def test_one_commit_stays_whatever_comes(tmp_path: Path, renderer: Renderer) -> None:
    where = home(tmp_path / "home", "{ref: main}")
    first = git(where, "rev-parse", "HEAD")
    commit(where, app("red") | {"clusters/rollout.yaml": rollout(f"{{revision: {first}}}")})
    made = planned_at_head(where, renderer)
    assert colours(made)["web"] == "blue"
    assert made.contents["shop"].about.id == first


def test_the_hubs_own_branch_by_name_is_what_it_is_anyway(
    tmp_path: Path, renderer: Renderer
) -> None:
    where = home(tmp_path / "home", "{ref: main}")
    asked: list[str] = []
    with Source.open(str(where)) as source:
        tree = source.tree(source.head())
        planned = make_plan(tree, renderer)

        def count(*_: object) -> tuple[Planned, frozenset[str]]:
            asked.append("planned")
            raise AssertionError

        tracked = track(planned.book, source, {})
        made = deliver(planned, tree, tracked, source, count)
    assert asked == []
    assert made.plan.classes == planned.plan.classes


def test_a_bundle_that_only_the_tag_has_is_delivered_and_one_that_only_the_branch_has_is_not(
    tmp_path: Path, renderer: Renderer
) -> None:
    where = home(tmp_path / "home", '{semver: "1"}', **app("old", "gone"))
    git(where, "tag", "v1.0.0")
    for path in app("old", "gone"):
        (where / path).unlink()
    commit(where, app("new", "later"))
    made = planned_at_head(where, renderer)
    assert colours(made) == {"gone": "old", "web": "blue", "other": "blue"}


def test_who_carries_a_bundle_that_the_branch_declares_says_the_branch(
    tmp_path: Path, renderer: Renderer
) -> None:
    where = home(tmp_path / "home", '{semver: "1"}', **app("old", "other", "shop"))
    git(where, "tag", "v1.0.0")
    commit(where, app("new", "other", "none"))
    made = planned_at_head(where, renderer)
    assert colours(made) == {"web": "blue", "other": "new"}
    assert {b.name: dict(b.labels) for b in made.repo.bundles}["other"] == {"team": "none"}


def test_what_a_group_lists_is_content_and_who_is_in_it_is_not(
    tmp_path: Path, renderer: Renderer
) -> None:
    def listing(*names: str) -> dict[str, str]:
        paths = ", ".join(f"../../apps/production/{name}" for name in names)
        return {"clusters/production/kustomization.yaml": f"resources: [{paths}]\n"}

    def kustomized(colour: str, name: str) -> dict[str, str]:
        file = {f"apps/production/{name}/kustomization.yaml": "resources: [c.json]\n"}
        one = config(colour).replace('"name": "c"', f'"name": "{name}"')
        labels = "labels: {team: shop}\n"
        more = {"c.json": one, "fleet.yaml": labels}
        return file | {f"apps/production/{name}/{key}": text for key, text in more.items()}

    files = kustomized("blue", "web") | kustomized("blue", "late") | listing("web", "late")
    where = home(tmp_path / "home", '{semver: "1"}', **files)
    git(where, "tag", "v1.0.0")
    commit(where, listing("web") | {"clusters/clusters.yaml": clusters("prd-1", "prd-2")})
    made = planned_at_head(where, renderer)
    assert colours(made, "prd-2") == {"late": "blue", "other": "blue", "web": "blue"}


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("{ref: nowhere}", "track-not-found"),
        ('{semver: ">=7"}', "track-no-version"),
        (f"{{revision: {'a' * 40}}}", "track-not-found"),
    ],
)
def test_a_track_that_names_nothing_holds_its_own_bundles_alone(
    tmp_path: Path, renderer: Renderer, said: str, code: str
) -> None:
    made = planned_at_head(home(tmp_path / "home", said), renderer)
    assert colours(made) == {"web": "", "other": "blue"}
    assert codes(made) == {code}
    assert {"web"} <= made.plan.held
    assert "other" not in made.plan.held
    assert made.unresolved == {"shop"}
    (problem,) = made.plan.problems
    assert problem.severity is Severity.WARNING, "an error would hold every removal"
    assert problem.at.startswith("clusters/rollout.yaml")
    assert problem.fix


def test_a_tag_that_was_moved_is_not_followed(tmp_path: Path, renderer: Renderer) -> None:
    where = home(tmp_path / "home", '{semver: ">=1"}')
    first = git(where, "rev-parse", "HEAD")
    commit(where, app("red"))
    git(where, "tag", "v1.0.0")
    with Source.open(str(where)) as source:
        tree = source.tree(source.head())
        planned = make_plan(tree, renderer)
        tracked = track(planned.book, source, {"tag v1.0.0": first})
        part = functools.partial(plan_content, renderer=renderer)
        made = deliver(planned, tree, tracked, source, part)
    assert colours(made) == {"web": "", "other": "blue"}
    (problem,) = made.plan.problems
    assert problem.code == "track-moved"
    assert first[:12] in problem.what


def test_what_cannot_be_read_in_the_other_commit_holds_that_rollout_alone(
    tmp_path: Path, renderer: Renderer
) -> None:
    where = home(tmp_path / "home", "{ref: release}")
    git(where, "checkout", "-q", "-b", "release")
    commit(where, {"apps/production/web/c.json": "{", "clusters/junk.yaml": "a: [\n"})
    git(where, "checkout", "-q", "main")
    made = planned_at_head(where, renderer)
    assert colours(made) == {"web": "", "other": "blue"}
    assert not any(p.severity is Severity.ERROR and not p.bundle for p in made.plan.problems)


@pytest.mark.parametrize(
    "said", ["{ref: 'main~1'}", "{ref: '-x'}", "{revision: abc}", "{semver: two}", "{}"]
)
def test_what_is_no_track_is_refused_where_it_stands(
    tmp_path: Path, renderer: Renderer, said: str
) -> None:
    made = planned_at_head(home(tmp_path / "home", said), renderer)
    assert codes(made) == {"rollout-invalid"}


def test_without_a_track_nothing_is_asked(tmp_path: Path, renderer: Renderer) -> None:
    files: Mapping[str, str] = {"clusters/clusters.yaml": clusters("prd-1"), **app("blue")}
    where = new_repository(tmp_path / "home", files)
    with Source.open(str(where)) as source:
        tree = source.tree(source.head())
        planned = make_plan(tree, renderer)
        assert track(planned.book, source, {}) is NOTHING
        assert deliver(planned, tree, NOTHING, source, _never) is planned


def _never(*_: object) -> tuple[Planned, frozenset[str]]:
    raise AssertionError
