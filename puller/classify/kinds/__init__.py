"""Every kind of failure: its class, whose it is, what it means, what to do. The published page is made from it."""

from typing import TYPE_CHECKING

from puller.classify.kinds.host import HOST
from puller.classify.kinds.image import IMAGE
from puller.classify.kinds.meaning import Meaning, Origin
from puller.classify.kinds.passing import PASSING

if TYPE_CHECKING:
    from puller.errors import FailureKind

__all__ = ["KINDS", "Meaning", "Origin"]

KINDS: "dict[FailureKind, Meaning]" = {**HOST, **IMAGE, **PASSING}
"""What every kind means."""
