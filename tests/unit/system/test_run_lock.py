"""The lock of an engine: who has it, who is told so, and what a killed run or another user leaves behind."""

import fcntl
import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from puller.system import run_lock as runlock
from puller.system.run_lock import Holder, RunLock

ME = os.getpid()
NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a directory like /run/lock, that nobody else uses; pytest's own are closed to other users."""
    with TemporaryDirectory(prefix="puller-") as folder:
        made = Path(folder)
        made.chmod(0o1777)
        monkeypatch.setattr(runlock, "PLACES", (made / "none", made))
        monkeypatch.setattr(runlock, "ROOT_PLACE", Path("/dev/null/none"))  # for all users the same
        yield made


@contextmanager
def user(uid: int) -> Iterator[None]:
    """Be another user, as far as files are concerned."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_second_run_is_told_who_has_the_engine(place: Path) -> None:
    """Process, user, since when and what for, in one line; another engine is free."""
    first, second, other = RunLock("unix:///a"), RunLock("unix:///a"), RunLock("unix:///b")
    assert first.take("puller pull images.txt") is None
    holder = second.take("puller pull more.txt")
    assert holder
    assert (holder.pid, holder.user) == (ME, pwd.getpwuid(os.geteuid()).pw_name)
    assert holder.doing == "puller pull images.txt"
    assert holder.since
    assert abs(datetime.now(UTC) - holder.since) < timedelta(minutes=1)
    assert other.take("") is None
    assert str(Holder(7, "root", datetime(2026, 11, 23, 3, tzinfo=UTC), "puller pull -")) == (
        "process 7 of root since 2026-11-23T03:00:00Z (puller pull -)"
    )
    assert "container" in str(Holder())
    first.release()
    assert second.take("") is None
    second.release()
    other.release()
    assert list(place.iterdir()) == []


def test_what_a_killed_run_left_is_nobodys_lock(place: Path) -> None:
    """The next run takes it, and its own note stands there."""
    killed = RunLock("engine")
    killed.path.write_text("1\npuller pull old.txt\n")
    mine = RunLock("engine")
    assert mine.take("puller pull new.txt") is None
    assert mine.path.read_text() == f"{ME}\npuller pull new.txt\n"
    mine.release()
    assert list(place.iterdir()) == []


def test_a_note_is_shown_as_far_as_it_can_be_true(place: Path) -> None:
    """A process that has ended holds nothing; what a note would do to a terminal is not shown."""
    lock = RunLock("engine")
    with subprocess.Popen(["true"]) as ended:
        pass
    for note in (f"{ended.pid}\npuller pull old.txt\n", "mallory\n", f"{10**30}\n", "0\n", ""):
        lock.path.write_text(note)
        with lock.path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            assert lock.take("") == Holder()
    lock.path.write_text(f"{ME}\n\x1b[31mred\n")
    with lock.path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        holder = lock.take("")
    assert holder
    assert (holder.pid, holder.doing) == (ME, "red")


def test_a_lock_that_was_removed_under_its_holder_is_not_waited_for(place: Path) -> None:
    """A clean-up of temporary files costs the exclusion and not the runs; nobody removes what is another's then."""
    first, second = RunLock("engine"), RunLock("engine")
    assert first.take("") is None
    first.path.unlink()
    assert second.take("") is None
    first.release()
    assert second.path.exists()
    second.release()


@as_root
def test_users_exclude_each_other(place: Path) -> None:
    """Whoever comes first, and whatever the umask: the other can look, cannot take and cannot forge."""
    before = os.umask(0o077)
    try:
        for first, second in ((NOBODY, 0), (0, NOBODY)):
            ours, theirs = RunLock("engine"), RunLock("engine")
            with user(first):
                assert ours.take("puller pull a") is None
            with user(second):
                holder = theirs.take("puller pull b")
            assert holder
            assert (holder.pid, holder.doing) == (ME, "puller pull a")
            with user(first):
                ours.release()
            assert list(place.iterdir()) == []
    finally:
        os.umask(before)


@as_root
def test_what_another_users_killed_run_left_is_locked_as_it_is(place: Path) -> None:
    """It cannot be removed, and it serves all the same; what stands there is of the killed run, and is not shown."""
    ours, theirs = RunLock("engine"), RunLock("engine")
    with subprocess.Popen(["true"]) as killed:
        pass
    ours.path.write_text(f"{killed.pid}\npuller pull old.txt\n")
    with user(NOBODY):
        assert ours.take("puller pull new.txt") is None
        holder = theirs.take("")
    assert holder == Holder()
    with user(NOBODY):
        ours.release()
    assert theirs.take("") is None
    theirs.release()
    assert list(place.iterdir()) == []


@as_root
def test_no_user_keeps_roots_runs_away(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root's lock is where only root writes; what others hold or put in the way is told, and they see root's run."""
    monkeypatch.setattr(runlock, "ROOT_PLACE", place / "root")
    first, second = RunLock("engine"), RunLock("engine")
    with user(NOBODY):
        theirs = RunLock("engine")
        assert theirs.take("puller pull a") is None
    assert first.take("puller pull b") is None
    assert first.note.startswith(f"goes on beside a run of another user: process {ME} of ")
    holder = second.take("puller pull c")
    assert holder
    assert (holder.user, holder.doing) == ("root", "puller pull b")
    first.release()
    with user(NOBODY):
        theirs.release()
        theirs.path.symlink_to("/nowhere")
    assert second.take("") is None
    assert second.note.startswith("other users cannot see this run: ")
    second.release()
    theirs.path.unlink()
    assert first.take("puller pull d") is None
    with user(NOBODY):
        holder = theirs.take("")
    assert holder
    assert holder.doing == "puller pull d"
    first.release()


@as_root
def test_roots_place_must_be_roots(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that others own is not used; then the common lock is the only one."""
    monkeypatch.setattr(runlock, "ROOT_PLACE", place / "root")
    with user(NOBODY):
        (place / "root").mkdir()
    lock = RunLock("engine")
    assert lock.path.parent == place


def test_no_link_is_followed(place: Path, tmp_path: Path) -> None:
    """What somebody put there to have another file written is refused."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    lock = RunLock("engine")
    for target in (victim, tmp_path / "to-be-made"):
        lock.path.symlink_to(target)
        with pytest.raises(OSError, match=r"puller-.*\.lock"):
            lock.take("")
        lock.path.unlink()
    os.link(victim, lock.path)
    assert lock.take("") is None
    lock.release()
    assert victim.read_text() == "precious"
    assert not (tmp_path / "to-be-made").exists()


def test_the_place_is_open_to_everybody(place: Path) -> None:
    """A directory that only root may use is passed over, so that all users meet; without any, it is said."""
    place.chmod(0o755)
    with pytest.raises(OSError, match="no sticky directory that everybody may write to"):
        RunLock("engine")
