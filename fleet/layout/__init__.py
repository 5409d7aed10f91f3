"""Layout: what the files of one commit declare, as values that know no files any more.

    repository    `discover(tree) → Repo`
    documents     kind Cluster, ClusterGroup, Rollout … under clusters/
    groups        members and the group's own kustomization file
    sources       directories with their form and fleet.yaml     fleet_yaml, helm_fields, fields
    destinations  who gets which: by list, by targets, by place  references
    bundles       one name, one bundle                           dependencies
    findings      problems with file, line and cure
    memory_tree   `MemoryTree`: a tree that is no Git commit

What cannot be read is a `Problem` and holds what it declares; it is never an order to remove.
Never reads a disk, a clock or a network, and never renders.
"""

from __future__ import annotations

from fleet.layout.memory_tree import MemoryTree
from fleet.layout.repository import discover

__all__ = ["MemoryTree", "discover"]
