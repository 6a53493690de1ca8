"""Concurrent requests to many registries, with bounded threads."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import wait
from functools import partial
from typing import TypeVar

from puller.cancellation import Cancellation
from puller.errors import FailureKind, RegistryError
from puller.failure import Failure, failure, failure_of
from puller.failure.retry import AttemptFailedError, with_retries
from puller.image.manifest import platform_in, read_image, read_index
from puller.image.platform import is_same
from puller.model import PullRequest
from puller.registry.client import RegistryClient
from puller.registry.health import RegistryHealth
from puller.registry.manifests import Manifests, NoPlatformError, check_platform, config_of
from puller.settings import RetryPolicy
from puller.system.threads import Threads

T = TypeVar("T")
R = TypeVar("R")

WIDTH = 8
"""Requests in flight to one registry."""
_TOTAL = 32
"""Requests in flight to all registries."""
_UNANSWERED = 3
"""Unanswered requests in a row after which `ask_all` skips a registry."""
PATIENCE = RetryPolicy(retries=2, delay=0.5, longest=5.0, max_wait=60.0)
"""Retries while a user waits for the answers."""


def asking(width: int = WIDTH) -> Threads:
    """Return threads for requests, up to `width` for one registry."""
    return Threads("ask", width, _TOTAL)


def ask_all(items: Sequence[tuple[str, T]], ask: Callable[[T], R], width: int = WIDTH) -> list[R | RegistryError]:
    """Call `ask` for each (registry, item), and return the answers in order, with a RegistryError for each failure.

    A registry that gives no answer several times in a row is skipped; its last error is returned for the other items.
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

    questions = asking(width)
    try:
        futures = [questions.submit(registry, answer, registry, item) for registry, item in items]
        return [future.result() for future in futures]
    finally:
        questions.close()


def digest_of(request: PullRequest, registries: Manifests) -> str:
    """Return the digest of a reference, of the index if there is one, by one HEAD."""
    return registries.head(request.reference).digest


def digest_with_platform(request: PullRequest, registries: Manifests) -> str:
    """Return the digest of a reference; raises NoPlatformError if it has no image for the requested platform."""
    reference, platform = request.reference, request.platform
    digest = registries.head(reference).digest
    if platform is None:
        return digest
    manifest = registries.manifest(reference, digest)
    entries = read_index(manifest)
    if entries is None:
        check_platform(platform, platform_in(config_of(registries, reference, read_image((), manifest))))
    elif not any(each.platform is None or is_same(platform, each.platform) for each in entries):
        raise NoPlatformError(f"no image for {platform} in the index {digest}")
    return digest


def digests(
    requests: Iterable[PullRequest], client: RegistryClient, *, platforms: bool = False
) -> Mapping[PullRequest, str | Failure]:
    """Return the digests of references; with `platforms` an index must contain the platform of the request."""
    question = digest_with_platform if platforms else digest_of
    return resolve(requests, partial(question, registries=client), health=client.health)


def resolve(
    requests: Iterable[PullRequest],
    ask: Callable[[PullRequest], T],
    *,
    health: Callable[[str], RegistryHealth] = RegistryHealth,
    policy: RetryPolicy = PATIENCE,
) -> dict[PullRequest, T | Failure]:
    """Call `ask` for each request, and return the answers, with a Failure for each error.

    `ask` raises RegistryError, or AttemptFailedError with a failure of its own. Transient failures are retried as
    `policy` says. `health` returns the health of a registry: calls wait for its rate limit and respect its breaker.
    """
    unique = list(dict.fromkeys(requests))
    healths = {name: health(name) for name in dict.fromkeys(each.reference.registry for each in unique)}
    cancel = Cancellation()

    def answer(request: PullRequest) -> T | Failure:
        return _answer(request, ask, healths[request.reference.registry], policy, cancel)

    questions = asking()
    try:
        futures = {request: questions.submit(request.reference.registry, answer, request) for request in unique}
        wait(futures.values())
        return {request: future.result() for request, future in futures.items()}
    finally:
        cancel.cancel("the answers are no longer needed")
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
        answer = _ask_once(request, ask)
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


def _ask_once(request: PullRequest, ask: Callable[[PullRequest], T]) -> T | Failure:
    try:
        return ask(request)
    except RegistryError as error:
        return failure_of(error)
    except AttemptFailedError as error:
        return error.failure
    except Exception as error:  # noqa: BLE001 - for example an invalid host name, which fails this request only
        return failure(FailureKind.INTERNAL, f"{type(error).__name__}: {error}")
