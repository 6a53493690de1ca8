"""What docker draws on a terminal, and podman and nerdctl write, and what is understood of it."""

import time

import pytest
from hypothesis import given, strategies as st

from puller.engine.cli.terminal import Message, is_drawing, last_words, plain, read

A = "0123456789ab"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"{A}: Pulling fs layer ", Message("Pulling fs layer", A)),
        (
            f"{A}: Downloading [>                                                  ]  4.096kB/300.3kB",
            Message("Downloading", A, 4096, 300_300),
        ),
        (
            f"{A}: Downloading [=======>                                           ]  1.049MB/7.002MB",
            Message("Downloading", A, 1_049_000, 7_002_000),
        ),
        (
            f"{A}: Downloading [==================================================>]      1GB/1GB",
            Message("Downloading", A, 10**9, 10**9),
        ),
        (f"{A}: Downloading    512B", Message("Downloading", A, 512)),
        (f"{A}: Downloading [>  ]  0B/12.5MB 3m12s", Message("Downloading", A, 0, 12_500_000)),
        (f"{A}: Extracting [=>   ]  32.77kB/300.3kB", Message("Extracting", A, 32_770, 300_300)),
        (f"{A}: Extracting 17 s", Message("Extracting", A)),
        (f"{A}: Retrying in 5 seconds ", Message("Retrying in 5 seconds", A)),
        (f"{A}: Download complete ", Message("Download complete", A)),
        ("v1: Pulling from pty/a1", Message("v1: Pulling from pty/a1")),
        ("\x1b[1BDigest: sha256:abc", Message("Digest: sha256:abc")),
        ("\x1b[1B\x1b[3A\x1b[2K", None),
        ("", None),
        (f"\x1b[1m\x1b[32m{A}\x1b[0m: Waiting", Message("Waiting", A)),
        ("\x1b]8;;http://x/\x1b\\a link\x1b]8;;\x1b\\", Message("a link")),
        (f"Copying blob sha256:{A}{'0' * 52}", Message("Copying blob", A)),
        (f"Copying blob {A} done", Message("Copying blob", A)),
        (f"Copying blob {A} skipped: already exists", Message("Already exists", A)),
        (f"layer-sha256:{A}{'0' * 52}: exists |++|", Message("Already exists", A)),
        ("Copying config sha256:0123", Message("Copying config sha256:0123")),
        (f"layer-sha256:{A}{'0' * 52}: downloading |++--| 1.0 MiB/2.0 MiB", Message("Copying blob", A)),
        ("elapsed: 1.2 s   total:  1.0 Mi (869.2 KiB/s)", None),
    ],
)
def test_a_line_is_understood(line: str, message: Message | None) -> None:
    """A layer's status and bytes without the bar, or the line itself; nothing where it is only about the cursor."""
    assert read(line) == message


@pytest.mark.parametrize(
    ("line", "drawing"),
    [
        ("\x1b[1A\x1b[2K", True),
        ("\x1b[1B\x1b[12A", True),
        ("\x1b[K", True),
        ("\x1b[1m", False),
        ("x: [2K", False),
    ],
)
def test_moving_the_cursor_is_drawing(line: str, drawing: bool) -> None:
    """Colours are not, and neither is text that only looks alike."""
    assert is_drawing(line) is drawing


def test_last_words_are_about_no_layer() -> None:
    """A program that complained where it draws is quoted without its drawings."""
    drawn = f"v1: Pulling\r\n\r\n\x1b[1A\x1b[2K\r{A}: Downloading [>  ] 1MB/2MB\r\x1b[1Bsorry\r\n"
    assert last_words(drawn) == "v1: Pulling\nsorry"
    assert last_words("") == ""


NOISE = st.lists(st.sampled_from([*"0123456789abcdef: [=>]/.kMGB s\x1b\t\n", "Downloading", A])).map("".join)


@given(NOISE | st.text(max_size=200))
def test_whatever_is_drawn_does_no_harm(text: str) -> None:
    """Nothing raises, and no number is negative."""
    for line in (text, f"{A}: {text}"):
        if message := read(line):
            assert message.current >= 0
            assert message.total >= 0
        last_words(line)
        assert "\x1b[" not in plain("\x1b[1m" + line.replace("\x1b", ""))


@pytest.mark.parametrize("unit", [" ", "\x1b[", "\x1b]", "[", " [", " [=", "9", " 9", " 9B/", "=> ", f"{A}: "])
def test_a_megabyte_of_noise_is_read_within_seconds(unit: str) -> None:
    """No pattern goes back and forth over a long line, which would take hours."""
    line = unit * (1_000_000 // len(unit))
    began = time.monotonic()
    for text in (line, f"{A}: {line}", f"{A}: Downloading{line}"):
        read(text)
        is_drawing(text)
    assert time.monotonic() - began < 30
