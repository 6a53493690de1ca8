"""What references stand for, asked of their registries directly, many at once and without an engine."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from puller.cancellation import Cancellation
from puller.errors import FailureKind, RegistryError
from puller.failure import Failure, classify, failure
from puller.failure.retry import AttemptFailedError, with_retries
from puller.image.manifest import INDEX_TYPES, Manifest, platforms_in
from puller.image.platform import can_run
from puller.image.reference import ImageReference
from puller.model import PullRequest
from puller.registry.pools import Lane, Lanes
from puller.registry.responses import Described
from puller.settings import RetryPolicy

T = TypeVar("T")

WIDTH = 8
"""Questions in flight to any one registry."""
PATIENCE = RetryPolicy(retries=2, delay=0.5, longest=5.0, max_wait=60.0)
"""Somebody sits there and waits for the answers."""


class Registries(Protocol):
    """What is needed of `puller.registry.client.RegistryClient`; raises RegistryError."""

    def head(self, reference: ImageReference) -> Described:
        """Say what a reference stands for."""

    def manifest(self, reference: ImageReference, digest_or_tag: str | None = None) -> Manifest:
        """Fetch a manifest or an index."""


def digest_of(request: PullRequest, registries: Registries) -> str:
    """Ask what a reference stands for: the digest of the index where there is one. One HEAD."""
    return registries.head(request.reference).digest


def digest_with_platform(request: PullRequest, registries: Registries) -> str:
    """Ask the same, and look into the index where a platform is wanted; an index without it is no answer."""
    described = registries.head(request.reference)
    if request.platform and described.media_type in INDEX_TYPES:
        offered = platforms_in(registries.manifest(request.reference, described.digest))
        if not any(can_run(request.platform, each) for each in offered):
            words = f"no image for {request.platform} in the index {described.digest}"
            raise AttemptFailedError(failure(FailureKind.NO_MATCHING_PLATFORM, words))
    return described.digest


def resolve(
    requests: Iterable[PullRequest],
    ask: Callable[[PullRequest], T],
    *,
    reach: Callable[[str], bool] = lambda _registry: True,
    policy: RetryPolicy = PATIENCE,
) -> dict[PullRequest, T | Failure]:
    """Call `ask` for each request, eight at a time for each registry; what cannot be answered is a Failure.

    `ask` raises RegistryError, or AttemptFailedError where it knows better. What may pass is asked again as
    `policy` says; a registry that asks for patience gets it, and one that is down (`reach`) is not asked for ever.
    """
    lanes = Lanes(WIDTH, reach=reach)
    cancel = Cancellation()
    try:
        futures = {
            request: lane.submit(_answer, request, ask, lane, policy, cancel)
            for request in dict.fromkeys(requests)
            for lane in (lanes.of(request.reference.registry),)
        }
        wait(futures.values())
        return {request: future.result() for request, future in futures.items()}
    finally:
        cancel.cancel("nobody waits for the answer any more")
        lanes.close()


def _answer(
    request: PullRequest,
    ask: Callable[[PullRequest], T],
    lane: Lane,
    policy: RetryPolicy,
    cancel: Cancellation,
) -> T | Failure:
    def too_long(wait: float) -> bool:
        return wait > policy.max_wait

    def attempt() -> T:
        lane.await_turn(cancel, too_long)
        answer = _asked(request, ask)
        lane.breaker.record(answer if isinstance(answer, Failure) else None)
        if not isinstance(answer, Failure):
            return answer
        if answer.wait is not None:
            lane.cooldown.extend(answer.wait, answer)
            lane.wait_left(too_long)
        raise AttemptFailedError(answer)

    try:
        return with_retries(attempt, policy, sleep=cancel.sleep, on_retry=lambda *_: None)
    except AttemptFailedError as error:
        return error.failure


def _asked(request: PullRequest, ask: Callable[[PullRequest], T]) -> T | Failure:
    try:
        return ask(request)
    except RegistryError as trouble:
        why = classify(trouble.message, trouble.status)
        return why if trouble.wait is None else replace(why, wait=trouble.wait)
    except AttemptFailedError as error:
        return error.failure
    except Exception as error:  # noqa: BLE001 - a name that no client can make an address of costs this one only
        return failure(FailureKind.INTERNAL, f"{type(error).__name__}: {error}")


_T = TypeVar("_T")
_R = TypeVar("_R")
_WIDTH = 4
"""Questions in flight at one registry."""
_SILENT = 3
"""Questions in a row to which nobody answered, after which a registry is asked no more."""


def ask_all(items: Sequence[tuple[str, _T]], ask: Callable[[_T], _R]) -> list[_R | RegistryError]:
    """Ask about each item at its registry (the first of each pair), and give the answers in order.

    Trouble is an answer, too. A registry that does not answer at all is given up, and its last trouble is for the rest.
    """
    lines: dict[str, _Line[_T, _R]] = {}
    try:
        futures = []
        for registry, item in items:
            if registry not in lines:
                lines[registry] = _Line(registry, ask)
            futures.append(lines[registry].pool.submit(lines[registry].ask, item))
        return [future.result() for future in futures]
    finally:
        for line in lines.values():
            line.pool.shutdown(wait=False, cancel_futures=True)


class _Line(Generic[_T, _R]):
    def __init__(self, registry: str, ask: Callable[[_T], _R]) -> None:
        self.pool = ThreadPoolExecutor(_WIDTH, thread_name_prefix=f"ask-{registry}")
        self._ask = ask
        self._silent: list[RegistryError] = []

    def ask(self, item: _T) -> _R | RegistryError:
        if len(self._silent) >= _SILENT:
            return self._silent[-1]
        try:
            answer = self._ask(item)
        except RegistryError as trouble:
            if trouble.status is None:
                self._silent.append(trouble)
            else:
                self._silent.clear()
            return trouble
        self._silent.clear()
        return answer
