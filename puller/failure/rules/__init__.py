"""What a rule is; each module here has the rules of one subject. `puller.failure` puts them in order."""

from dataclasses import dataclass

from puller.errors import FailureKind


@dataclass(frozen=True, slots=True)
class Rule:
    """Error messages of one kind: regular expressions over the text that `puller.failure.message` prepares."""

    kind: FailureKind
    patterns: tuple[str, ...]
    wait: float | None = None
    """Seconds to wait if the message does not say."""
    advice: str | None = None
    """Replaces the advice of the kind if these messages tell more."""


def rule(kind: FailureKind, *patterns: str, wait: float | None = None, advice: str | None = None) -> Rule:
    """Return a rule; see `Rule`."""
    return Rule(kind, patterns, wait, advice)


def http(codes: str) -> str:
    """Match an HTTP status as engines, registries and web pages write it; `codes` is `404` or `50[234]`."""
    return (
        rf"(?:status(?: code)?|code|http(?:/\d(?:\.\d)?)?|error)(?: code)?(?: from registry)?[ :=(\"\[]{{1,3}}{codes}\b"
        rf"|<(?:h1|title)>{codes}\b"
        rf"|unexpected (?:http )?status[^.]{{1,120}} {codes}\b"
    )
