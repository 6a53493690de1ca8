"""What registries say for themselves: before an engine is asked at all, and when its words are not enough."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from puller.reference import ImageReference, Platform


@dataclass(frozen=True, slots=True)
class Announced:
    """What a reference stands for in its registry."""

    digest: str
    single: bool
    """Whether it is one image for one platform; where it is not, or may not be, the platform must be looked at."""
    counted: bool = False
    """Whether a pull there counts against a quota."""
    mirror: str | None = None
    """The mirror that says so, where the registry itself was silent."""


class Advisor(Protocol):
    """Asks registries directly. Never raises: it is there to help, and not to be one more thing that fails."""

    def reach(self, registry: str) -> bool:
        """Say whether anybody answers there."""

    def head(self, reference: "ImageReference") -> Announced | None:
        """Say what a reference stands for now; None where the registry does not tell, whatever the reason."""

    def silent(self, registry: str) -> bool:
        """Say whether the registry, when it was asked last, did not answer, or could not: a refusal is an answer."""

    def image_id(self, reference: "ImageReference", platform: "Platform") -> str | None:
        """Say what ID a graph-driver store gives the image that a digest stands for; None where nobody tells."""

    def wait_of(self, reference: "ImageReference") -> float | None:
        """Say for how many seconds the registry wants to be left alone; None where it does not tell."""

    def close(self) -> None:
        """Break off what is being asked, and let go of connections."""


class _Nobody:
    def reach(self, registry: str) -> bool:  # noqa: ARG002
        return True

    def head(self, reference: "ImageReference") -> Announced | None:  # noqa: ARG002
        return None

    def silent(self, registry: str) -> bool:  # noqa: ARG002
        return False

    def image_id(self, reference: "ImageReference", platform: "Platform") -> str | None:  # noqa: ARG002
        return None

    def wait_of(self, reference: "ImageReference") -> float | None:  # noqa: ARG002
        return None

    def close(self) -> None:
        pass


NO_ADVICE: Advisor = _Nobody()
"""Knows nothing, and so stands in nobody's way."""
