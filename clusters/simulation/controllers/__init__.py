"""The controllers of a simulated cluster: they make workloads ready, in time, or fail as told.

    loop          `Controllers`: change feed and timers → controllers → writes
    decision      what a controller is: a pure function to an `Outcome`
    surveyor      whom a change concerns
    images        words in an image → how its containers behave
    events        what kubectl describe tells; off unless asked for
    timing        `Timing`: how long things take; the dice
    pods          the life of a pod
    scheduling    which nodes a pod may run on
    deployments   with `revisions`, `rollover` and `progress`; replicasets
    statefulsets  with `claims`; daemonsets; both with `history`
    jobs          cronjobs
    services      endpoints, load balancers, Ingress addresses
    storage       claims and their volumes
    namespaces    what a namespace has, and what holds one that is to go
    autoscalers   with `autoscaling`: replicas by a declared load
    surroundings  nodes, APIServices, budgets

Never: served over a network, in need of threads, or different from run to run.
"""

from __future__ import annotations

from clusters.simulation.controllers.images import Behaviour, behaviour_of
from clusters.simulation.controllers.loop import Controllers
from clusters.simulation.controllers.timing import Timing

__all__ = ["Behaviour", "Controllers", "Timing", "behaviour_of"]
