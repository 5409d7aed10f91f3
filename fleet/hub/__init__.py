"""The hub's process: what it does over time, and what it answers.

    settings   what it is told at its start
    planning   a tree → a plan (no store, no network)
    observing  new commits → wanted rows
    releasing  wanted rows → runs, offers, withdrawals
    desk       requests of agents and people
    doorbell   who waits for a change
    hub        `Hub.step(now)` and its loop
    opening    a hub from settings: folder, lock, store, source, renderer
    lock       one hub at a time in one folder

HTTP is `fleet.api`, which knows a hub only by the protocol that it declares there. This package
imports nothing by itself: `fleet plan` wants `planning` alone, and at once.
"""
