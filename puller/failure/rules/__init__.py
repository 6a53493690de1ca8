"""The words of engines and registries → kinds, in one table; the first rule that matches is the answer.

The host first, then what the registry says of this image, then the wire; in each, the special before the general.
"""

from puller.failure.rules.host import HOST
from puller.failure.rules.image import CONTENT
from puller.failure.rules.network import LAST, WIRE
from puller.failure.rules.registry import REGISTRY
from puller.failure.rules.rule import Rule

__all__ = ["HOST", "RULES", "Rule"]

RULES: tuple[Rule, ...] = (*HOST, *REGISTRY, *CONTENT, *WIRE, *LAST)
