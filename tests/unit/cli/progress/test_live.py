"""The live view as a terminal shows it."""

import io
import threading
import time

import pyte
import pytest

from puller.cli.progress import ProgressMode, observe
from puller.errors import FailureKind
from puller.events import Finished, Phase, Postponed, Progress, RetryScheduled, RunStarted, Started
from puller.failure import failure
from puller.model import Status
from tests.lab.samples import outcome, request

NGINX, NOPE, REDIS = request("nginx:1.27"), request("nope"), request("redis")
COLUMNS, LINES = 100, 12


class Terminal(io.TextIOWrapper):
    """A stream that ends on a screen."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding, newline="")
        self.screen = pyte.Screen(COLUMNS, LINES)
        self._lock = threading.Lock()
        self._feed = pyte.Stream(self.screen)

    def write(self, text: str) -> int:
        """Show the text as a terminal driver would pass it on."""
        with self._lock:
            self._feed.feed(text.replace("\n", "\r\n"))
        return len(text)

    def isatty(self) -> bool:
        """Claim to be one."""
        return True

    @property
    def cursor(self) -> tuple[int, int] | None:
        """Where the cursor is, if it can be seen."""
        cursor = self.screen.cursor
        return None if cursor.hidden else (cursor.x, cursor.y)

    @property
    def lines(self) -> list[str]:
        """What a person sees, blank lines below left out."""
        with self._lock:
            return "\n".join(line.rstrip() for line in self.screen.display).rstrip().split("\n")

    def until(self, words: str) -> list[str]:
        """Wait for the words to be drawn, and give the lines of that moment."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if words in "\n".join(lines := self.lines):
                return lines
            time.sleep(0.02)
        raise AssertionError(f"{words!r} never came: {self.lines}")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a colour terminal of a known size, outside CI."""
    for name, value in (("TERM", "xterm-256color"), ("COLUMNS", str(COLUMNS)), ("LINES", str(LINES))):
        monkeypatch.setenv(name, value)
    for name in ("CI", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


def test_ended_images_stand_above_and_those_in_flight_below() -> None:
    """The view shows what ended, what goes on, and the whole; then only what ended stays."""
    terminal = Terminal()
    with observe(ProgressMode.AUTO, terminal) as observer:
        for event in (
            RunStarted(3, "Docker"),
            Started(NGINX, 1),
            Progress(NGINX, Phase.DOWNLOADING, 12_300_000, 40_100_000, counted=12_300_000),
            Started(REDIS, 1),
            RetryScheduled(REDIS, 1, failure(FailureKind.REGISTRY_5XX, "503"), 60),
            Started(NOPE, 1),
            Finished(NOPE, outcome("nope", Status.FAILED)),
        ):
            observer(event)
        ended, first, second, overall = terminal.until("1/3 done")
        assert ended == "✗ failed      nope  image or tag not found (not_found): manifest unknown"
        assert "nginx:1.27  downloading" in first
        assert "12.3MB/40.1MB" in first
        assert "redis       retry 1 in 1m00s: registry_5xx" in second
        assert "1/3 done  1 failed  2 left  12.3MB" in overall
        assert terminal.cursor is None
    assert terminal.lines == [ended]
    assert terminal.cursor == (0, 1)


def test_an_image_that_is_tried_again_later_leaves_a_line() -> None:
    """It scrolls away with its reason, and comes back when it ends."""
    terminal = Terminal()
    with observe(ProgressMode.TTY, terminal) as observer:
        observer(RunStarted(1, "Docker"))
        observer(Postponed(NGINX, failure(FailureKind.REGISTRY_5XX, "503")))
        observer(Finished(NGINX, outcome("nginx:1.27")))
    assert terminal.lines[:2] == [
        "↻ postponed   nginx:1.27  will retry at the end: registry error (registry_5xx): 503",
        "✓ pulled      nginx:1.27  4.2s",
    ]


def test_the_terminal_is_tidy_after_an_exception() -> None:
    """Ctrl-C leaves a cursor, and no half-drawn rows."""
    terminal = Terminal()

    def interrupted() -> None:
        with observe(ProgressMode.TTY, terminal) as observer:
            observer(RunStarted(1, "Docker"))
            observer(Started(NGINX, 1))
            terminal.until("starting")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert terminal.lines == [""]
    assert terminal.cursor == (0, 0)


def test_more_images_than_lines_are_counted() -> None:
    """A small terminal shows what fits and says how many more there are."""
    terminal = Terminal()
    with observe(ProgressMode.TTY, terminal) as observer:
        observer(RunStarted(50, "Docker"))
        for number in range(50):
            observer(Started(request(f"image:{number}"), 1))
        lines = terminal.until("… and 42 more")
        assert len(lines) < LINES
    assert terminal.lines == [""]


def test_a_long_line_is_cut_at_the_edge() -> None:
    """One ended image is one line above the view; the report has the whole message."""
    terminal = Terminal()
    with observe(ProgressMode.TTY, terminal) as observer:
        reason = failure(FailureKind.INTERNAL, "[red]word[/red] " * 40)
        observer(Finished(NOPE, outcome("nope", Status.FAILED, why=reason)))
    (line,) = terminal.lines
    assert line.startswith("✗ failed      nope  bug in puller (internal): [red]word[/red]")
    assert line.endswith("…")


def test_a_latin_terminal_gets_ascii_marks() -> None:
    """Without UTF-8 the marks are +, x and -."""
    terminal = Terminal("latin-1")
    with observe(ProgressMode.TTY, terminal) as observer:
        observer(Finished(NGINX, outcome()))
        observer(Finished(NOPE, outcome("nope", Status.FAILED)))
    assert [line[0] for line in terminal.lines] == ["+", "x"]


@pytest.mark.parametrize(("name", "value"), [("TERM", "dumb"), ("CI", "true")])
def test_auto_is_plain_on_a_terminal_that_nobody_watches(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dumb terminal and a CI job get lines."""
    monkeypatch.setenv(name, value)
    terminal = Terminal()
    with observe(ProgressMode.AUTO, terminal) as observer:
        observer(RunStarted(1, "Docker"))
        observer(Finished(NGINX, outcome()))
    assert terminal.lines == ["[1/1] pulled      nginx:1.27  4.2s"]
