"""Two runs of one machine that use the same host: the second waits for that host, or says who uses it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from puller.system.run_lock import RunLock
from tests.lab.fakes import FakeEngine
from tests.lab.program import Program


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
