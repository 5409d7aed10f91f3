"""The composition root: hub, agents and simulated clusters together in one world.

    example    a Git repository made from deploy/example-fleet, and commits to it
    host       simulated clusters with their agents in one event loop; no Ray in here
    actors     that host as a Ray actor, many agents to each
    hub        a `fleet hub` process of our own, and tokens for the agents
    board      progress lines from what the API answers
    demo       the story that `fleet demo` tells

Only this package may import hub, agents and simulation alike.
"""
