"""The words of engines and registries → kinds, in one table; the first rule that matches is the answer.

The host first, then what the registry says of this image, then the wire; in each, the special before the general.
"""

from puller.classify.rules.content import CONTENT
from puller.classify.rules.host import HOST
from puller.classify.rules.registry import REGISTRY
from puller.classify.rules.rule import Rule
from puller.classify.rules.wire import LAST, WIRE

__all__ = ["HOST", "RULES", "Rule"]

RULES: tuple[Rule, ...] = (*HOST, *REGISTRY, *CONTENT, *WIRE, *LAST)
