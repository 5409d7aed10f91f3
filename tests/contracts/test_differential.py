"""Random sequences of operations give the same answers on a real API server and in the simulation.

A sequence is played over HTTP on both: on a real kube-apiserver to which nobody else speaks (no
controllers, no kubelet), and on the simulation's own HTTP face. After each step the answers are
compared: code; of a refusal the reason and details (name, kind, group, and of each cause the
field and its reason); of an object all of it, with managedFields as they are.

Left out of the comparison, and why:

====================================  ============================================================
uids, versions, times, addresses      each server's own; compared by the order in which they come,
                                      so that "this gave no new version" and "this is another
                                      object" show (a Job is made with labels that a real server
                                      shows at once and writes down at the next write, and what a
                                      delete answers with has a version of its own: not there)
the words of messages                 people read them; most are the real server's own
order of causes                       Go's maps have none
kind in the refusal of another uid    is the plural where the server's cache was behind
`resourceVersion` of a listing        counts all writes of the server
times of managedFields entries        a Scale's entry loses its time at the next write
DaemonSet template annotation         computed when read, and so not in metadata alone
Namespace deletes                     are finished by a controller; here they are at once
owner references, foreground, orphan  are followed by a controller; here they are at once: see
                                      `test_deletion.py`, on a cluster with controllers
ResourceQuota                         its status is a controller's, here the server's
PersistentVolumeClaim protection      its finalizer is a controller's to take away; not put on here
quantities within metrics             a write spells them anew there, which is a change of them
generateName beside a name that is taken: the refusal asks to try again later, on a real server
apiVersion taken away by a patch      of a custom object: 500 on a real server, put back here
content of a status                   is not looked at here, apart from a custom kind's schema
CEL rules, `format`, anyOf … of kinds in a custom kind's schema: are not evaluated here
resourceVersion at a create           a real server answers 500, here it is 400
a list Go writes as null, sent empty  is `[]` to who owns what there, and `null` here from the start
status of a Service that is not there is made by a PUT on a real server, and not found here
status of a custom object, left out   an apply writes nothing, yet there is a new version there
selfLink in an apply that changes     nothing else is a new version there, if a second has passed
scale of custom kinds                 has no selector of pods, and any path for its replicas
`remainingItemCount`                  is not counted here
Table answers                         have descriptions of their columns there
deletionTimestamp in a custom status  refused here, ignored there; a sequence still shows it (about
                                      one in 2,000 shows it or another rare pair of mistakes)
====================================  ============================================================

`FLEET_TEST_SEQUENCES=5000 python -m pytest tests/contracts/test_differential.py` plays as many,
other ones each time, about twenty a second; a failure prints the shortest
sequence that shows the difference.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings

from tests.contracts.pair import Pair
from tests.contracts.sequences import Operation, sequences, specimens

pytestmark = pytest.mark.xdist_group("real-cluster")
SEQUENCES = int(os.environ.get("FLEET_TEST_SEQUENCES", "0"))
QUICK = 100


@settings(
    max_examples=SEQUENCES or QUICK,
    derandomize=not SEQUENCES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(operations=sequences())
def test_a_sequence_has_the_same_answers_on_both(pair: Pair, operations: list[Operation]) -> None:
    differences = pair.play(operations)
    assert not differences, "\n".join(differences)


@pytest.mark.parametrize("kind", sorted(specimens()))
def test_each_change_by_itself_is_taken_or_refused_alike(pair: Pair, kind: str) -> None:
    """Of a new object, and of one that is there."""
    by = {"manager": "m"}
    for change in specimens()[kind].changes:
        operations = [
            Operation("apply", kind, "a", (change,), by),
            Operation("apply", kind, "b", (), by),
            Operation("apply", kind, "b", (change,), by),
        ]
        differences = pair.play(operations)
        assert not differences, "\n".join(differences)
