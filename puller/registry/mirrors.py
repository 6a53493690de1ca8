"""Questions to a registry that its mirrors answer while the registry itself is silent."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from puller.errors import FailureKind, RegistryError
from puller.image.reference import ImageReference
from puller.registry.record import RegistryRecord

T = TypeVar("T")


def at_mirror(mirror: str, reference: ImageReference, digest: str | None = None) -> ImageReference:
    """Return an image's name at a mirror, with `digest` or else with the digest or tag of the reference."""
    digest = digest or reference.digest
    return ImageReference.parse(f"{mirror}/{reference.repository}" + (f"@{digest}" if digest else f":{reference.tag}"))


def ask_with_mirrors(
    reference: ImageReference, record: RegistryRecord, mirrors: Sequence[str], ask: Callable[[ImageReference], T]
) -> tuple[T, str | None]:
    """Ask a registry, or else its mirrors in their order; return the answer and the mirror that gave it.

    A registry with mirrors is not asked while it is down or has set a rate limit. A refusal by the registry is final.
    Raises RegistryError, the registry's own if there is one.
    """
    error: RegistryError | None = None
    if not mirrors or not (record.unreachable or record.health.impaired):
        try:
            return ask(reference), None
        except RegistryError as failed:
            error = failed
            if not record.silent:
                raise
    for mirror in mirrors:
        try:
            return ask(at_mirror(mirror, reference)), mirror
        except RegistryError as failed:
            error = error or failed
    words, kind = f"{reference.registry}: it does not answer", FailureKind.REGISTRY_UNAVAILABLE
    raise error or RegistryError(words, kind=kind, unanswered=True)
