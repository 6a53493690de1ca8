"""The published page says what the tables say."""

from pathlib import Path

from puller.errors import FailureKind
from scripts.docs.failures import page

PUBLISHED = Path(__file__).parents[3] / "docs" / "failures.md"


def test_the_page_is_made_from_the_tables() -> None:
    """Who changes a kind makes the page anew: `python -m scripts.docs.failures > docs/failures.md`."""
    assert PUBLISHED.read_text(encoding="utf-8") == page()


def test_the_page_has_a_row_for_every_kind_and_says_when_it_waits() -> None:
    """Nobody has to read the source to know what a word in a report means."""
    assert [kind for kind in FailureKind if page().count(f"\n| `{kind}` |") != 1] == []
    assert "wait 6h00m" in page()
    assert "wait 15m00s" in page()
