"""The one door to subprocesses: whatever the program does, there is an end, and nothing is left behind."""

import errno
import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from puller.cancellation import Cancellation
from puller.errors import CancelledError
from puller.system import process
from puller.system.process import Completed, run
from tests.lab.fakes import FLOOD, python

KEPT = 64 * 1024


def sh(script: str, *arguments: str, timeout: float | None = 60, cancel: Cancellation | None = None) -> Completed:
    """Run a piece of shell."""
    argv = ("sh", "-c", script, "sh", *arguments)
    return run(argv, environment=os.environ, cancel=Cancellation() if cancel is None else cancel, timeout=timeout)


def lines_of(script: str) -> list[str]:
    """Run a piece of shell and collect its lines as they are handed over."""
    seen: list[str] = []
    run(("sh", "-c", script), environment=os.environ, cancel=Cancellation(), timeout=60, on_line=seen.append)
    return seen


def gone(pid: int) -> bool:
    """Wait a little for a process to be gone; a zombie that nobody has reaped yet counts as gone."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    return False


def read_pid(path: Path) -> int:
    """Wait for a script to write a process number."""
    for _ in range(1000):
        if path.exists() and (text := path.read_text()).endswith("\n"):
            return int(text)
        time.sleep(0.01)
    raise AssertionError(path)


def descriptors() -> int:
    """Count what this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def test_what_a_program_says_comes_back() -> None:
    """Exit code, standard output and standard error."""
    assert sh("echo out; echo err >&2; exit 3") == Completed(3, "out\n", "err\n")


def test_arguments_are_arguments() -> None:
    """No shell stands in between: quotes, blanks, globs and semicolons arrive as they are."""
    odd = ("a b", "$HOME", "`id`", "*", "x;y", "'", '"', "", "--help")
    assert sh('printf "%s|" "$@"', *odd).stdout == "|".join(odd) + "|"


def test_there_is_nothing_to_read() -> None:
    """A program that asks gets end of file, not our terminal or our list on stdin."""
    assert sh("cat; echo done") == Completed(0, "done\n", "")


@pytest.mark.parametrize("size", [0, 5, 3_000_000])
def test_a_program_can_be_told_something(size: int) -> None:
    """It reads all of it, though it answers meanwhile more than a pipe holds."""
    given = b"x" * size
    done = run(("cat",), environment=os.environ, cancel=Cancellation(), timeout=60, stdin=given)
    assert (done.code, done.stdout) == (0, given.decode()[-KEPT:])


def test_a_program_need_not_listen() -> None:
    """One that reads nothing, or only the first line, ends as it likes; one that waits for more has a limit."""
    for script, code in (("exit 4", 4), ("read line; exit 5", 5), ("exec <&-; sleep 0.1; exit 6", 6)):
        argv = ("sh", "-c", script)
        stdin = b"line\n" + b"x" * 1_000_000
        assert run(argv, environment=os.environ, cancel=Cancellation(), timeout=60, stdin=stdin).code == code
    with pytest.raises(TimeoutError):
        run(("sleep", "3600"), environment=os.environ, cancel=Cancellation(), timeout=0.2, stdin=b"x" * 1_000_000)


def on_terminal(script: str, **options: Any) -> Completed:
    """Run a piece of shell on a terminal."""
    return run(
        ("sh", "-c", script), environment=os.environ, cancel=Cancellation(), timeout=60, terminal=True, **options
    )


def test_a_terminal_is_one_for_the_program() -> None:
    """Only standard output; its end is an end of file, the exit code holds, and what was said last is heard."""
    seen: list[str] = []
    script = "[ -t 1 ] && echo yes; [ -t 0 ] || echo no; [ -t 2 ] || echo no; echo err >&2; printf end; exit 7"
    done = on_terminal(script, on_line=seen.append)
    assert (done.code, done.stderr) == (7, "err\n")
    assert [line for line in seen if line not in ("", "err")] == ["yes", "no", "no", "end"]


def test_a_terminal_is_large() -> None:
    """A program that looks has no reason to shorten its lines."""
    assert on_terminal("stty size <&1").stdout.strip() == "4000 300"


def test_a_carriage_return_ends_a_line_on_a_terminal() -> None:
    """A program that draws over its own line is heard each time."""
    seen: list[str] = []
    on_terminal(r"printf 'one\rtwo\r\nthree\r'", on_line=seen.append)
    assert [line for line in seen if line] == ["one", "two", "three"]


def test_where_there_is_no_terminal_a_pipe_will_do(mocker: MockerFixture) -> None:
    """A system without terminals, or with none left, costs nothing but the drawing."""
    mocker.patch("os.openpty", side_effect=OSError(errno.ENOSPC, "out of pty devices"))
    assert on_terminal("[ -t 1 ] || echo pipe").stdout == "pipe\n"


def test_messages_are_in_english() -> None:
    """LC_ALL=C, whatever the user's language is; the rest of the environment is what was given."""
    environment = {"LC_ALL": "de_DE.UTF-8", "PATH": os.environ["PATH"], "MINE": "1"}
    done = run(("sh", "-c", 'echo "$LC_ALL $MINE $HOME"'), environment=environment, cancel=Cancellation())
    assert done.stdout == "C 1 \n"


def test_lines_are_handed_over_whole() -> None:
    """A line that arrives in pieces is one line; carriage returns and broken UTF-8 do no harm."""
    assert lines_of(r"printf on; sleep 0.05; printf 'e\ntw'; sleep 0.05; printf 'o\r\n\n\377\n'") == [
        "one",
        "two",
        "",
        "\ufffd",
    ]


def test_a_multibyte_character_may_arrive_in_two_pieces() -> None:
    """Text is decoded by the line, not by the chunk."""
    assert lines_of(r"printf '\303'; sleep 0.05; printf '\244\n'") == ["ä"]


def test_a_last_line_without_a_newline_is_a_line() -> None:
    """A program that forgets the last newline is heard to its end."""
    assert lines_of(r"printf 'one\nStatus: done'") == ["one", "Status: done"]


def test_output_is_bounded() -> None:
    """Of 10 MB only the end is kept, on both streams, and the program is not held up."""
    done = sh(f"{FLOOD}; echo end; {{ {FLOOD}; echo end; }} >&2")
    for text in (done.stdout, done.stderr):
        assert text.endswith("xxx" + "end\n")
        assert len(text) <= KEPT


def test_ten_megabytes_of_lines_are_all_handed_over() -> None:
    """Nothing is dropped between a program that writes quickly and its reader."""
    lines = lines_of(f"{FLOOD.replace('x', chr(92) + 'n')}; echo end")
    assert (len(lines), lines[-1]) == (10 * 1024 * 1024 + 1, "end")


def test_a_program_that_is_not_there() -> None:
    """The caller learns that it cannot be found, or may not be run."""
    for program, error in (("no-such-program-anywhere", FileNotFoundError), ("/", PermissionError)):
        with pytest.raises(error):
            run((program,), environment=os.environ, cancel=Cancellation())


def test_a_time_limit_ends_program_and_child(tmp_path: Path) -> None:
    """What hangs is ended with the children it has started."""
    child = tmp_path / "child"
    with pytest.raises(TimeoutError):
        sh(f"sleep 3600 & echo $! > '{child}'; wait", timeout=0.2)
    assert gone(read_pid(child))


def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """SIGKILL follows, for the whole group."""
    child = tmp_path / "child"
    with pytest.raises(TimeoutError):
        sh(f"trap '' TERM; sleep 3600 & echo $! > '{child}'; wait; sleep 3600", timeout=0.2)
    assert gone(read_pid(child))


def test_a_child_that_ignores_sigterm_is_killed_too(tmp_path: Path) -> None:
    """A program that obeys does not leave behind a child that does not."""
    child = tmp_path / "child"
    with pytest.raises(TimeoutError):
        sh(f"(trap '' TERM; echo $$ >/dev/null; exec sleep 3600) & echo $! > '{child}'; wait", timeout=0.3)
    assert gone(read_pid(child))


def test_a_child_that_holds_the_pipe_holds_nobody(tmp_path: Path) -> None:
    """The program's end counts, though a child keeps its output open."""
    child = tmp_path / "child"
    assert sh(f"sleep 3600 & echo $! > '{child}'; exit 7").code == 7
    with suppress(ProcessLookupError):
        os.kill(read_pid(child), signal.SIGKILL)


def test_a_program_may_close_its_output_and_go_on() -> None:
    """The end of its streams is not the end of the program: the exit code is waited for, and the limit holds."""
    assert sh("exec >&- 2>&-; sleep 0.1; exit 5").code == 5
    with pytest.raises(TimeoutError):
        sh("exec >&- 2>&-; sleep 3600", timeout=0.2)


def test_a_noisy_program_has_a_time_limit_too() -> None:
    """Output is no proof of progress."""
    with pytest.raises(TimeoutError):
        sh("while :; do echo x; done", timeout=0.2)


def test_another_thread_can_end_it(tmp_path: Path) -> None:
    """Cancelling ends a silent program at once, and its children."""
    child, cancel = tmp_path / "child", Cancellation()
    threading.Timer(0.1, cancel.cancel, ("enough",)).start()
    with pytest.raises(CancelledError, match="enough"):
        sh(f"sleep 3600 & echo $! > '{child}'; wait", timeout=None, cancel=cancel)
    assert gone(read_pid(child))


def test_a_run_that_was_cancelled_starts_nothing_that_lasts() -> None:
    """Too late is too late: what is begun after the end of the run ends, too."""
    cancel = Cancellation()
    cancel.cancel("over")
    with pytest.raises(CancelledError, match="over"):
        sh("sleep 3600", timeout=None, cancel=cancel)


def test_a_callback_that_raises_ends_the_program(tmp_path: Path) -> None:
    """An error of the caller's leaves no program behind."""
    pid = tmp_path / "pid"

    def refuse(line: str) -> None:
        raise LookupError(line)

    with pytest.raises(LookupError, match="hello"):
        run(
            ("sh", "-c", f"echo $$ > '{pid}'; echo hello; sleep 3600"),
            environment=os.environ,
            cancel=Cancellation(),
            on_line=refuse,
        )
    assert gone(read_pid(pid))


def test_a_prompt_is_seen_before_its_line_ends() -> None:
    """A program that waits for an answer can be told apart from one that works."""

    def refuse(partial: str) -> None:
        if partial.endswith("name: "):
            raise PermissionError(partial)

    with pytest.raises(PermissionError, match="Your name: "):
        run(
            ("sh", "-c", "echo hello; printf 'Your '; sleep 0.05; printf 'name: '; sleep 3600"),
            environment=os.environ,
            cancel=Cancellation(),
            on_tick=refuse,
        )


def test_ctrl_c_is_ours(tmp_path: Path) -> None:
    """The program has a process group of its own, so that the terminal's SIGINT reaches us and not it."""
    assert int(sh("ps -o pgid= -p $$ 2>/dev/null || cut -d' ' -f5 /proc/$$/stat").stdout) != os.getpgrp()


def test_no_descriptor_is_left_open() -> None:
    """A thousand images are no thousand open pipes, whatever became of them."""
    before = descriptors()
    for script in ("true", "echo x; exit 1", "sleep 3600", "exec >&-"):
        for terminal in (False, True):
            with suppress(TimeoutError):
                run(
                    ("sh", "-c", script), environment=os.environ, cancel=Cancellation(), timeout=0.05,
                    stdin=b"x" * 100_000, terminal=terminal,
                )  # fmt: skip
    for terminal in (False, True):
        with pytest.raises(FileNotFoundError):
            run(("no-such-program-anywhere",), environment=os.environ, cancel=Cancellation(), terminal=terminal)
    assert descriptors() == before


def test_many_threads_may_run_programs() -> None:
    """Programs beside each other do not mix their output or wait for each other."""
    results: dict[int, str] = {}

    def one(number: int) -> None:
        results[number] = sh(f"echo {number}; sleep 0.02; echo {number}").stdout

    threads = [threading.Thread(target=one, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: f"{number}\n{number}\n" for number in range(12)}


def test_kill_all_ends_every_program(tmp_path: Path) -> None:
    """Before the process leaves in a hurry, nothing that it started stays."""
    ends: list[int] = []
    pids = [tmp_path / f"pid{number}" for number in range(3)]

    def one(path: Path) -> None:
        ends.append(sh(f"trap '' TERM; echo $$ > '{path}'; sleep 3600", timeout=None).code)

    threads = [threading.Thread(target=one, args=(path,)) for path in pids]
    for thread in threads:
        thread.start()
    numbers = [read_pid(path) for path in pids]
    process.kill_all()
    for thread in threads:
        thread.join(60)
    assert ends == [-signal.SIGKILL] * 3
    assert all(gone(number) for number in numbers)


def test_a_python_program_is_heard() -> None:
    """Any program will do, not only a shell."""
    argv = python("import sys; print(sys.stdin.read() == '')")
    assert run(argv, environment=os.environ, cancel=Cancellation(), timeout=60).stdout == "True\n"
