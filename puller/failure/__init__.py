"""Error messages of engines and registries → the kind of failure, whether to retry, and advice."""

from datetime import datetime
from typing import NamedTuple

from puller.errors import EngineError, FailureClass, FailureKind, RegistryError
from puller.failure.kinds import KINDS, Origin, advice_for, title
from puller.text import clean, timestamp

RETRYABLE = (FailureClass.TRANSIENT, FailureClass.RATE_LIMITED)


class Failure(NamedTuple):
    """Why an attempt failed."""

    kind: FailureKind
    failure_class: FailureClass
    message: str
    """The engine's own message: one line, no control characters, no secrets."""
    advice: str
    """How to fix it, as one sentence."""

    wait: float | None = None
    """Seconds to wait before the next attempt, if the registry says so or is known to require it."""
    until: datetime | None = None
    """When a retry may succeed, if the run could not wait that long; with a time zone."""

    @property
    def origin(self) -> Origin:
        return KINDS[self.kind].origin

    @property
    def title(self) -> str:
        """The kind in words, such as `certificate not trusted`."""
        return title(self.kind)

    @property
    def retryable(self) -> bool:
        return self.failure_class in RETRYABLE

    @property
    def named(self) -> str:
        """The kind in words, and as `puller explain` takes it: `timed out (timeout)`."""
        return self.title if self.title == self.kind else f"{self.title} ({self.kind})"

    def at(self, registry: str) -> "Failure":
        """Return the failure with the registry's name in the advice, if that is the usual one of its kind."""
        usual = self.advice == advice_for(self.kind)
        return self._replace(advice=advice_for(self.kind, registry)) if usual else self


def classify(message: str, status: int | None = None, *, source: str = "", phase: str = "") -> Failure:
    """Turn an engine's error message, and its HTTP status if there is one, into a `Failure`; never raises.

    Few messages need the other two: `source` is the program that wrote the message (`docker-cli`, `docker-py`,
    `engine-api`, `podman`, `nerdctl`, `containerd`), `phase` how far the pull was (`resolving`, `downloading`,
    `extracting`).
    """
    from puller.failure import classifier  # noqa: PLC0415 - the rules: most runs have no failure

    return classifier.classify(message, status, source=source, phase=phase)


def failure(kind: FailureKind, message: str, *, wait: float | None = None) -> Failure:
    """Build a failure whose kind is known without reading the message."""
    return Failure(kind, KINDS[kind].failure_class, clean(message), advice_for(kind), wait)


def failure_of(error: BaseException, *, phase: str = "") -> Failure:
    """Turn an error of an engine or registry into a `Failure`, by its kind if that is known, else by its message.

    Any other exception is a fault of puller. See `classify` for `phase`.
    """
    if not isinstance(error, EngineError | RegistryError):
        return failure(FailureKind.INTERNAL, f"{type(error).__name__}: {error}")
    wait = error.wait if isinstance(error, RegistryError) else None
    if error.kind:
        found = failure(error.kind, error.message, wait=wait)
    else:
        found = classify(error.message, error.status, phase=phase)
        if found.kind is FailureKind.UNCLASSIFIED:
            found = failure(error.otherwise, error.message)
        found = found if wait is None else found._replace(wait=wait)
    if isinstance(error, EngineError) and error.permanent:
        found = found._replace(failure_class=FailureClass.PERMANENT, advice=error.permanent)
    return found


def error_document(failure: Failure) -> dict[str, str | None]:
    """Return a failure as the JSON documents contain it."""
    return {
        "kind": failure.kind.value,
        "class": failure.failure_class.value,
        "message": failure.message,
        "advice": failure.advice,
        "origin": failure.origin.value,
        "until": timestamp(failure.until) if failure.until else None,
    }
