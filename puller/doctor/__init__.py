"""What would stop or slow a pull here: engine, disk, accounts, proxies, mirrors and registries, all looked at at once.

No address is contacted but the engine's, unless a list names registries: then theirs, and those of the mirrors that
the configuration has. Nothing is pulled, and nothing counts against a quota.
"""

from puller.doctor.checks import Scope, examine
from puller.doctor.engine import Way
from puller.doctor.findings import Finding, Verdict

__all__ = ["Finding", "Scope", "Verdict", "Way", "examine"]
