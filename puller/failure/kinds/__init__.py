"""Every kind of failure: its class, whose it is, what it means, what to do. The published page is made from it."""

from puller.errors import FailureKind
from puller.failure.kinds.host import HOST
from puller.failure.kinds.image import IMAGE
from puller.failure.kinds.meaning import Meaning, Origin
from puller.failure.kinds.transient import PASSING

__all__ = ["KINDS", "Meaning", "Origin"]

KINDS: dict[FailureKind, Meaning] = {**HOST, **IMAGE, **PASSING}
"""What every kind means."""
