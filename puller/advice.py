"""What registries say for themselves when an engine's words are not enough. Asked only when there is trouble."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from puller.reference import ImageReference


class Advisor(Protocol):
    """Asks registries directly. Never raises: it is there to help, and not to be one more thing that fails."""

    def reach(self, registry: str) -> bool:
        """Say whether anybody answers there."""

    def wait_of(self, reference: "ImageReference") -> float | None:
        """Say for how many seconds the registry wants to be left alone; None where it does not tell."""


class _Nobody:
    def reach(self, registry: str) -> bool:  # noqa: ARG002
        return True

    def wait_of(self, reference: "ImageReference") -> float | None:  # noqa: ARG002
        return None


NO_ADVICE: Advisor = _Nobody()
"""Knows nothing, and so stands in nobody's way."""
