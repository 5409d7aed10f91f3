"""One object of every built-in kind is stored alike by a real API server and by the simulation.

`examples.yaml` has one example of each kind that the random sequences leave out, with the parts
that have defaults. It is applied, labelled by another manager, read and deleted on both; defaults,
owners, versions and generations are equal. Left out, and why:

====================================  ============================================================
status of what has a controller       a real server has some within itself (quotas, API services,
                                      flow schemas, definitions); here they are part of the write
a Pod's tolerations, its QoS class    no kubelet here evicts by them
a Node's taint until it is ready      a controller's to take off; not put on here
VolumeAttributesClass protection      its finalizer is a controller's to take away; not put on here
who asked for a certificate           everybody is nobody in particular here
owners in a version that is not the   told in the stored version here, in the written one there
stored one (autoscaling/v1)
====================================  ============================================================
"""

from __future__ import annotations

from pathlib import Path

import pytest

from clusters.objects import Object, kind_of, read_yaml_documents
from clusters.simulation.server.builtin import BUILT_IN
from tests.contracts.pair import Pair
from tests.contracts.sequences import specimens

pytestmark = pytest.mark.xdist_group("real-cluster")
EXAMPLES = read_yaml_documents((Path(__file__).parent / "examples.yaml").read_bytes())
_LATER = (".body.metadata.resourceVersion", ".body.status")
LEFT_OUT: dict[str, tuple[str, ...]] = {
    "Pod": (".body.spec.tolerations", ".body.status.qosClass"),
    "ResourceQuota": (".body.metadata.managedFields", *_LATER),
    "APIService": (".body.metadata.managedFields", *_LATER),
    "FlowSchema": (".body.metadata.managedFields", *_LATER),
    "CustomResourceDefinition": (".body.metadata.managedFields", *_LATER),
    "Node": (".body.spec.taints",),
    "VolumeAttributesClass": (".body.metadata.finalizers",),
    "CertificateSigningRequest": (
        ".body.metadata.managedFields",
        ".body.metadata.resourceVersion",
        ".body.spec.groups",
        ".body.spec.uid",
        ".body.spec.username",
    ),
    "HorizontalPodAutoscaler": (".body.metadata.managedFields", *_LATER),
}


def name_of(example: Object) -> str:
    """What a test of an example is called."""
    return f"{example['apiVersion']} {example['kind']}"


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_an_example_is_stored_alike_on_both(pair: Pair, example: Object) -> None:
    left_out = LEFT_OUT.get(example["kind"], ())
    found = [text for text in pair.store(example) if not text.startswith(left_out)]
    assert not found, "\n".join(found)


def test_every_built_in_kind_has_an_example_or_a_specimen() -> None:
    shown = {kind_of(example) for example in EXAMPLES}
    shown |= {kind_of(specimen.base) for specimen in specimens().values()}
    assert {*BUILT_IN} - shown == set()
