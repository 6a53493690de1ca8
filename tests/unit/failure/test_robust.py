"""No text, however long or odd, raises, hangs, or gets control characters and secrets into a report."""

import random
import time
import unicodedata

import pytest
from hypothesis import given, strategies as st

from puller.errors import FailureKind as Kind
from puller.failure import classify
from puller.failure.kinds import KINDS
from puller.failure.message import LONGEST, read
from tests.unit.failure.messages import told

FRAGMENTS = tuple(
    fragment for case in (*told("known"), *told("unseen")) for fragment in case.message.split(": ") if fragment
)
NOISE = "".join(chr(random.Random(n).randrange(32, 0x2000)) for n in range(1_000))
ADVERSARIAL = (
    NOISE,
    "a",
    "a.",
    "/a",
    "\\",
    '"',
    "\"'`",
    "(",
    "x509: ",
    "lookup ",
    "lookup a ",
    "denied",
    "denied: ",
    "mount ",
    "tag a ",
    "failed to register layer ",
    "unexpected status ",
    "500 Server Error for ",
    "500 Server Error: for url: ",
    "retry-after: 1h",
    "try again in ",
    "manifest for ",
    "docker-credential-pass ",
    "error getting credentials ",
    "/var/lib/docker/overlay2/",
    "<html>",
    "https://a:b@c ",
    "\x1b]0;",
    "\\u003e",
    "ß",
    "İ",
)


@given(st.text(), st.none() | st.integers(), st.text(), st.text())
def test_any_words_at_all_give_a_failure(message: str, status: int | None, source: str, phase: str) -> None:
    """Nothing raises, whatever an engine says; the message is one line that a terminal may show."""
    why = classify(message, status, source=source, phase=phase)
    assert why.message
    assert why.failure_class is KINDS[why.kind].failure_class
    assert why.wait is None or why.wait >= 0
    assert not [char for char in why.message if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map(": ".join))
def test_any_mixture_of_real_words_gives_a_failure(message: str) -> None:
    """Pieces of real messages in any order lead to one kind, and to the same one each time."""
    assert classify(message).kind is classify(message).kind


@given(st.binary(max_size=200))
def test_terminal_sequences_never_get_through(noise: bytes) -> None:
    """Colours, bells and cursor moves of a hostile registry stay out of the report."""
    message = "manifest unknown \x1b[31m\x07\x1b]0;title\x07 " + noise.decode("latin-1")
    shown = classify(message).message
    assert shown.startswith("manifest unknown")
    assert not set(map(chr, [*range(32), *range(0x7F, 0xA0)])) & set(shown)


@given(st.integers(0, 20_000), st.integers(0, 20_000))
def test_the_reason_is_found_at_either_end_of_a_page(before: int, after: int) -> None:
    """A page of any length hides no reason that stands first or last."""
    page = "<p>sorry</p> "
    assert classify("toomanyrequests: " + page * after).kind is Kind.RATE_LIMITED
    assert classify(page * before + ": no space left on device").kind is Kind.DISK_FULL


def test_a_page_of_html_is_cut() -> None:
    """Of megabytes, the report shows the beginning and the end."""
    why = classify("toomanyrequests: " + "<p>sorry</p> " * 1_000_000 + "the end")
    assert why.kind is Kind.RATE_LIMITED
    assert why.message.startswith("toomanyrequests: ")
    assert why.message.endswith("the end")
    assert len(why.message) <= LONGEST


def test_secrets_are_not_repeated() -> None:
    """Credentials in a URL or a header do not reach the report."""
    why = classify(
        'Get "https://robot:hunter2@h/v2/?token=abcdef123": Authorization: Bearer abcdefabcdefabcdefabcdef: EOF'
    )
    assert why.kind is Kind.UNEXPECTED_EOF
    for secret in ("hunter2", "abcdef123", "abcdefabcdef"):
        assert secret not in why.message


@pytest.mark.parametrize(
    "secret",
    [
        "Authorization: Basic c2VjcmV0OnNlY3JldA",
        '"password": "secret:secret"',
        "https://user:secretsecret@h/v2/",
        "X-Registry-Auth: s3cretsecret",
    ],
)
def test_no_cut_through_a_long_message_lays_a_secret_bare(secret: str) -> None:
    """Wherever the middle is cut out, no half of a secret is left on either side."""
    for length in (*range(2_450, 2_510, 4), *range(4_950, 5_010, 4), *range(3_950, 4_010, 4)):
        for message in (
            "x " * 8_000 + secret + " y" * (length // 2),
            "x " * (length // 2) + secret + " y" * 8_000,
        ):
            words = read(message)
            assert "cret" not in words.shown.lower() + words.text, length


@pytest.mark.parametrize("piece", ADVERSARIAL)
def test_a_megabyte_of_anything_is_classified_within_seconds(piece: str) -> None:
    """No pattern goes back and forth over a long message, and most of a megabyte is not looked at."""
    message = (piece * (1_000_000 // len(piece) + 1))[:1_000_000]
    began = time.monotonic()
    classify(message)
    assert time.monotonic() - began < 10
