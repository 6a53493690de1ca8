"""The live view as a terminal shows it."""

import io
import threading
import time

import pyte
import pytest
from rich.console import Console, ConsoleDimensions

from puller.cli.progress import Log, ProgressMode, follow
from puller.errors import FailureKind
from puller.events import Finished, Phase, Postponed, Progress, RetryScheduled, RunStarted, SizeKnown, Started
from puller.failure import failure
from puller.model import Status
from tests.lab.samples import outcome, request
from tests.unit.cli.progress import observe

NGINX, NOPE, REDIS = request("nginx:1.27"), request("nope"), request("redis")
COLUMNS, LINES = 100, 12


class Terminal(io.TextIOWrapper):
    """A stream that ends on a screen."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding, newline="")
        self.screen = pyte.Screen(COLUMNS, LINES)
        self.writes: list[str] = []
        self._lock = threading.Lock()
        self._feed = pyte.Stream(self.screen)

    def write(self, text: str) -> int:
        """Show the text as a terminal driver would pass it on."""
        with self._lock:
            self.writes.append(text)
            self._feed.feed(text.replace("\n", "\r\n"))
        return len(text)

    def narrow(self, columns: int) -> None:
        """Become narrower, and wrap the lines on the screen as most terminals do."""
        lines = self.lines
        with self._lock:
            self.screen.reset()
            self.screen.resize(columns=columns)
            wrapped = [line[at : at + columns] for line in lines for at in range(0, len(line), columns)]
            self._feed.feed("\r\n".join(wrapped))

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
            SizeKnown(61_000_000),
        ):
            observer(event)
        ended, first, second, images, size = terminal.until("of 61.0MB")
        assert ended == "✗ failed      nope              image or tag not found: manifest unknown"
        assert "nginx:1.27  ━" in first
        assert "12.3/40.1MB" in first
        assert "redis       retry 1 in 1m00s: registry error" in second
        assert "1/3 images  1 failed" in images
        assert size == "12.3 of 61.0MB"
        assert terminal.cursor is None
    assert terminal.lines == [ended]
    assert terminal.cursor == (0, 1)


def test_an_image_that_is_tried_again_later_leaves_a_line() -> None:
    """It scrolls away with its reason in words, and comes back when it ends."""
    terminal = Terminal()
    with observe(ProgressMode.TTY, terminal) as observer:
        observer(RunStarted(1, "Docker"))
        observer(Postponed(NGINX, failure(FailureKind.REGISTRY_5XX, "503")))
        observer(Finished(NGINX, outcome("nginx:1.27")))
    assert terminal.lines[:2] == [
        "↻ postponed   nginx:1.27  will retry at the end: registry error: 503",
        "✓ pulled      nginx:1.27             4.2s",
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
        assert "0/50 images" in lines[-1]
        assert len(lines) < LINES
    assert terminal.lines == [""]


def test_ended_images_have_their_size_and_time() -> None:
    """The bytes that came, and the seconds since the first attempt: in columns, after the longest name."""
    terminal = Terminal()
    came = outcome(attempts=2, seconds=64.2)._replace(warning="wrong platform")
    came = came._replace(
        attempts=tuple(each._replace(started=each.started + 10, bytes=7_500_000) for each in came.attempts)
    )
    with observe(ProgressMode.TTY, terminal) as observer:
        observer(Started(NGINX, 1))
        observer(Finished(NGINX, came))
        observer(Finished(REDIS, outcome("redis", Status.UP_TO_DATE, attempts=0, seconds=0.1)))
    assert terminal.lines == [
        "✓ pulled      nginx:1.27         15.0MB     54s  warning: wrong platform",
        "= up to date  redis                        0.1s",
    ]


def test_a_long_line_is_broken_at_blanks() -> None:
    """The reason can be read to its end, below the name of the image, which is not repeated."""
    terminal = Terminal()
    wanted = request("localhost:5000/shop/web:1.4")
    unknown = "manifest unknown to this registry, which has no tag of this name: "
    words = f"manifest for localhost:5000/shop/web:1.4 not found: [red]x: {unknown}{unknown}ask them"
    with observe(ProgressMode.TTY, terminal) as observer:
        observer(Finished(wanted, outcome(str(wanted), Status.FAILED, why=failure(FailureKind.NOT_FOUND, words))))
    assert terminal.lines == [
        "✗ failed      localhost:5000/shop/web:1.4  image or tag not found: manifest for … not found:",
        "              [red]x: manifest unknown to this registry, which has no tag of this name: ask them",
    ]


def test_a_line_that_just_fits_is_not_broken() -> None:
    """The last column of the terminal stays free."""
    terminal = Terminal()
    wanted = request(f"{'a' * (COLUMNS - 14 - 9)}:1")
    with observe(ProgressMode.TTY, terminal) as observer:
        observer(Started(wanted, 1))
        observer(Finished(wanted, outcome(str(wanted))))
    assert len(terminal.lines) == 1


def test_a_message_begins_below_a_long_name() -> None:
    """Where there is no room beside it."""
    terminal = Terminal()
    wanted = request(f"registry.example.org/{'team/' * 11}app:1.0")
    why = failure(FailureKind.NOT_FOUND, "manifest unknown")
    with observe(ProgressMode.TTY, terminal) as observer:
        observer(Finished(wanted, outcome(str(wanted), Status.FAILED, why=why)))
    assert terminal.lines == [f"✗ failed      {wanted}", f"{' ' * 14}image or tag not found: manifest unknown"]


def test_a_long_word_is_whole() -> None:
    """Such as an address: it can be copied, as the terminal wraps it."""
    terminal = Terminal()
    why = failure(FailureKind.REGISTRY_5XX, f"GET https://reg.example.org/{'v2/' * 40}tags 503")
    with observe(ProgressMode.TTY, terminal) as observer:
        observer(Finished(NOPE, outcome("nope", Status.FAILED, why=why)))
    first, *rest = terminal.lines
    assert first == "✗ failed      nope  registry error: GET"
    assert "".join(rest) == f"{' ' * 14}https://reg.example.org/{'v2/' * 40}tags{' ' * 14}503"


def test_an_interruption_is_said_once() -> None:
    """Not once for each image in flight."""
    terminal = Terminal()
    why = failure(FailureKind.CANCELLED, "interrupted by SIGINT")
    with observe(ProgressMode.TTY, terminal) as observer:
        for each in (NGINX, REDIS):
            observer(Started(each, 1))
        for each in (NGINX, REDIS):
            observer(Finished(each, outcome(str(each), Status.CANCELLED, why=why)))
    assert terminal.lines == [
        "interrupted (Ctrl-C)",
        "- cancelled   nginx:1.27                   4.2s",
        "- cancelled   redis                        4.2s",
    ]


def test_no_image_is_shown_as_ended_and_as_running() -> None:
    """Its row goes in the moment in which its line comes."""
    terminal = Terminal()
    with observe(ProgressMode.TTY, terminal) as observer:
        observer(RunStarted(40, "Docker"))
        for number in range(40):
            observer(Started(each := request(f"image:{number}"), 1))
            if number % 10 == 0:
                terminal.until(f"image:{number} ")
            observer(Finished(each, outcome(str(each))))
    for text in terminal.writes:
        for number in range(40):
            assert text.count(f"image:{number} ") <= 1


def test_nothing_remains_of_lines_that_the_terminal_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window that becomes narrower has one row for each image, as before."""
    columns = COLUMNS
    monkeypatch.setattr(Console, "size", property(lambda _: ConsoleDimensions(columns, LINES)))
    terminal = Terminal()
    with observe(ProgressMode.TTY, terminal) as observer:
        observer(RunStarted(3, "Docker"))
        for each in (NGINX, REDIS):
            observer(Started(each, 1))
        terminal.until("0/3 images")
        columns = 40
        terminal.narrow(columns)
        observer(Finished(NOPE, outcome("nope")))
        lines = terminal.until("1/3 images")
        assert [line.split()[1] for line in lines] == ["pulled", "nginx:1.27", "redis", "images"]
    assert terminal.lines == ["✓ pulled      nope  4.2s"]


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
    assert terminal.lines == ["pulling 1 image with Docker", "[1/1] pulled      nginx:1.27  4.2s"]


def test_a_note_stands_above_the_images_in_flight_at_once() -> None:
    """What `-v` tells is read while it matters, and stays."""
    terminal = Terminal()
    log = Log(terminal, ProgressMode.TTY, verbose=1)
    with follow(log) as observer:
        observer(RunStarted(1, "Docker"))
        observer(Started(NGINX, 1))
        terminal.until("starting")
        log.note("puller: slow network (3.3MB/s): puller downloads the layers")
        note, row, _ = terminal.until("layers")
        assert note == "puller: slow network (3.3MB/s): puller downloads the layers"
        assert "nginx:1.27" in row
        log.note("the last")
    assert terminal.lines == [note, "the last"]
