"""The digest of each tag in a run over several hosts, so that every host gets the same bytes.

Registries are asked once, before the first host. A tag that no registry resolved has the digest that the first host
got. The hosts pull by digest, and set the tag.
"""

from collections.abc import Sequence
from functools import partial
from threading import Lock

from puller.cancellation import Cancellation
from puller.events import Event, Finished, Observer
from puller.failure import Failure
from puller.model import PullOutcome, PullRequest, Status
from puller.registry.batch import digest_of, resolve
from puller.registry.client import RegistryClient
from puller.registry.health import RegistryHealth
from puller.settings import Policy, RetryPolicy

_QUESTIONS = RetryPolicy(retries=1, delay=0.5, max_wait=60.0)
"""Retries of a question for a digest: hosts may reach a registry that this machine does not reach."""
_FETCHED = (Status.PULLED, Status.UP_TO_DATE)


class Pins:
    """The digests of the requests of a run; thread-safe."""

    def __init__(self, requests: Sequence[PullRequest], policy: Policy) -> None:
        self._requests, self._policy = requests, policy
        self._digests: dict[PullRequest, str] = {}
        self.unresolved: dict[PullRequest, Failure] = {}
        """Why registries did not tell the digest of a tag."""
        self._lock = Lock()

    def resolve(self, client: RegistryClient, cancel: Cancellation) -> None:
        """Ask the registries for the digests of all tags; a failure leaves a tag without one."""
        if self._policy is Policy.NEVER:
            return
        quick = client.quick()
        tags = [each for each in self._requests if not each.reference.digest]
        with cancel.hook(quick.close):
            # Not the registries' own breakers: that this machine does not reach a registry says nothing of the hosts.
            answers = resolve(tags, partial(digest_of, registries=quick), health=_own_health, policy=_QUESTIONS)
        self.unresolved = {request: why for request, why in answers.items() if isinstance(why, Failure)}
        self._digests |= {request: digest for request, digest in answers.items() if not isinstance(digest, Failure)}

    def requests(self) -> list[PullRequest]:
        """Return the requests for a host, by digest where one is known and the policy asks for the current image."""
        with self._lock:
            return [request if self._by_name(request) else self._pinned(request) for request in self._requests]

    def pinned(self) -> list[PullRequest]:
        """Return the requests by digest where one is known, whatever the policy."""
        with self._lock:
            return [self._pinned(request) for request in self._requests]

    def others(self, outcomes: Sequence[PullOutcome]) -> list[tuple[int, PullRequest]]:
        """Return the places of images that a host got with another digest, with requests for the right one.

        The first host that got a tag without a known digest decides on it.
        """
        found = []
        for place, (request, outcome) in enumerate(zip(self._requests, outcomes, strict=True)):
            if outcome.digest is None or outcome.status not in _FETCHED or request.reference.digest:
                continue
            with self._lock:
                digest = self._digests.setdefault(request, outcome.digest)
            if digest != outcome.digest:
                found.append((place, self._pinned(request)))
        return found

    def observing(self, observer: Observer) -> Observer:
        """Return an observer to which events name images as the lists do."""
        digests, asked = self._digests, {_name(request): request for request in self._requests}

        def observe(event: Event) -> None:
            request = getattr(event, "request", None)
            listed = asked.get(_name(request)) if digests and request else None
            if isinstance(event, Finished) and listed:
                outcome = event.outcome._replace(reference=listed.reference.canonical)
                event = event._replace(request=listed, outcome=outcome)
            elif listed:
                event = event._replace(request=listed)  # type: ignore[call-arg]
            observer(event)

        return observe

    def _by_name(self, request: PullRequest) -> bool:
        """Whether a host keeps whatever image it has of this name."""
        return request.if_missing or self._policy in (Policy.MISSING, Policy.NEVER)

    def _pinned(self, request: PullRequest) -> PullRequest:
        digest = self._digests.get(request)
        return request._replace(reference=request.reference.with_digest(digest)) if digest else request


def _name(request: PullRequest) -> tuple[str, object]:
    """Identify a request by what the list says: that stays when a digest is added."""
    return request.reference.text, request.platform


def _own_health(registry: str) -> RegistryHealth:
    return RegistryHealth(registry, probe=lambda: False)
