"""Foreign text made safe; durations and sizes."""

from __future__ import annotations

import random
import unicodedata

import pytest
from hypothesis import given, strategies as st

from puller.text import (
    clean,
    format_bytes,
    format_seconds,
    parse_duration,
    plain_error,
    short_reference,
    shorten,
    source_name,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain words", "plain words"),
        ("größer, 漢字 🐳", "größer, 漢字 🐳"),
        ("  two\tlines\r\nand\n\nmore  ", "two lines and more"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b[38;2;1;2;3mred\x1b[K", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bcreset", "creset"),
        ("\x1b", ""),
        ("a\x00b\x07c\x7fd", "a b c d"),
        ("a\x85b\x9bc", "a b c"),
        ("a\u2028b\u2029c", "a b c"),
        ("\u202egnp.exe\u202c", "gnp.exe"),
        ("\u2066a\u2069 \u200eb\u200f", "a b"),
        ("\ufeffa", "a"),
        ("a\ud800b", "a b"),
    ],
)
def test_foreign_text_becomes_one_safe_line(text: str, expected: str) -> None:
    """Terminal sequences go as a whole; controls and marks that reorder text become white space."""
    assert clean(text) == expected


def test_the_arabic_letter_mark_reorders_text_too() -> None:
    """All marks of Unicode's Bidi_Control go."""
    assert clean("a\u061cb") == "a b"


@pytest.mark.parametrize(
    "text",
    [
        "https://user:hunter2@registry.example/v2/",
        "https://hunter2@registry.example/v2/",
        "Get https://user:hunter2@registry.example/v2/: EOF",
        "proxyconnect: http://u:hunter2@proxy:3128 and http://v:hunter2@proxy:3129",
        "Authorization: Basic hunter2hunter2",
        "authorization: hunter2",
        '{"Authorization": "Bearer hunter2"}',
        "Proxy-Authorization:Basic hunter2",
        "sent Bearer hunter2hunter2.x-y_z",
        "https://r.example/token?account=a&token=hunter2&x=1",
        "https://s3.example/blob?X-Amz-Signature=hunter2&X-Amz-Date=1",
        "https://blob.example/?sv=1&sig=hunter2",
        '{"password":"hunter2"}',
        '{"identitytoken": "hunter2"}',
        "with password=hunter2",
        "https://user:a@hunter2@registry.example/",
        f"https://user:{'x' * 1500}hunter2@registry.example/",
        "password=hunter2",
        "client_secret=hunter2",
        "user:hunter2@registry.example/app",
        "Authorization: Digest hunter2",
        '{"auth": "hunter2"}',
        r'unexpected body "{\"password\": \"hunter2\", \"identitytoken\":\"hunter2\"}"',
        r"password=a\hunter2",
        "X-Registry-Auth: hunter2",
    ],
)
def test_secrets_are_masked(text: str) -> None:
    """A password or token in an engine's words does not reach a log."""
    shown = clean(text)
    assert "hunter2" not in shown
    assert "***" in shown


def test_a_narrow_limit_does_not_uncover_a_secret() -> None:
    """Masking comes before cutting."""
    assert "hunter2" not in clean(f"https://u:hunter2{'x' * 200}@registry.example/", 40)


@pytest.mark.parametrize(
    "text",
    [
        "nginx:1.27@sha256:" + "a" * 64,
        "docker.io/library/nginx:latest",
        "https://registry.example/v2/a/b/manifests/1.27",
        "a basic problem; the bearer of bad news",
        "no token was given",
        "mail admin@registry.example",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """An error message must still say what happened."""
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("images.txt", "images.txt"),
        ("https://host:8443/a/b.txt", "https://host:8443/a/b.txt"),
        ("https://host/pkg@1.0/list.txt", "https://host/pkg@1.0/list.txt"),
        ("https://host/list.txt?key=x#sha256=y", "https://host/list.txt"),
        ("https://host/list.txt#x?y", "https://host/list.txt"),
        ("https://user:x@host/list.txt", "https://host/list.txt"),
        ("HTTP://user:p@x/y@host:80/list.txt", "HTTP://host:80/list.txt"),
        ("http://user:x/y@host/list.txt", "http://host/list.txt"),
        ("http://user:x?y@host/list.txt", "http://***"),
        ("http://user:x#y@host/list.txt", "http://***"),
        ("http://[::1]:80/list.txt", "http://[::1]:80/list.txt"),
    ],
)
def test_a_source_is_named_without_what_may_be_secret(text: str, name: str) -> None:
    """Neither the user and password, nor the query, nor the fragment of a URL."""
    assert source_name(text) == name


def test_long_text_is_cut_with_an_ellipsis() -> None:
    """At the limit nothing is lost; beyond it the last character says so."""
    assert clean("abc", 3) == "abc"
    assert clean("abcd", 3) == "ab…"


def test_a_very_long_text_keeps_to_the_limit_too() -> None:
    """The limit is a limit, whatever the length of the text."""
    assert len(clean("a" * 1000, 10)) == 10


def test_a_megabyte_of_noise_is_one_short_line() -> None:
    """Whatever a broken proxy sends, a message stays a message."""
    noise = random.Random(7).randbytes(1_000_000).decode("latin-1")
    for text in (noise, "\x1b]" * 500_000, "https://" * 125_000, "authorization:" * 70_000, "bearer " * 140_000):
        shown = clean(text)
        assert len(shown) <= 4097
        assert not unsafe(shown)


def unsafe(text: str) -> list[str]:
    """Name the characters that may not reach a terminal."""
    return [
        char for char in text if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or "\u202a" <= char <= "\u202e"
    ]


@given(st.text(alphabet=st.characters(codec=None) | st.sampled_from("\x1b[]m\x07\x9b\\;:/@\u202e"), max_size=200))
def test_cleaned_text_is_safe_and_stays_so(text: str) -> None:
    """Any text becomes one line without controls, and cleaning it again changes nothing."""
    once = clean(text)
    assert unsafe(once) == []
    assert clean(once) == once


@pytest.mark.parametrize(("width", "expected"), [(4, "abc"), (3, "abc"), (2, "a…"), (1, "…")])
def test_shorten_keeps_to_the_width(width: int, expected: str) -> None:
    """An ellipsis stands only where something was cut."""
    assert shorten("abc", width) == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("1h30m15s", 5415),
        ("30d", 2_592_000),
        ("1d12h", 129_600),
        ("2h", 7200),
        ("2.5", 2.5),
        ("0.25s", 0.25),
        ("1.5h", 5400),
        ("90m", 5400),
        ("0", 0),
        (" 5m ", 300),
    ],
)
def test_a_duration_reads_as_written(text: str, seconds: float) -> None:
    """Days, hours, minutes and seconds in this order; a bare number is seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", " ", "s", "h", "-5", "-5s", "5x", "1e3", "nan", "inf", ".5", "5.", "1 h", "5m5m", "1s1h", "5ms", "1w", "30S"],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """The reason shows what one looks like."""
    with pytest.raises(ValueError, match="is not a duration such as 30s, 5m or 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["9" * 400, "9999999999999h"])
def test_a_duration_that_no_clock_can_wait_for_is_refused(text: str) -> None:
    """`threading` raises OverflowError for such a time, in the middle of a run."""
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0s"),
        (0.44, "0.4s"),
        (9.9, "9.9s"),
        (10, "10s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (185, "3m05s"),
        (3599.6, "1h00m"),
        (5400, "1h30m"),
        (90_000, "25h00m"),
    ],
)
def test_a_time_is_written_the_way_it_is_read(seconds: float, text: str) -> None:
    """Rounding carries over to the next unit."""
    assert format_seconds(seconds) == text


@given(st.integers(10, 3599))
def test_times_under_an_hour_survive_the_round_trip(seconds: int) -> None:
    """What is printed can be given to an option."""
    assert parse_duration(format_seconds(seconds)) == seconds


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0B"),
        (512, "512B"),
        (999, "999B"),
        (1000, "1.0kB"),
        (3_400_000, "3.4MB"),
        (29_500_000, "29.5MB"),
        (1_000_000_000, "1.0GB"),
        (2_500_000_000_000, "2.5TB"),
        (1_500_000_000_000_000, "1500.0TB"),
    ],
)
def test_sizes_are_decimal(count: float, text: str) -> None:
    """As the docker CLI writes them."""
    assert format_bytes(count) == text


@pytest.mark.parametrize(("count", "text"), [(999_999, "1.0MB"), (999.9, "1.0kB")])
def test_a_size_rounds_into_the_next_unit(count: float, text: str) -> None:
    """There is no `1000.0kB`."""
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("text", "short", "tag_only"),
    [
        ("nginx:1.27", "nginx:1.27", "nginx:1.27"),
        (f"nginx@sha256:{'ab' * 32}", "nginx@sha256:abababababab", "nginx@sha256:abababababab"),
        (f"h:5000/a:1@sha256:{'ab' * 32} (linux/arm64)", "h:5000/a:1@sha256:abababababab (linux/arm64)",
         "h:5000/a:1 (linux/arm64)"),
        (f"h:5000/a@sha512:{'ab' * 64}", "h:5000/a@sha512:abababababab", "h:5000/a@sha512:abababababab"),
    ],
)  # fmt: skip
def test_a_digest_is_shortened_for_people(text: str, short: str, tag_only: str) -> None:
    """As in docker's lists; a port is no tag."""
    assert (short_reference(text), short_reference(text, tag_only=True)) == (short, tag_only)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(2, "No such file or directory", "/proc/x"), "/proc/x: no such file or directory"),
        (OSError(13, "the directory /x cannot be created"), "the directory /x cannot be created"),
        (OSError("timed out"), "timed out"),
        (ValueError("it is\x1b[31m wrong"), "it is wrong"),
    ],
)
def test_an_error_of_the_system_is_said_without_its_number(error: Exception, words: str) -> None:
    """People read no errno."""
    assert plain_error(error) == words
