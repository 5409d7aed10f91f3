"""Four days of the shop's fleet: twenty-six commits through three policies, as tables.

    policies       `safe`, `fast`, a DAG of the shop's own
    shop_commits   what is pushed, and when
    timed_agent    an agent whose cluster takes its time
    fleet_in_time  a real hub over real Git and real renders, with such agents, in virtual time
    people         who approves
    watching       what was to be seen at every moment
    history        the pushes in time
    tables         who got what when, and why

`python -m tests.e2e.rollout_history` prints the tables.
"""
