"""The published page says what the tables say."""

from pathlib import Path

from puller.errors import FailureKind
from puller.failure.kinds import title
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


def test_each_kind_has_a_title_of_its_own_without_underscores() -> None:
    """People read two to five words instead of an identifier, and no two kinds look the same."""
    titles = [title(kind) for kind in FailureKind]
    assert not [each for each in titles if "_" in each or len(each) > 40]
    assert len({*titles}) == len(titles)
