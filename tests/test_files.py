"""Reports in files: whole or not at all."""

import os
import threading
from pathlib import Path

import pytest

from puller.errors import UsageError
from puller.system import files


def test_a_new_file_is_as_open_as_the_umask_lets_it(tmp_path: Path) -> None:
    """A report is an ordinary file, not a private temporary one."""
    previous = os.umask(0o027)
    try:
        files.write(tmp_path / "report", "✓\n")
    finally:
        os.umask(previous)
    assert (tmp_path / "report").read_text(encoding="utf-8") == "✓\n"
    assert (tmp_path / "report").stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [tmp_path / "report"]


def test_an_old_file_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    """A reader that holds the old file open still sees it whole."""
    path = tmp_path / "report"
    path.write_text("old")
    path.chmod(0o604)
    with path.open() as reader:
        files.write(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o604


def test_a_failing_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk costs the new report, never the old one."""

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "report"
    path.write_text("old")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UsageError, match=r"cannot write .*report: no space left on device"):
        files.write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / "report"]


def test_a_private_file_is_private_whatever_was_there(tmp_path: Path) -> None:
    """Nobody else reads it, also where an old one was open to all."""
    path = tmp_path / "record"
    path.write_text("old")
    path.chmod(0o644)
    files.write(path, "new", private=True)
    files.write(tmp_path / "new", "new", private=True)
    assert [file.stat().st_mode & 0o777 for file in (path, tmp_path / "new")] == [0o600, 0o600]


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    """The next report in the same directory removes it; one that may still be written stays."""
    old, young = tmp_path / ".puller-0123456789abcdef.tmp", tmp_path / ".puller-fedcba9876543210.tmp"
    for file in (old, young):
        file.write_text("half a rep")
    os.utime(old, (1, 1))
    files.write(tmp_path / "report", "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [young.name, "report"]


@pytest.mark.parametrize("exists", [True, False])
def test_a_symlink_stays_and_its_target_is_written(tmp_path: Path, exists: bool) -> None:
    """A link to a report on another disk goes on being a link."""
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "report"
    if exists:
        target.write_text("old")
    link = tmp_path / "link"
    link.symlink_to(target)
    files.check(link)
    files.write(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_devices_and_pipes_are_written_into(tmp_path: Path) -> None:
    """/dev/null stays a device and a FIFO stays a FIFO."""
    files.check(Path(os.devnull))
    files.write(Path(os.devnull), "gone")
    assert Path(os.devnull).is_char_device()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    files.check(fifo)
    writer = threading.Thread(target=files.write, args=(fifo, "through"))
    writer.start()
    assert fifo.read_text() == "through"
    writer.join()


def test_dev_stdout_adds_to_a_redirected_file(tmp_path: Path) -> None:
    """`--report json=/dev/stdout > all` keeps what was printed before and after."""
    path = tmp_path / "all"
    with path.open("w") as file:
        file.write("before ")
        file.flush()
        files.write(Path(f"/dev/fd/{file.fileno()}"), "report ")
        file.write("after")
    assert path.read_text() == "before report after"


def test_a_file_that_is_a_mount_point_is_written_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`docker run -v ./report.json:/report.json` gets its report too."""

    def busy(*_paths: object) -> None:
        raise OSError(16, "Device or resource busy")

    path = tmp_path / "report"
    path.write_text("old and longer")
    monkeypatch.setattr(Path, "replace", busy)
    files.write(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [tmp_path / "report"]


def test_check_refuses_before_the_run_what_write_would_refuse_after(tmp_path: Path) -> None:
    """No directory, a directory, a file as a directory: each says so in one line, and nothing is made."""
    (tmp_path / "file").write_text("")
    for path, reason in (
        (tmp_path / "none" / "report", "there is no directory"),
        (tmp_path, "it is a directory"),
        (tmp_path / "file" / "report", "not a directory"),
    ):
        with pytest.raises(UsageError, match=reason) as refusal:
            files.check(path)
        assert "\n" not in str(refusal.value)
        with pytest.raises(UsageError):
            files.write(path, "text")
    files.check(tmp_path / "report")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_check_refuses_a_directory_that_is_not_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write anywhere, so the kernel's answer is made up here."""
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(UsageError, match="is not writable"):
        files.check(tmp_path / "report")
