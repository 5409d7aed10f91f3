"""HTTP: the wire for agents and the API for people, over one hub.

    face       what the hub must answer, as a protocol
    inbound    tokens, bodies with bounds, errors as JSON
    selectors  `env=production,region!=us` as kubectl reads it
    wire       routes of agents
    people     routes of people
    answers    rows → documents, by `fleet.status`
    app        all routes as one ASGI application
    serving    where it listens
    client     the other side, for the CLI

An agent's token opens its own cluster and nothing else; people's routes want the operator token.
Every refusal is JSON: code, what, at, fix. No body is read without a bound.
"""

from __future__ import annotations
