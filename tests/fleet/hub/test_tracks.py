"""Rollouts that track tags and branches, through the real store, with a hub that is killed."""

from __future__ import annotations

from pathlib import Path

from fleet.model import PolicyDocument
from fleet.store.runs import read_plan
from tests.fleet.hub.rig import COALESCE_SECONDS, Rig, deployment_of, fleet


def policy(**track: str) -> tuple[PolicyDocument, ...]:
    """A rollout of bundle `web` alone; everything else goes by another."""
    stages = [{"name": group, "group": group} for group in ("staging", "production")]
    bundles = {"matchLabels": {"team": "web"}}
    shop = {"stages": stages, "source": {"bundles": bundles, "track": track}}
    return (
        PolicyDocument("Rollout", "shop", shop, "clusters/shop.yaml"),
        PolicyDocument("Rollout", "rest", {"stages": stages}, "clusters/rest.yaml"),
    )


VERSIONS = policy(semver=">=1 <2")


def digest(bundle: str, content: str) -> str:
    return deployment_of(bundle, content).digest


def running(rig: Rig, bundle: str) -> set[str]:
    return set(rig.runs_what(bundle).values())


def begun(tmp_path: Path) -> Rig:
    """`web` runs as tag v1.0.0 has it, `api` as the branch has it."""
    rig = Rig(tmp_path)
    tagged = rig.push(fleet(1, 2, web="one", api="one"), policies=VERSIONS)
    rig.repository.refs["refs/tags/v1.0.0"] = tagged
    rig.push(fleet(1, 2, web="two", api="two"), policies=VERSIONS)
    rig.look()
    rig.join(*fleet(1, 2))
    rig.converge()
    return rig


def test_a_rollout_that_tracks_tags_delivers_them_and_runs_are_of_their_commit(
    tmp_path: Path,
) -> None:
    rig = begun(tmp_path)
    assert running(rig, "web") == {digest("web", "one")}
    assert running(rig, "api") == {digest("api", "two")}
    with rig.store.read() as c:
        rows = c.execute("SELECT rollout, commit_id, title FROM run ORDER BY number").fetchall()
    assert sorted(map(tuple, rows)) == [
        ("rest", rig.repository.commits[1], "Commit 2"),
        ("shop", rig.repository.commits[0], "Commit 1"),
    ]


def test_a_new_tag_makes_a_run_though_the_branch_stands_still(tmp_path: Path) -> None:
    rig = begun(tmp_path)
    before = len(rig.states())
    assert not rig.look()
    rig.push(fleet(1, 2, web="three", api="two"), policies=VERSIONS, author="ben")
    rig.push(fleet(1, 2, web="four", api="two"), policies=VERSIONS, author="cai")
    assert rig.look()
    rig.release()
    assert rig.live() == []
    rig.repository.refs["refs/tags/v1.1.0"] = rig.repository.commits[3]
    assert rig.look()
    rig.reopen()
    rig.look()
    rig.release()
    (run,) = rig.live()
    with rig.store.read() as c:
        plan = read_plan(c, run)
    assert {"ben", "cai"} <= set(plan.authors), "all who made what the tag before did not have"
    rig.converge()
    assert running(rig, "web") == {digest("web", "four")}
    assert len(rig.states()) == before + 1


def test_what_is_pushed_to_the_branch_meanwhile_moves_only_the_other_rollout(
    tmp_path: Path,
) -> None:
    rig = begun(tmp_path)
    rig.push(fleet(1, 3, web="three", api="three"), policies=VERSIONS)
    rig.look()
    rig.join("production-3")
    rig.converge()
    rig.release()
    rig.converge()
    assert running(rig, "web") == {digest("web", "one")}, "the new cluster too"
    assert running(rig, "api") == {digest("api", "three")}


def test_a_moved_tag_is_a_problem_and_moves_nothing_also_after_a_kill(tmp_path: Path) -> None:
    rig = begun(tmp_path)
    rig.repository.refs["refs/tags/v1.0.0"] = rig.repository.commits[1]
    for _ in range(2):
        rig.look()
        rig.release()
        assert "track-moved" in rig.problems()
        assert rig.live() == []
        rig.reopen()
    rig.push(fleet(1, 2, web="three", api="three"), policies=VERSIONS)
    rig.look()
    rig.converge()
    assert running(rig, "web") == {digest("web", "one")}
    assert running(rig, "api") == {digest("api", "three")}
    rig.repository.refs["refs/tags/v1.0.1"] = rig.repository.commits[1]
    rig.look()
    rig.converge()
    assert "track-moved" not in rig.problems()
    assert running(rig, "web") == {digest("web", "two")}


def test_a_lost_branch_keeps_what_runs_even_if_only_that_branch_had_it(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    said = policy(ref="release")
    released = rig.push(fleet(1, 2, web="one"), policies=said)
    rig.repository.refs["refs/heads/release"] = released
    rig.push(fleet(1, 2, api="two"), policies=said)
    rig.look()
    rig.join(*fleet(1, 2))
    rig.converge()
    assert running(rig, "web") == {digest("web", "one")}
    del rig.repository.refs["refs/heads/release"]
    rig.push(fleet(1, 2, api="three"), policies=said)
    rig.look()
    rig.converge()
    assert "track-not-found" in rig.problems()
    assert running(rig, "web") == {digest("web", "one")}
    assert running(rig, "api") == {digest("api", "three")}
    with rig.store.read() as c:
        wanted = "SELECT DISTINCT wanted FROM bundle_deployment WHERE bundle = 'web'"
        assert [row["wanted"] for row in c.execute(wanted)] == [digest("web", "one")]


def test_pushes_to_a_tracked_branch_settle_first(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    said = policy(ref="release")
    first = rig.push(fleet(1, 1, web="one"), policies=said)
    rig.push(fleet(1, 1), policies=said)
    rig.repository.refs["refs/heads/release"] = first
    rig.look()
    rig.join(*fleet(1, 1))
    rig.converge()
    rig.repository.refs["refs/heads/release"] = rig.repository.push(
        rig.repository.given[first].with_content(fleet(1, 1, web="two"))
    )
    rig.repository.commits.pop()
    rig.hub.look(rig.clock.now())
    rig.release()
    assert rig.live() == []
    rig.clock.advance(COALESCE_SECONDS)
    rig.converge()
    assert running(rig, "web") == {digest("web", "two")}
