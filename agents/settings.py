"""How fast an agent goes about its work. Units are in the names; everything has a sane default."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Intervals and bounds of one agent."""

    poll_wait_seconds: float = 30.0
    """How long the hub may hold a target request open; only `Agent.run` holds."""
    poll_interval_seconds: float = 15.0
    """Time between target requests where `Agent.step` polls without holding."""
    first_look_seconds: float = 2.0
    """How long registration waits for what it tells of the cluster."""
    poll_pause_seconds: float = 0.1
    """Time between two held requests at least, whatever the hub answers."""
    health_interval_seconds: float = 2.0
    """Time between looks at what is not yet healthy, deleted or complete."""
    check_interval_seconds: float = 300.0
    """Time between full checks of a bundle for drift; watches find most of it at once."""
    event_delay_seconds: float = 0.1
    """How long changes that a watch shows are gathered before they are looked at."""
    report_delay_seconds: float = 0.2
    """How long changes are gathered into one report."""
    requests_per_second: float = 0.0
    """Requests to the cluster in the long run, 0 for no limit: API servers share their capacity
    out themselves, and the requests in flight are bounded anyway."""
    request_burst: int = 100
    """Requests at once after a quiet time, where a limit is set."""
    parallel_requests: int = 16
    """Requests to the cluster in flight within one stage of one bundle."""
    parallel_bundles: int = 4
    """Bundles that are worked on at the same time."""
    backoff_first_seconds: float = 1.0
    backoff_factor: float = 2.0
    backoff_limit_seconds: float = 120.0
    backoff_jitter: float = 0.2
    """Part of the delay that is drawn, 0.2 for ±20 %."""
    lease_seconds: float = 40.0
    """How long an agent that is not heard of keeps its cluster to itself; 0 for no Lease at all,
    for simulations where nothing else can be there."""
    lease_renew_seconds: float = 10.0
    lease_retry_seconds: float = 5.0
    """Time between looks at a Lease that another agent holds."""
    request_limit_seconds: float = 20.0
    """Time limit of one request to the hub, without the wait."""
    events: bool = True
    """Make Kubernetes Events about changes of state."""
    events_pause_seconds: float = 1.0
    """How long changes are gathered before Events are made of them."""
    reported_objects: int = 50
    """Objects of one bundle that a report details at most."""
