"""The composition root: hub, agents and simulated clusters together in one world.

    example    a Git repository made from deploy/example-fleet, and commits to it
    served     simulated clusters that live in real time, served over HTTP on loopback
    host       served clusters with their agents in one event loop; no Ray in here
    actors     that host as a Ray actor, many agents to each
    hub        a `fleet hub` process of our own
    session    hub, hosts, tokens for the agents and a kubeconfig, together
    sandbox    served clusters for people, with no hub and no agents
    kubeconfig the file that leads to them, for as long as they live
    board      progress lines from what the API answers

Only this package may import hub, agents and simulation alike.
"""
