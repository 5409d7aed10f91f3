"""What kinds refuse of their content: as a real server does, recorded in `refusals.yaml`."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusters.objects import Object, read_yaml
from clusters.simulation.server.rejections import RejectedError, TypedPatchError
from tests.clusters.simulation.samples import new_server
from tests.contracts.sequences import Change, specimens, widgets

REFUSALS = read_yaml((Path(__file__).parent / "refusals.yaml").read_bytes())


def changes(kind: str) -> dict[str, Change]:
    """The changes of a kind by the words they are shown in."""
    return {repr(change): change for change in specimens()[kind].changes}


def changed(kind: str, change: Change) -> Object:
    """A specimen with a change."""
    obj = specimens()[kind].with_changes([change])
    obj["metadata"].setdefault("name", "a")
    return obj


@pytest.mark.parametrize("kind", sorted(REFUSALS))
def test_a_kind_refuses_what_a_real_server_refuses_in_the_same_fields(kind: str) -> None:
    server = new_server()
    server.create(widgets())
    for words, causes in REFUSALS[kind].items():
        with pytest.raises(RejectedError) as refused:
            server.apply(changed(kind, changes(kind)[words]), manager="m")
        found = {f"{cause.field}: {cause.reason}" for cause in refused.value.causes}
        assert found == {*causes}, words


@pytest.mark.parametrize("kind", sorted(specimens()))
def test_a_kind_takes_what_it_can_read_and_does_not_refuse(kind: str) -> None:
    server = new_server()
    server.create(widgets())
    refused = REFUSALS.get(kind, {})
    taken = [change for words, change in changes(kind).items() if words not in refused]
    assert len(taken) > len(refused) / 4
    for change in taken:
        try:
            server.apply(changed(kind, change), manager="m", dry_run=True)
        except RejectedError as error:
            raise AssertionError(f"{change}: {error}") from error
        except TypedPatchError:
            continue  # it cannot be read


TWICE = [
    ("Widget", "spec/parts", [{"key": "a"}, {"key": "a"}], "spec.parts[1]: FieldValueDuplicate"),
    ("Widget", "spec/tags", ["a", "a"], "spec.tags[1]: FieldValueDuplicate"),
    (
        "Service",
        "spec/ports",
        [{"name": "a", "port": 80}, {"name": "b", "port": 80}],
        "spec.ports[1]: FieldValueDuplicate",
    ),
    (
        "NetworkPolicy",
        "spec/ingress/0/ports/0",
        {"port": 80, "endPort": 79},
        "spec.ingress[0].ports[0].endPort: FieldValueInvalid",
    ),
]


@pytest.mark.parametrize(("kind", "path", "value", "cause"), TWICE)
def test_what_a_create_may_not_have_twice_or_backwards(
    kind: str, path: str, value: object, cause: str
) -> None:
    server = new_server()
    server.create(widgets())
    with pytest.raises(RejectedError) as refused:
        server.create(changed(kind, Change(path, value)))
    assert {f"{found.field}: {found.reason}" for found in refused.value.causes} == {cause}
