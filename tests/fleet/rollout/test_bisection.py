"""What failed clusters have in common: found where it is, and not found in noise or in too few."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.rollout.bisection import ALPHA, bisect
from fleet.rollout.evidence import ClusterEvidence, Evidence
from fleet.rollout.memory import Memory
from fleet.rollout.rules import Bisect, FailureRules, FailureScope, Rules
from fleet.rollout.run_plan import Change
from fleet.rollout.states import RunState
from fleet.rollout.step import Bisection
from tests.fleet.rollout.builders import cluster, failed, healthy, run, stage, tick
from tests.fleet.rollout.stories import fleet, only, released

Labels = Mapping[str, Mapping[str, str]]


def report_on(
    labels: Labels,
    bad: Iterable[str],
    *names: str,
    revisions: bool = False,
    changes: Mapping[str, tuple[Change, ...]] | None = None,
    **said: Any,
) -> Bisection:
    """The report on these clusters, of which the `bad` failed and all others are Healthy."""
    rules = Rules(on_failure=FailureRules(bisect=Bisect(names, revisions)))
    plan = run(stage("one", *sorted(labels)), rules=rules)
    plan = replace(plan, changes=changes or plan.changes)
    worse = {(("one"), name) for name in bad}
    memory = Memory(ever_failed=worse, failed={name: ("one", "Failed: x") for _, name in worse})
    known = {name: ClusterEvidence(labels=some) for name, some in labels.items()}
    found = bisect(plan, labels, memory, Evidence(known, **said))
    assert found is not None
    return found


def clusters(count: int, **labels: str) -> dict[str, dict[str, str]]:
    """That many clusters with the same labels; their names say which."""
    first = "-".join(labels.values())
    return {f"{first}-{index}": dict(labels) for index in range(count)}


NEW, OLD = clusters(4, k8s="1.29", arch="arm"), clusters(16, k8s="1.28", arch="arm")


def test_a_label_that_all_failed_have_and_few_others_is_found() -> None:
    found = report_on(NEW | OLD, NEW, "k8s", "arch")
    assert found.found == 1
    assert found.traits[0].words == "k8s=1.29"
    assert found.traits[0].p < 0.001
    assert found.said == (
        "failures go with k8s=1.29: 4 of 4 that failed, 0 of 16 Healthy (p = 0.00021)"
    )


def test_a_label_that_everybody_has_says_nothing() -> None:
    found = report_on(NEW | OLD, NEW, "arch")
    assert found.found == 0
    assert found.said == "nothing among arch sets the 4 that failed apart from 16 Healthy"


def test_too_few_are_said_to_be_too_few_and_what_they_share_is_told_as_that() -> None:
    labels = clusters(2, k8s="1.29") | clusters(3, k8s="1.28")
    found = report_on(labels, clusters(2, k8s="1.29"), "k8s")
    assert found.found == 0
    assert found.said == (
        "2 failed and 3 Healthy are too few to tell what sets them apart;"
        " all that failed have k8s=1.29 (0 of 3 Healthy too)"
    )


def test_without_a_healthy_cluster_there_is_nothing_to_compare_with() -> None:
    found = report_on(NEW, NEW, "k8s")
    assert found.said == "no cluster is Healthy to compare the 4 that failed with"


def test_a_missing_label_is_a_trait_too() -> None:
    found = report_on(clusters(5, zone="a") | {f"x{n}": {} for n in range(5)},
                      [f"x{n}" for n in range(5)], "zone")  # fmt: skip
    assert found.traits[0].words == "no zone"
    assert found.found == 1


def test_two_labels_of_the_same_clusters_are_both_named() -> None:
    labels = clusters(5, k8s="1.29", cloud="gcp") | clusters(9, k8s="1.28", cloud="aws")
    found = report_on(labels, clusters(5, k8s="1.29", cloud="gcp"), "k8s", "cloud")
    assert [one.words for one in found.traits] == ["cloud=gcp", "k8s=1.29"]
    assert found.found == 2


def test_the_content_that_only_the_failed_ones_got_is_named_with_its_commits() -> None:
    labels: Labels = {f"c{n}": {} for n in range(12)}
    changes = {
        name: (Change("web", "sha256:bad" if int(name[1:]) < 5 else "sha256:good", "sha256:old"),)
        for name in labels
    }
    bad = [f"c{n}" for n in range(5)]
    commits = {"web": ("1a2b3c4 Bump", "9f8e7d6 Values"), "lib": ("0000000 Other",)}
    found = report_on(labels, bad, revisions=True, changes=changes, suspects=commits)
    assert (found.traits[0].words, found.found) == ("bundle web=sha256:bad", 1)
    assert found.suspects == ("web: 1a2b3c4 Bump", "web: 9f8e7d6 Values")
    assert report_on(labels, bad, changes=changes, suspects=commits).suspects == ()


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), values=st.integers(2, 40))
def test_an_unlikely_trait_of_many_is_judged_by_how_many_were_looked_at(
    seed: int, values: int
) -> None:
    """No p that is told is smaller than the one that a single look would give."""
    from scipy import stats

    rng = Random(seed)
    labels = {f"c{n}": {"l": str(rng.randrange(values))} for n in range(60)}
    bad = rng.sample(sorted(labels), 12)
    found = report_on(labels, bad, "l")
    for one in found.traits:
        table = [[one.failed, 12 - one.failed], [one.healthy, 48 - one.healthy]]
        alone = float(stats.fisher_exact(table, alternative="greater").pvalue)
        assert one.p >= min(1.0, alone) * 0.999999
    assert found.found == sum(one.p <= ALPHA for one in found.traits)


def test_noise_is_rarely_taken_for_a_finding() -> None:
    """With 20 labels that mean nothing; without the correction half of the reports would."""
    names = [f"l{n}" for n in range(20)]
    wrong = 0
    for seed in range(25):
        rng = Random(seed)
        labels = {f"c{n}": {name: rng.choice("abc") for name in names} for n in range(40)}
        found = report_on(labels, rng.sample(sorted(labels), 10), *names)
        wrong += found.found > 0
    assert wrong <= 2


def test_ten_thousand_clusters_with_a_name_each_are_looked_at_in_no_time() -> None:
    labels = {f"c{n}": {"name": str(n), "k8s": str(n % 3)} for n in range(10_000)}
    bad = [name for name in sorted(labels) if labels[name]["k8s"] == "1"][:40]
    found = report_on(labels, bad, "name", "k8s")
    assert found.traits[0].words == "k8s=1"
    assert len(found.traits) <= 5


def test_the_breach_tells_it_once_and_again_only_when_more_has_failed() -> None:
    rules = Rules(
        on_failure=FailureRules(
            scope=FailureScope.STAGE, veto=False, bisect=Bisect(("k8s",), False)
        )
    )
    names = [f"c{n}" for n in range(8)]
    plan = run(stage("one", *names, parallelism=8), rules=rules)
    known = {name: replace(healthy(), labels={"k8s": "1.28"}) for name in names}
    known["c0"] = replace(failed(), labels={"k8s": "1.29"})
    first = tick(plan, known, tick(plan, {}).marks)
    assert first.bisection is not None
    assert [event.message for event in first.events if event.kind == "bisected"] == [
        first.bisection.said
    ]
    assert tick(plan, known, first.marks, at=1).bisection is None
    known["c1"] = replace(failed(), labels={"k8s": "1.29"})
    second = tick(plan, known, first.marks, at=2)
    assert second.bisection is not None
    assert (second.bisection.failed, second.bisection.healthy) == (2, 6)


@pytest.mark.parametrize("bisects", [True, False])
def test_it_is_told_only_where_the_policy_asks_for_it(bisects: bool) -> None:
    rules = Rules(on_failure=FailureRules(bisect=Bisect(("k8s",)) if bisects else None))
    plan = run(stage("one", "c0", "c1"), rules=rules)
    step = tick(plan, {"c0": failed(), "c1": cluster()}, tick(plan, {}).marks)
    assert (step.bisection is not None) is bisects


@pytest.mark.parametrize(
    ("back", "state"), [("healthy", RunState.ROLLED_BACK), ("failed", RunState.ROLLBACK_FAILED)]
)
def test_a_rollback_leaves_the_report_as_it_was_at_the_breach(back: str, state: RunState) -> None:
    found = released(
        fleet(onFailure={"action": "Rollback", "bisect": {"labels": ["k8s"], "revisions": True}})
    )
    found.bad |= {"v1": back, "staging-0:v2": "failed"}
    found.want("app", "v2")
    found.tick()
    one = only(found)
    found.serve_all(12)
    assert one.state is state
    told = [event for event in found.events if event.kind == "bisected"]
    assert len(told) == 1
    assert told[0].message.startswith("1 failed and 1 Healthy are too few to tell")
