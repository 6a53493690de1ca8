"""After a pull: what the engine has is what was asked for, under the name that was asked for."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from puller.cancellation import Cancellation
from puller.engine.interface import Engine
from puller.errors import EngineError, FailureKind
from puller.image.reference import ImageReference
from puller.model import EngineResult, PullRequest
from puller.pull.mirrors import MirrorSource


def check(backend: Engine, request: PullRequest, pulled: EngineResult, cancel: Cancellation) -> None:
    """Compare what the engine has now with the digest that was asked for, or else announced.

    Raises EngineError where they differ, CancelledError when the run is told to stop.
    """
    reference = request.reference
    wanted = reference.digest or pulled.digest
    kept = backend.inspect(reference, cancel=cancel)
    if wanted is None or kept is None:
        return
    if kept.identity is None and request.platform:
        return  # some engines see the images of their own platform only
    if reference.digest and pulled.digest not in (None, reference.digest):
        message = f"asked for {reference.digest}, the engine announced {pulled.digest}"
    elif kept.identity is None:
        message = f"the engine announced {wanted} and has no such image"
    elif kept.digests and wanted not in kept.digests:
        message = f"expected {wanted}, the engine has {', '.join(kept.digests)}"
    else:
        return
    raise EngineError(message, kind=FailureKind.DIGEST_MISMATCH)


def name(backend: Engine, reference: ImageReference) -> None:
    """Let the tag beside a digest stand for what was pulled: engines leave it where it was. Raises EngineError."""
    if reference.tag and reference.digest:
        backend.store.tag(f"{reference.name}@{reference.digest}", reference)


def adopt(
    backend: Engine,
    request: PullRequest,
    source: MirrorSource,
    pull: Callable[[PullRequest], EngineResult],
    *,
    mine: bool,
) -> None:
    """Give what came from a mirror the name that was asked for, and take the mirror's away unless it was not `mine`.

    A tag is enough for the containerd store, which thereby knows the digest, too. A graph-driver store knows digests
    only by pulls: the manifest, and nothing else, is pulled from the registry itself where that answers and does not
    count pulls. Without a tag there is no other way. Raises EngineError.
    """
    reference, borrowed = request.reference, f"{source.reference.name}@{source.reference.digest}"
    pinned = ImageReference.parse(f"{reference.name}@{source.reference.digest}")
    digest_matters = source.confirmed and not source.said.counted and not backend.store.facts().keeps_platforms
    if not reference.tag:
        pull(replace(request, reference=pinned))
    else:
        named = borrowed
        if digest_matters:
            with suppress(EngineError):
                pull(replace(request, reference=pinned))
                named = pinned.canonical
        backend.store.tag(named, reference)
    if mine:
        with suppress(EngineError):
            backend.store.untag(borrowed)
