"""The words of engines and registries → what went wrong, whether it may pass, and what to do: one table.

Text comes first and status second: engine 20.10 answers 500 for everything, and one 404 means four things.
What makes the whole host fail comes before what one registry says; what is special before what is general.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from puller.errors import FailureClass, FailureKind
from puller.failure.kinds import KINDS
from puller.failure.kinds.meaning import Meaning, Origin
from puller.failure.message import Words, read
from puller.failure.retry_after import wait_of
from puller.failure.rules import RULES
from puller.failure.rules.host import HOST
from puller.failure.rules.rule import Rule
from puller.text import clean, timestamp

__all__ = ["KINDS", "Failure", "Meaning", "Origin", "classify", "error_document", "failure"]

_C, _K = FailureClass, FailureKind


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed."""

    kind: FailureKind
    failure_class: FailureClass
    message: str
    """The engine's own words: one line, no control characters, no secrets."""
    advice: str
    """What to do about it, as one sentence."""

    wait: float | None = None
    """Seconds to wait before the next try, where the registry says so or is known for it."""
    until: datetime | None = None
    """When it will pass, where the run could not wait for it; with its time zone."""

    @property
    def origin(self) -> Origin:
        """Whose fault it is."""
        return KINDS[self.kind].origin

    @property
    def retryable(self) -> bool:
        """Whether another attempt may end better."""
        return self.failure_class in (_C.TRANSIENT, _C.RATE_LIMITED)


_STATUSES = {
    401: _K.UNAUTHORIZED,
    402: _K.ACCESS_DENIED,
    403: _K.ACCESS_DENIED,
    404: _K.NOT_FOUND,
    407: _K.PROXY_REFUSED,
    408: _K.TIMEOUT,
    410: _K.NOT_FOUND,
    429: _K.RATE_LIMITED,
    451: _K.GEO_BLOCKED,
    502: _K.REGISTRY_5XX,
    503: _K.REGISTRY_5XX,
    504: _K.REGISTRY_5XX,
}
"""What a status means by itself; a 500 means nothing."""
_TRANSFER = frozenset({"downloading", "extracting", "transfer"})
"""Phases in which the registry has already given out the manifest."""


def classify(message: str, status: int | None = None, *, source: str = "", phase: str = "") -> Failure:
    """Turn an engine's message, and its HTTP status where there is one, into a `Failure`; never raises.

    `source` is who said it (`docker-cli`, `docker-py`, `engine-api`, `podman`, `nerdctl`, `containerd`), `phase` how
    far the pull was (`resolving`, `downloading`, `extracting`); both are hints that few messages need.
    """
    words = read(message)
    rule = _match(words)
    kind = rule.kind if rule else _STATUSES.get(status or 0) or _STATUSES.get(words.status or 0, _K.UNCLASSIFIED)
    if kind is _K.UNAUTHORIZED and _in_transfer(words.said, source, phase):
        kind = _K.TOKEN_EXPIRED
    meaning = KINDS[kind]
    wait = None
    if meaning.failure_class in (_C.TRANSIENT, _C.RATE_LIMITED):
        wait = wait_of(words.shown, datetime.now(UTC))
        wait = rule.wait if wait is None and rule else wait
    advice = (rule.advice if rule else None) or meaning.advice
    return Failure(kind, meaning.failure_class, words.shown or "the engine gave no reason", advice, wait)


def failure(kind: FailureKind, message: str, *, wait: float | None = None) -> Failure:
    """Build the failure of a kind that is known without reading: class and advice come from the table."""
    meaning = KINDS[kind]
    return Failure(kind, meaning.failure_class, clean(message), meaning.advice, wait)


def _match(words: Words) -> Rule | None:
    for rule, about_host, patterns in _table():
        text = words.own if about_host else words.said
        if any(pattern.search(text) for pattern in patterns):
            return rule
    return None


@cache
def _table() -> tuple[tuple[Rule, bool, tuple[re.Pattern[str], ...]], ...]:
    """Compile the rules when the first failure comes; most runs have none."""
    # One pattern for each wording: `re` then looks for its first letters, which a joined pattern does not have.
    return tuple((rule, rule in HOST, tuple(map(re.compile, rule.words))) for rule in RULES)


def _in_transfer(said: str, source: str, phase: str) -> bool:
    """Tell a token that ran out from a login that is missing: then the manifest had been given out before.

    docker's CLI puts "Error response from daemon" before what came ahead of the transfer, and nothing before the rest.
    """
    if phase.lower() in _TRANSFER:
        return True
    bare = source == "docker-cli" and "error response from daemon" not in said
    return bare and said.rstrip(" .").endswith("unauthorized: authentication required")


def error_document(failure: Failure) -> dict[str, str | None]:
    """Write a failure as every document has it."""
    return {
        "kind": failure.kind.value,
        "class": failure.failure_class.value,
        "message": failure.message,
        "advice": failure.advice,
        "origin": failure.origin.value,
        "until": timestamp(failure.until) if failure.until else None,
    }
