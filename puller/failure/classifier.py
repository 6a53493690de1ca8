"""Error messages of engines and registries → the kind of failure, by the rules.

Rules on the text come before the HTTP status: engine 20.10 answers 500 for everything, and a 404 has four meanings.
"""

import re
from datetime import UTC, datetime
from functools import cache

from puller.errors import FailureKind
from puller.failure import RETRYABLE, Failure
from puller.failure.kinds import KINDS, advice_for
from puller.failure.message import Message, read
from puller.failure.retry_after import wait_of
from puller.failure.rules import HOST, RULES, Rule

_K = FailureKind
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
"""The kind of an HTTP status when no rule matches the text; a 500 says nothing."""
_TRANSFER = frozenset({"downloading", "extracting", "transfer"})
"""Phases after the registry has sent the manifest."""


def classify(message: str, status: int | None = None, *, source: str = "", phase: str = "") -> Failure:
    """See `puller.failure.classify`."""
    parsed = read(message)
    rule = _match(parsed)
    kind = rule.kind if rule else _STATUSES.get(status or 0) or _STATUSES.get(parsed.status or 0, _K.UNCLASSIFIED)
    if kind is _K.UNAUTHORIZED and _is_token_expiry(parsed.text, source, phase):
        kind = _K.TOKEN_EXPIRED
    meaning = KINDS[kind]
    wait = None
    if meaning.failure_class in RETRYABLE:
        wait = wait_of(parsed.shown, datetime.now(UTC))
        wait = rule.wait if wait is None and rule else wait
    advice = (rule.advice if rule else None) or advice_for(kind)
    return Failure(kind, meaning.failure_class, parsed.shown or "the engine gave no reason", advice, wait)


def _match(message: Message) -> Rule | None:
    for rule, about_host, patterns in _compiled_rules():
        text = message.engine_text if about_host else message.text
        if any(pattern.search(text) for pattern in patterns):
            return rule
    return None


@cache
def _compiled_rules() -> tuple[tuple[Rule, bool, tuple[re.Pattern[str], ...]], ...]:
    """Compile the rules at the first failure; most runs have none."""
    # Not joined into one pattern per rule: `re` searches faster for a pattern that begins with a literal.
    return tuple((rule, rule in HOST, tuple(map(re.compile, rule.patterns))) for rule in RULES)


def _is_token_expiry(text: str, source: str, phase: str) -> bool:
    """Tell an expired token from a missing login: with an expired one, the registry has already sent the manifest.

    docker's CLI writes "Error response from daemon" before errors that precede the transfer, and nothing before others.
    """
    if phase.lower() in _TRANSFER:
        return True
    no_prefix = source == "docker-cli" and "error response from daemon" not in text
    return no_prefix and text.rstrip(" .").endswith("unauthorized: authentication required")
