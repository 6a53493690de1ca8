"""What a kind of failure is described by."""

from dataclasses import dataclass
from enum import StrEnum

from puller.errors import FailureClass


class Origin(StrEnum):
    """Whose fault a failure is: where somebody has to look."""

    NETWORK = "network"
    REGISTRY = "registry"
    CREDENTIALS = "credentials"
    LIST = "list"
    """What was asked for: a name, a tag, a platform."""
    HOST = "host"
    ENGINE = "engine"
    PULLER = "puller"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What is known of a failure once its kind is known."""

    failure_class: FailureClass
    origin: Origin
    summary: str
    """What happened, as one sentence."""
    advice: str
    """What to do about it, as one sentence."""
