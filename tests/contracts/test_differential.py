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
`resourceVersion` of a listing        counts all writes of the server
times of Update entries               a Scale's entry loses its time at the next write
DaemonSet template annotation         computed when read, and so not in metadata alone
Namespace deletes                     are finished by a controller; here they are at once
owner references, foreground, orphan  are followed by a controller; here they are at once: see
                                      `test_deletion.py`, on a cluster with controllers
ResourceQuota                         its status is a controller's, here the server's
PersistentVolumeClaim protection      its finalizer is a controller's to take away; not put on here
kinds in `LATER`                      the server checks more of what they hold than the simulation
times and quantities                  text that is none is refused by the real server as it is read
resourceVersion that is no number     a real server answers 500
====================================  ============================================================

`FLEET_TEST_SEQUENCES=5000` plays as many more, other ones each time; a failure prints the shortest
sequence that shows the difference.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from tests.contracts.pair import Pair, open_pair
from tests.contracts.sequences import Operation, sequences, specimens
from tests.controlplane.programs import find
from tests.controlplane.real_cluster import MISSING, REQUIRED_VARIABLE

pytestmark = pytest.mark.xdist_group("real-cluster")
SEQUENCES = int(os.environ.get("FLEET_TEST_SEQUENCES", "0"))
QUICK = 80
LATER = frozenset(
    """
    CronJob DaemonSet Deployment HorizontalPodAutoscaler Ingress Job Lease LimitRange NetworkPolicy
    PersistentVolumeClaim PodDisruptionBudget Role RoleBinding ClusterRole Service StatefulSet
    StorageClass Widget Secret
    """.split()
)
KINDS = sorted(set(specimens()) - LATER)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A real API server with nobody else to speak to it, and a simulated one."""
    programs = find()
    if programs is None:
        if os.environ.get(REQUIRED_VARIABLE):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with open_pair(programs, tmp_path_factory.mktemp("pair")) as opened:
        yield opened


@settings(
    max_examples=SEQUENCES or QUICK,
    derandomize=not SEQUENCES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(operations=sequences(KINDS))
def test_a_sequence_has_the_same_answers_on_both(pair: Pair, operations: list[Operation]) -> None:
    differences = pair.play(operations)
    assert not differences, "\n".join(differences)
