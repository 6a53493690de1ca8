"""Many questions to many registries at once, with bounded threads: the one way to ask them."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import Any, ParamSpec, TypeVar

from puller.cancellation import Cancellation
from puller.errors import FailureKind, RegistryError
from puller.failure import Failure, classify, failure
from puller.failure.retry import AttemptFailedError, with_retries
from puller.image.manifest import INDEX_TYPES, platforms_in
from puller.image.platform import can_run
from puller.model import PullRequest
from puller.registry.client import RegistryClient
from puller.registry.health import RegistryHealth
from puller.registry.manifests import Manifests
from puller.settings import RetryPolicy

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")

WIDTH = 8
"""Questions in flight to any one registry."""
_TOTAL = 32
"""Questions in flight to all registries."""
_UNANSWERED = 3
"""Questions in a row without an answer, after which a registry is asked no more."""
PATIENCE = RetryPolicy(retries=2, delay=0.5, longest=5.0, max_wait=60.0)
"""For a person who waits for the answers."""


class RegistryQuestions:
    """Calls functions in threads: `width` at once for any one registry, 32 over all of them, in order for each."""

    def __init__(self, width: int = WIDTH) -> None:
        self._width = width
        self._pool = ThreadPoolExecutor(_TOTAL, thread_name_prefix="ask")
        self._lock = Lock()
        self._waiting: dict[str, deque[tuple[Future[Any], Callable[[], Any]]]] = {}
        self._running: Counter[str] = Counter()
        self._closed = False

    def submit(self, registry: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call a function when it is its turn at a registry; after `close` its future is cancelled."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                future.cancel()
                return future
            self._waiting.setdefault(registry, deque()).append((future, lambda: function(*args, **kwargs)))
            self._start(registry)
        return future

    def close(self) -> None:
        """Start nothing more, and wait for nothing."""
        with self._lock:
            self._closed = True
            waiting = [future for questions in self._waiting.values() for future, _ in questions]
            self._waiting.clear()
        for future in waiting:
            future.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start(self, registry: str) -> None:
        """Give a registry one more thread, if it has questions and too few threads."""
        if self._waiting.get(registry) and self._running[registry] < self._width:
            self._running[registry] += 1
            self._pool.submit(self._answer, registry)

    def _answer(self, registry: str) -> None:
        """Answer one question, and queue for a thread again: a registry with many questions keeps no thread."""
        with self._lock:
            questions = self._waiting.get(registry)
            future, function = questions.popleft() if questions else (None, None)
        if future and function and future.set_running_or_notify_cancel():
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 - it is raised where the answer is wanted
                future.set_exception(error)
        with self._lock:
            self._running[registry] -= 1
            if not self._closed:
                self._start(registry)


def ask_all(items: Sequence[tuple[str, T]], ask: Callable[[T], R], width: int = WIDTH) -> list[R | RegistryError]:
    """Ask about each item at its registry (the first of each pair), and return the answers in order.

    A RegistryError takes the place of an answer. A registry that does not answer several times in a row is asked no
    more, and its last error stands for the other answers.
    """
    unanswered: dict[str, list[RegistryError]] = {registry: [] for registry, _ in items}

    def answer(registry: str, item: T) -> R | RegistryError:
        errors = unanswered[registry]
        if len(errors) >= _UNANSWERED:
            return errors[-1]
        try:
            found = ask(item)
        except RegistryError as error:
            if error.status is None:
                errors.append(error)
            else:
                errors.clear()
            return error
        errors.clear()
        return found

    questions = RegistryQuestions(width)
    try:
        futures = [questions.submit(registry, answer, registry, item) for registry, item in items]
        return [future.result() for future in futures]
    finally:
        questions.close()


def digest_of(request: PullRequest, registries: Manifests) -> str:
    """Ask what a reference stands for: the digest of the index where there is one. One HEAD."""
    return registries.head(request.reference).digest


def digest_with_platform(request: PullRequest, registries: Manifests) -> str:
    """Ask the same, and look into the index where a platform is wanted; an index without it is no answer."""
    described = registries.head(request.reference)
    if request.platform and described.media_type in INDEX_TYPES:
        offered = platforms_in(registries.manifest(request.reference, described.digest))
        if not any(can_run(request.platform, each) for each in offered):
            words = f"no image for {request.platform} in the index {described.digest}"
            raise AttemptFailedError(failure(FailureKind.NO_MATCHING_PLATFORM, words))
    return described.digest


def digests(
    requests: Iterable[PullRequest], client: RegistryClient, *, platforms: bool = False
) -> Mapping[PullRequest, str | Failure]:
    """Ask what references stand for; with `platforms` an index must have the platform that a request names."""
    question = digest_with_platform if platforms else digest_of
    return resolve(requests, partial(question, registries=client), health=client.health)


def resolve(
    requests: Iterable[PullRequest],
    ask: Callable[[PullRequest], T],
    *,
    health: Callable[[str], RegistryHealth] = RegistryHealth,
    policy: RetryPolicy = PATIENCE,
) -> dict[PullRequest, T | Failure]:
    """Call `ask` for each request; what cannot be answered is a Failure.

    `ask` raises RegistryError, or AttemptFailedError where it knows better. What may pass is asked again as `policy`
    says; `health` is that of each registry: its rate limit is waited for, and one that is down is not asked for ever.
    """
    wanted = list(dict.fromkeys(requests))
    healths = {name: health(name) for name in dict.fromkeys(each.reference.registry for each in wanted)}
    cancel = Cancellation()

    def answer(request: PullRequest) -> T | Failure:
        return _answer(request, ask, healths[request.reference.registry], policy, cancel)

    questions = RegistryQuestions()
    try:
        futures = {request: questions.submit(request.reference.registry, answer, request) for request in wanted}
        wait(futures.values())
        return {request: future.result() for request, future in futures.items()}
    finally:
        cancel.cancel("nobody waits for the answer any more")
        questions.close()


def _answer(
    request: PullRequest,
    ask: Callable[[PullRequest], T],
    health: RegistryHealth,
    policy: RetryPolicy,
    cancel: Cancellation,
) -> T | Failure:
    def too_long(wait: float) -> bool:
        return wait > policy.max_wait

    def attempt() -> T:
        health.wait(cancel, too_long)
        answer = _asked(request, ask)
        health.breaker.record(answer if isinstance(answer, Failure) else None)
        if not isinstance(answer, Failure):
            return answer
        if answer.wait is not None:
            health.rate_limit.extend(answer.wait, answer)
            health.wait_left(too_long)
        raise AttemptFailedError(answer)

    try:
        return with_retries(attempt, policy, sleep=cancel.sleep, on_retry=lambda *_: None)
    except AttemptFailedError as error:
        return error.failure


def _asked(request: PullRequest, ask: Callable[[PullRequest], T]) -> T | Failure:
    try:
        return ask(request)
    except RegistryError as error:
        why = classify(error.message, error.status)
        return why if error.wait is None else replace(why, wait=error.wait)
    except AttemptFailedError as error:
        return error.failure
    except Exception as error:  # noqa: BLE001 - a name that no client can make an address of costs this one only
        return failure(FailureKind.INTERNAL, f"{type(error).__name__}: {error}")
