"""Two runs of one machine that use the same host: the second waits for that host, or says who uses it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from puller.system.run_lock import RunLock
from tests.lab import wait_until
from tests.lab.fakes import EngineAnswer, FakeEngine
from tests.lab.program import SECONDS, Program


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Run puller in an empty folder."""
    return Program(tmp_path, {"HOME": str(tmp_path)})


@contextmanager
def held(url: str) -> Iterator[None]:
    """Hold the lock of a host, as another run does."""
    lock = RunLock(url)
    assert lock.take("puller fleet pull other.txt") is None
    try:
        yield
    finally:
        lock.release()


def test_a_second_run_names_the_first_and_goes_on_with_other_hosts(program: Program, tmp_path: Path) -> None:
    """The host that is used has failed with a kind of its own, which may pass; the other one was asked."""
    for name in "ab":
        (tmp_path / name).mkdir()
    with FakeEngine(tmp_path / "a", {}) as used, FakeEngine(tmp_path / "b", {}) as other, held(used.host):
        hosts = program.list(f"{used.host} name=used", f"{other.host} name=other", name="hosts.txt")
        run = program.run("fleet", "pull", "--image", "127.0.0.1:1/x:1", "--hosts", hosts, "--format", "json",
                          "--policy", "missing", "--retries", "0", "--no-second-pass")  # fmt: skip
    first, second = run.report["fleet"]["hosts"]
    assert (first["state"], first["error"]["kind"]) == ("failed", "engine_busy"), run.stderr
    assert "another run uses the engine of used: process" in first["error"]["message"]
    assert "(puller fleet pull other.txt); --lock-wait waits for it" in first["error"]["message"]
    assert not second["error"] or second["error"]["kind"] != "engine_busy"


def info(answer: EngineAnswer) -> None:
    """Be an engine with an ID."""
    answer.answer(json.dumps({"ID": "one"}).encode(), Content_Type="application/json")


@pytest.mark.parametrize(
    "command", [("fleet", "pull", "--policy", "missing", "--retries", "0", "--no-second-pass"), ("prune", "--yes")]
)
def test_a_host_that_is_waited_for_takes_no_place_of_the_others(
    program: Program, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """With one host at a time the second is done while the first waits; then the other run ends, and the first goes."""
    for name in "ab":
        (tmp_path / name).mkdir()
    with FakeEngine(tmp_path / "a", {"/info": info}) as used, FakeEngine(tmp_path / "b", {"/info": info}) as other:
        lock = RunLock(used.host)
        assert lock.take("puller fleet pull other.txt") is None
        order: list[bool] = []

        def end() -> None:
            order.append(wait_until(lambda: bool(other.asked), SECONDS) and not used.asked)
            lock.release()

        thread = threading.Thread(target=end)
        thread.start()
        hosts = ("--host", f"{used.host} name=used", "--host", f"{other.host} name=other", "--parallel-hosts", "1")
        run = program.run(*command, "--image", "127.0.0.1:1/x:1", *hosts, "--lock-wait", "50", "--format", "json")
        thread.join()
        assert order == [True]
        assert used.asked, run.stderr
    assert "another run uses the engine of used: process" in run.stderr
    assert "engine_busy" not in run.stdout
