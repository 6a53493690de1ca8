"""How many hosts of a run go on at once, with how many threads each: threads and open files are limited."""

from collections.abc import Iterable, Sequence

from puller.fleet.hosts import FleetHost
from puller.fleet.model import FleetOptions
from puller.model import PullRequest
from puller.system.threads import affordable

_THREADS = 560
"""Threads of all sessions together."""
CHECKS = 2
"""Threads of one session for checks: most are by digest."""
_OTHERS = 11
"""Threads of one session without those for checks, pulls and time limits."""
_CONNECTIONS = 2
"""Open connections of one host beside those of its pulls."""
_FED = 8
"""Connections of a fed host's engine to this machine, with a thread each."""


def widths(
    hosts: Iterable[FleetHost], requests: Sequence[PullRequest], jobs: int, options: FleetOptions
) -> tuple[int, int]:
    """Return how many hosts run at once, and the threads for the pulls of each.

    All sessions together have `_THREADS`, and what this process can open.
    """
    fed = _FED if options.fed else 0
    jobs = max([jobs, *(host.jobs for host in hosts if host.jobs)])
    wanted = jobs * len({each.reference.registry.lower() for each in requests})
    fixed = _OTHERS + CHECKS + jobs + fed  # each pull in flight has a thread for its time limits
    connections = jobs + _CONNECTIONS + fed
    asked = options.parallel_hosts
    parallel = max(1, min(asked, _THREADS // (fixed + jobs), affordable(asked * connections) // connections))
    return parallel, max(jobs, min(wanted, _THREADS // parallel - fixed))
