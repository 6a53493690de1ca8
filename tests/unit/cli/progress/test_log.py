"""The log: a time before each line, and a copy of the lines in a file."""

import io
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest

from puller.cli.progress import Log, ProgressMode, Timestamps, follow, open_log
from puller.errors import EngineBusyError, UsageError
from puller.events import Finished, RunStarted, Started
from tests.lab.samples import outcome, request
from tests.lab.second_user import as_root, attack
from tests.unit.cli.test_main import GOOD, Shell

NGINX = request("nginx:1.27")
NOON = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
STAMP = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ ")
PLAIN = [
    "pulling 1 image with Docker, 3 at a time",
    "[0/1] starts      nginx:1.27",
    "[1/1] pulled      nginx:1.27  4.2s",
]


class Stream(io.StringIO):
    """Standard error, or a terminal."""

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        """Tell whether it is a terminal."""
        return self._terminal


@contextmanager
def opened(stream: Stream, **options: Any) -> Iterator[Log]:
    """Open a log with the defaults of the other options."""
    defaults = {"progress": "auto", "quiet": False, "verbose": 0, "log_timestamps": "auto", "log_file": None}
    with open_log(defaults | options, stream) as log:
        yield log


def pull(log: Log) -> None:
    """Pull one image."""
    with follow(log, 3) as observer:
        for event in (RunStarted(1, "Docker"), Started(NGINX, 1), Finished(NGINX, outcome("nginx:1.27"))):
            observer(event)


def unstamped(path: Path) -> list[str]:
    """Return the lines of a file without their times, which each must have."""
    lines = path.read_text().splitlines()
    assert all(STAMP.match(line) for line in lines)
    return [STAMP.sub("", line, count=1) for line in lines]


@pytest.mark.parametrize(
    ("times", "terminal", "stamped"),
    [("auto", False, True), ("auto", True, False), ("always", True, True), ("never", False, False)],
)
def test_lines_have_times_unless_a_terminal_shows_them(times: str, terminal: bool, stamped: bool) -> None:
    """By default a file or a pipe gets them; the option decides otherwise."""
    stream = Stream(terminal=terminal)
    log = Log(stream, ProgressMode.PLAIN, Timestamps(times), now=lambda: NOON)
    pull(log)
    before = "2026-11-23T12:00:00Z " if stamped else ""
    assert stream.getvalue().splitlines() == [f"{before}{line}" for line in PLAIN]


def test_notes_beside_the_progress_have_times_too() -> None:
    """During the run, each line on standard error is one of the log."""
    stream, before = Stream(), sys.stderr
    with opened(stream):
        click.echo("puller: waits for another run", err=True)
    assert sys.stderr is before
    assert STAMP.sub("", stream.getvalue()) == "puller: waits for another run\n"
    assert STAMP.match(stream.getvalue())


@pytest.mark.parametrize("options", [{"quiet": True}, {"progress": "json"}, {"progress": "tty"}, {}])
def test_a_file_gets_the_plain_lines_whatever_is_shown(tmp_path: Path, options: dict[str, Any]) -> None:
    """With times, after what was there, and with a last line about the whole run."""
    path, stream = tmp_path / "run.log", Stream()
    for _ in range(2):
        with opened(stream, log_file=path, **options) as log:
            pull(log)
    lines = unstamped(path)
    assert lines[:3] == lines[4:7] == PLAIN
    assert lines[3].startswith("[1/1] ended: 1 pulled in ")
    assert path.stat().st_mode & 0o777 == 0o644
    shown = stream.getvalue()
    assert (shown == "") == bool(options.get("quiet"))
    assert ("ended" in shown, "[1/1] pulled" in shown) == (False, not options)


def test_a_file_tells_why_a_run_did_not_start(tmp_path: Path) -> None:
    """The line that a user sees is in the file as well."""
    path = tmp_path / "run.log"
    with pytest.raises(EngineBusyError), opened(Stream(), log_file=path, quiet=True):
        raise EngineBusyError("another run uses this engine")
    assert unstamped(path) == ["puller: another run uses this engine"]


def test_why_a_run_does_not_start_has_a_time_in_the_file_only(tmp_path: Path) -> None:
    """On standard error the line looks as that of any other error."""
    shell = Shell(tmp_path)
    environment = {"PULLER_LOG_TIMESTAMPS": "always"}
    run = shell.run("pull", "--image", "nginx", "--backend", "api", "--log-file", "run.log", environment=environment)
    assert (run.code, run.stdout) == (69, "")
    assert run.stderr.startswith("puller: cannot connect to the engine at unix://")
    assert unstamped(tmp_path / "run.log") == run.stderr.splitlines()


def test_a_wait_before_the_run_has_a_heartbeat(tmp_path: Path) -> None:
    """As for another run; so has the end, as an archive may take minutes; after it there is none."""
    stream = Stream()
    with opened(stream) as log:
        log.beat()
        assert re.fullmatch(
            rf"{STAMP.pattern}not started after 0\.\ds: it waits for another run.*\n", stream.getvalue()
        )
        with follow(log) as observer:
            observer(RunStarted(1, "Docker"))
            log.beat()
            assert "[0/1] nothing in flight; 0B after " in stream.getvalue()
        log.beat()
        assert stream.getvalue().endswith("all images have ended; the results are being written\n")
        before = stream.getvalue()
        log.end()
        log.beat()
        assert stream.getvalue() == before


def test_a_full_disk_costs_one_warning() -> None:
    """The lines go on where they are shown."""
    stream = Stream()
    with opened(stream, log_file=Path("/dev/full"), log_timestamps="never") as log:
        pull(log)
    words = "puller: the log file is no longer written: No space left on device"
    assert stream.getvalue().splitlines() == [PLAIN[0], words, *PLAIN[1:]]


def test_what_cannot_be_a_log_file_is_refused_before_the_run(tmp_path: Path) -> None:
    """A link, a FIFO (which would block), a directory, and a file in no directory."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for name in ("fifo", "link", ".", "none/run.log"):
        with pytest.raises(UsageError, match="cannot write"), opened(Stream(), log_file=tmp_path / name):
            pytest.fail("the run began")
    assert not (tmp_path / "target").exists()


@as_root
def test_another_users_link_costs_root_the_file_and_not_the_run(theirs: Path) -> None:
    """Neither a symbolic nor a hard link leads to a file of root."""
    secret = theirs.parent / "secret"
    secret.write_text("root's\n")
    attack("ln -s ../secret soft", theirs)
    os.link(secret, theirs / "hard")  # as a kernel without fs.protected_hardlinks would let the other user do
    for name, why in (("soft", "symbolic link"), ("hard", "second name")):
        stream = Stream()
        with opened(stream, log_file=theirs / name) as log:
            pull(log)
        assert len(stream.getvalue().splitlines()) == len(PLAIN)
        assert (secret.read_text(), why) == ("root's\n", why)


def test_verbose_tells_what_the_package_logs(tmp_path: Path) -> None:
    """-v tells information, -vv details too, each as one line without secrets; nothing is told later."""
    logger, path = logging.getLogger("puller.some.module"), tmp_path / "run.log"
    for verbose, expected in ((0, 0), (1, 1), (2, 2)):
        stream = Stream()
        with opened(stream, verbose=verbose, log_timestamps="never", log_file=path):
            logger.info("asked %s", "https://user:s3cr3t@reg.example.org/\n\x1b[31m")
            logger.debug("a detail")
        logger.info("afterwards")
        lines = ["puller: asked https://***@reg.example.org/", "puller: a detail"]
        assert stream.getvalue().splitlines() == lines[:expected]
    assert len(unstamped(path)) == 3


def test_lines_of_many_threads_stay_whole() -> None:
    """Heartbeats, observers and notes write at the same time."""
    stream = Stream()
    log = Log(stream, ProgressMode.PLAIN, Timestamps.ALWAYS, now=lambda: NOON)
    texts = [str(number) * 60 for number in range(8)]

    def write(text: str) -> None:
        for _ in range(50):
            log.line(text)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(stream.getvalue().splitlines()) == [
        f"2026-11-23T12:00:00Z {text}" for text in texts for _ in range(50)
    ]


def test_a_piped_pull_has_times_and_a_quiet_one_only_its_file(tmp_path: Path) -> None:
    """As cron and CI systems run it: the options reach the log."""
    shell = Shell(tmp_path)
    shell.docker(pull=GOOD)
    arguments = ("pull", "--backend", "cli", "--image", "nginx", "--log-file", "run.log")
    piped = shell.run(*arguments, environment={"PULLER_LOG_TIMESTAMPS": "auto"})
    assert all(STAMP.match(line) for line in piped.stderr.splitlines())
    assert "[0/1] starts      nginx\n" in piped.stderr
    quiet = shell.run(*arguments, "-q")
    assert (quiet.code, quiet.stdout, quiet.stderr) == (0, "", "")
    assert [line.startswith("[1/1] pulled  ") for line in unstamped(tmp_path / "run.log")] == [
        False,
        False,
        True,
        False,
    ] * 2


def test_no_time_stands_before_a_command_to_githubs_runner(tmp_path: Path) -> None:
    """The runner obeys lines that begin with `::`, and shows the failure."""
    shell = Shell(tmp_path)
    shell.docker(pull="echo 'Error response from daemon: manifest unknown' >&2; exit 1")
    environment = {"GITHUB_ACTIONS": "true", "PULLER_LOG_TIMESTAMPS": "always"}
    run = shell.run("pull", "--backend", "cli", "--image", "nope", environment=environment)
    assert [line[:14] for line in run.stderr.splitlines() if not STAMP.match(line)] == ["::error title="]
