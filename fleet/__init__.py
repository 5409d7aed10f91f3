"""The hub of Fleet: it reads one Git repository and releases to many clusters in stages.

The hub decides and records; it never holds a credential for a cluster. What a cluster runs is
fetched and applied by the pull agent of that cluster (package `agents`), which the hub knows only
by the wire types in `agents.protocol`.
"""

__version__ = "0.1.0"
