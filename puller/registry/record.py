"""What is known of one registry, in one object, shared by everybody who asks there."""

from collections.abc import Callable
from concurrent.futures import Future
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from urllib.parse import urlsplit

from puller.errors import FailureKind, RegistryError
from puller.failure import failure
from puller.http import TlsSettings
from puller.image.reference import ImageReference
from puller.registry.health import RegistryHealth
from puller.registry.host import CERTS_D, Host
from puller.registry.responses import Challenge, Described, Quota, Token

_KINDS: dict[int, FailureKind] = {HTTPStatus.SERVICE_UNAVAILABLE: FailureKind.REGISTRY_5XX}
_FIRST_GUESS, _LONGEST_GUESS = 1.0, 60.0
"""Seconds for which a registry is left alone that limits requests and does not say for how long."""


class RegistryRecord:
    """One registry: how to reach it, its health, its quota, who we are there, and what its tags stand for."""

    def __init__(
        self, host: Host, health: RegistryHealth, *, certificates: Path = CERTS_D, ca: str | None = None
    ) -> None:
        """`certificates` is the folder with a folder for each host, `ca` one more file with authorities."""
        self.host = host
        self.health = health
        self.quota: Quota | None = None
        """As the registry said last; None where it has said nothing."""
        self.schemes = host.schemes
        """Those that may work; only one, as soon as one has worked."""
        self.lost = False
        """Whether the last request got no answer."""
        self.erred = False
        """Whether the last answer was a server error, or did not come."""
        self.challenges: dict[str, Challenge] = {}
        """By repository; under the empty name for those that have not been asked for yet, without its scope."""
        self.tokens: dict[str, Token] = {}
        """By repository."""
        self.lock = Lock()
        """Held to change `challenges`, `token_locks` and the TLS settings."""
        self.token_locks: dict[str, Lock] = {}
        """By repository: held while a token is asked for."""
        self._certificates = certificates
        self._ca = ca
        self._tls: TlsSettings | None = None
        self._guesses = 0
        self._tags: dict[str, Future[Described]] = {}

    @property
    def tls(self) -> TlsSettings:
        """The TLS settings, always the same object; raises RegistryError for certificates that cannot be used."""
        with self.lock:
            if self._tls is None:
                try:
                    self._tls = self.host.tls(self._certificates, self._ca)
                except (OSError, ValueError) as error:
                    words = f"its certificates cannot be used: {getattr(error, 'strerror', None) or error}"
                    raise RegistryError(f"{self.host.name}: {words}") from None
            return self._tls

    @property
    def silent(self) -> bool:
        """Whether the registry did not answer last time, or could not: a refusal is an answer."""
        return self.erred or bool(self.health.rate_limit.left)

    def answered(self, status: int) -> None:
        """Take note of an answer."""
        self.lost = False
        self.erred = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        if status < HTTPStatus.BAD_REQUEST:
            self._guesses = 0

    def not_answered(self) -> None:
        """Take note of a request that got no answer."""
        self.lost = self.erred = True

    def limit(self, error: RegistryError) -> None:
        """Let nobody ask for as long as the registry says, or a guess that doubles where it does not say."""
        wait = error.wait
        if wait is None:
            if self.health.rate_limit.left:
                return
            wait = min(_FIRST_GUESS * 2.0**self._guesses, _LONGEST_GUESS)
            self._guesses += 1
        # To classify the message takes a tenth of a second the first time, in which others would ask on.
        kind = _KINDS.get(error.status or 0, FailureKind.RATE_LIMITED)
        self.health.rate_limit.extend(wait, failure(kind, error.message))

    def owns(self, url: str) -> bool:
        """Tell whether a URL is one of this registry itself."""
        return urlsplit(url).netloc.lower() == self.host.address.lower()

    def ask_tag(self, reference: ImageReference, ask: Callable[[], Described]) -> Described:
        """Return what a tag stands for; `ask` is called by the first who wants to know, and the others wait for it.

        An answer is kept. A failure is for those who waited with it: whoever comes later asks again.
        """
        mine: Future[Described] = Future()
        key = _key(reference)
        answer = self._tags.setdefault(key, mine)  # atomic, as `pop` is: a lock would be fought for by all threads
        if answer is not mine:
            return answer.result()
        try:
            described = ask()
        except BaseException as error:
            self._tags.pop(key, None)
            mine.set_exception(error)
            raise
        mine.set_result(described)
        return described

    def new_run(self) -> None:
        """Ask every tag again, and a registry that did not answer: what a run has learned of them is for it alone."""
        self.lost = self.erred = False
        for key, answer in list(self._tags.items()):
            if answer.done():
                self._tags.pop(key, None)


def _key(reference: ImageReference) -> str:
    return f"{reference.repository}:{reference.tag}"
