"""What users read is plain English: the phrases below were hard to understand, and do not come back."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PHRASES = (
    "all of them, and report",
    "retries what may pass",
    "what may pass",
    "says for each image whether it is there",
    "failures stand last",
    "its own images wait",
    "a lane of its own",
    "has a lane",
    "the others go on",
    "will it help to run this again",
    "a slow wire",
    "in front of the engine, which ends",
    "the engine waits for the wire",
    "waits for the wire",
    "makes of engines and registries",
    "what puller brought",
    "puller brought",
    "no list wants any more",
    "teaches your shell",
    "what stands in no other page",
    "docker's compose plugin is asked",
    "keeps nobody from pulling",
    "what would stop or slow",
    "how to put it right",
    "write lists again",
    "once more, in any form",
    "report of a past run once more",
    "what options are in force",
    "what a list means",
    "where its content and name do not tell",
    "what every list is",
    "begin although",
    "what is absent may not fit",
    "where it would not fit",
    "bound of the first wait",
    "the wait is drawn below it",
    "do not try once more",
    "failed for a passing reason",
    "when no byte came",
    "an engine that has gone",
    "name a list (- is stdin)",
    "another run is at this engine",
    "goes on beside it",
    "nobody can be asked here",
    "are not here",
    "images are here",
    "image is here",
    "once more later",
    "until somebody changes something",
    "may pass by itself",
    "a slot of the engine",
    "as far as the engine told",
    "last wanted",
    "may go:",
    "run again later; look at its",
    "check its spelling",
    "may be pulled",
    "for a question on a kept connection",
    "no list was named",
    "stood on line",
    "already: remove one",
    "whose  list",
    "read the message whole",
    "please report it:",
    "will do whose index",
    "the fault befalls",
    "a registry that is well",
    "end a run in good order",
    "all foreign words are escaped",
    "sees to it",
    "lives by",
    "beside other runs",
    "what goes",
    "no space left on device: ",
)
"""Fragments of the phrases, in lower case and with single spaces."""


def pages() -> Iterator[Path]:
    """Yield everything that users read: documents, and the modules with their messages and help."""
    yield from (ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md")
    yield from sorted((ROOT / "docs").glob("*.md"))
    yield from sorted(path for kind in ("py", "html", "js", "j2") for path in (ROOT / "puller").rglob(f"*.{kind}"))


def words(text: str) -> str:
    """Return a text in lower case with single spaces, whatever its lines, comment marks and quotes of code are."""
    joined = re.sub(r'"\s*\n\s*f?"', "", text)  # a string over several lines of code
    return re.sub(r"[\s`*#>]+", " ", joined).lower()


def test_no_old_phrase_is_left() -> None:
    """A sentence has a subject, a verb and the usual words of the trade, so that nobody reads it twice."""
    texts = {str(page.relative_to(ROOT)): words(page.read_text(encoding="utf-8")) for page in pages()}
    found = [(page, phrase) for page, text in texts.items() for phrase in PHRASES if phrase in text]
    assert len(texts) > 100
    assert found == []
