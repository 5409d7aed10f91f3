"""The hub's own program: from a commit to offers, one step at a time.

    settings   what a hub is told at its start
    lock       one hub at a time in one folder
    planning   tree → plan (also used offline by the command line)
    following  which commit is the newest, and what it wants, into the store
    deciding   runs that are wanted, and one advance of each live run
    program    `Hub.step(now)`: all of the above, and when to look again

Every step can be killed at any point and asked again: nothing that matters is only in memory.
"""
