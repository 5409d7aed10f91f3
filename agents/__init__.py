"""The pull agent of Fleet: one process in each cluster that fetches and holds its own target.

It never imports the hub: all that the two share is the wire, `agents.protocol`. What a cluster is,
and how one talks to it, is the business of the package `clusters`.
"""
