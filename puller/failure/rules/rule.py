"""What one line of the table is made of."""

from dataclasses import dataclass

from puller.errors import FailureKind


@dataclass(frozen=True, slots=True)
class Rule:
    """Words that mean a kind: regular expressions over lower-case text with its names replaced (see `reading`)."""

    kind: FailureKind
    words: tuple[str, ...]
    wait: float | None = None
    """Seconds to wait where the message does not say."""
    advice: str | None = None
    """What to do, where these words tell more than the kind does."""


def http(codes: str) -> str:
    """Match an HTTP status in the ways that engines, registries and pages write it; `codes` is `404` or `50[234]`."""
    return (
        rf"(?:status(?: code)?|code|http(?:/\d(?:\.\d)?)?|error)(?: code)?(?: from registry)?[ :=(\"\[]{{1,3}}{codes}\b"
        rf"|<(?:h1|title)>{codes}\b"
        rf"|unexpected (?:http )?status[^.]{{1,120}} {codes}\b"
    )
