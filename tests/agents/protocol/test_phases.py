"""Sync waves and hooks by annotation, in two dialects."""

from __future__ import annotations

import pytest

from agents.protocol import HookEvent, sort_out, sync_wave
from clusters.objects import Object
from tests.agents.samples import config_map, job

ARGO, FLEET = "argocd.argoproj.io/", "fleet.dev/"


def _with(obj: Object, prefix: str, **annotations: str) -> Object:
    said = {f"{prefix}{name.replace('_', '-')}": text for name, text in annotations.items()}
    obj["metadata"]["annotations"] = {**(obj["metadata"].get("annotations") or {}), **said}
    return obj


@pytest.mark.parametrize("prefix", [ARGO, FLEET])
@pytest.mark.parametrize(
    ("text", "wave"),
    [("5", 5), ("-5", -5), ("+1", 1), (" 7 ", 7), ("", 0), ("2147483647", 2**31 - 1)],
)
def test_a_wave_is_a_whole_number(prefix: str, text: str, wave: int) -> None:
    assert sync_wave(_with(config_map(), prefix, sync_wave=text)) == wave


def test_without_a_word_the_wave_is_0_and_fleets_word_wins() -> None:
    assert sync_wave(config_map()) == 0
    both = _with(_with(config_map(), ARGO, sync_wave="1"), FLEET, sync_wave="2")
    assert sync_wave(both) == 2


@pytest.mark.parametrize("text", ["1.5", "one", "1e3", "2147483648", "-" * 50, "9" * 5000, "0x1"])
def test_what_is_no_wave_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="sync-wave"):
        sync_wave(_with(config_map(), ARGO, sync_wave=text))


@pytest.mark.parametrize("prefix", [ARGO, FLEET])
@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("PreSync", [HookEvent.PRE_SYNC]),
        ("pre-sync", [HookEvent.PRE_SYNC]),
        ("Sync,PostSync", [HookEvent.SYNC, HookEvent.POST_SYNC]),
        (" SyncFail , sync-fail", [HookEvent.SYNC_FAIL]),
        ("PreDelete, PostDelete", [HookEvent.PRE_DELETE, HookEvent.POST_DELETE]),
        ("pre-rollback", [HookEvent.PRE_ROLLBACK]),
    ],
)
def test_hooks_are_named_in_both_ways(prefix: str, text: str, events: list[HookEvent]) -> None:
    found = sort_out([_with(job(), prefix, hook=text), config_map()])
    assert [obj["kind"] for obj in found.objects] == ["ConfigMap"]
    (hook,) = found.hooks
    assert list(hook.events) == events
    assert hook.delete_policies == ("before-hook-creation",)


def test_a_hooks_wave_is_its_weight_and_its_policies_are_its_own() -> None:
    first = _with(job("first"), ARGO, hook="PreSync", sync_wave="-1")
    policies = "HookSucceeded,BeforeHookCreation"
    last = _with(job("last"), ARGO, hook="PreSync", sync_wave="3", hook_delete_policy=policies)
    hooks = sort_out([last, first]).hooks
    assert [(h.object["metadata"]["name"], h.weight) for h in hooks] == [("first", -1), ("last", 3)]
    assert set(hooks[1].delete_policies) == {"hook-succeeded", "before-hook-creation"}


def test_skip_leaves_an_object_out() -> None:
    found = sort_out([_with(config_map(), ARGO, hook="Skip"), config_map("stays")])
    assert [obj["metadata"]["name"] for obj in found.objects] == ["stays"]
    assert found.hooks == ()


@pytest.mark.parametrize(
    ("annotation", "text"),
    [("hook", "PreSnyc"), ("hook", "pre-install,never"), ("hook_delete_policy", "HookDone")],
)
def test_a_word_that_is_none_is_refused_with_the_object_and_the_choice(
    annotation: str, text: str
) -> None:
    with pytest.raises(ValueError, match=r"Job migrate: annotation .* none of "):
        sort_out([_with(job(), ARGO, **{annotation: text})])


def test_helms_annotations_in_plain_manifests_are_no_hooks() -> None:
    plain = job()
    plain["metadata"]["annotations"] = {"helm.sh/hook": "pre-install"}
    assert sort_out([plain]).objects == (plain,)
