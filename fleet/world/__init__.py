"""The composition root: hub, agents and simulated clusters together in one world.

    example    a Git repository made from deploy/example-fleet, and commits to it
    host       simulated clusters with their agents in one event loop; no Ray in here
    actors     that host as a Ray actor, many agents to each
    hub        a `fleet hub` process of our own
    session    hub, hosts, tokens for the agents and a kubeconfig, together
    board      progress lines from what the API answers

Only this package may import hub, agents and simulation alike.
"""
