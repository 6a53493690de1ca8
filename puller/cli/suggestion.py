"""What somebody may have meant who wrote a word that nobody knows."""

from collections.abc import Iterable

_FEW = 6


def suggest(word: str, known: Iterable[str]) -> str:
    """Give the end of a message: the known word that comes closest, or all of them where they are few."""
    from difflib import get_close_matches  # noqa: PLC0415 - most files have no mistake in them

    words = sorted(known)
    if close := get_close_matches(word, words, 1):
        return f"; did you mean {close[0]}?"
    return f"; there are {', '.join(words)}" if 0 < len(words) <= _FEW else ""
