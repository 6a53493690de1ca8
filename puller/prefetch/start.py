"""The engine of a run, fed or not, as the settings want it."""

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from puller.config import PrefetchMode
from puller.errors import EngineError, UsageError
from puller.prefetch.auto import WatchingBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from puller.backends.base import Backend
    from puller.config import Settings
    from puller.model import PullRequest


@contextmanager
def fed(
    backend: "Backend", requests: "Sequence[PullRequest]", settings: "Settings", note: "Callable[[str], None]"
) -> "Iterator[Backend]":
    """Give an engine that is fed with the blobs of these images; where it cannot be, say why, and give it as it is."""
    with ExitStack() as stack:

        def begin(wanted: "Iterable[PullRequest]") -> "Backend | None":
            from puller.prefetch.opening import CannotFeedError, open_feed  # noqa: PLC0415 - auto often needs none

            try:
                return open_feed(stack, backend, wanted, settings, note)
            except (CannotFeedError, EngineError, OSError, UsageError) as reason:
                note(f"nothing is prefetched: {reason}")
                return None

        if settings.prefetch.mode is PrefetchMode.AUTO:
            watching = WatchingBackend(backend, requests, begin)
            try:
                yield watching
            finally:
                watching.finish()
        else:
            yield begin(requests) or backend
