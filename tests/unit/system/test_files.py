"""Reports in files: whole or not at all."""

import os
import stat
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from puller.errors import UsageError
from puller.system import directories, files
from tests.lab.second_user import as_root, attack


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


def test_an_old_file_is_replaced_and_its_mode_is_not_taken_over(tmp_path: Path) -> None:
    """A reader that holds the old file open still sees it whole."""
    path = tmp_path / "report"
    path.write_text("old")
    path.chmod(0o666)
    with path.open() as reader:
        files.write(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o7777 == 0o644


def test_a_failing_write_leaves_the_old_file_and_no_other(tmp_path: Path, mocker: MockerFixture) -> None:
    """A full disk costs the new report, never the old one."""
    path = tmp_path / "report"
    path.write_text("old")
    mocker.patch("os.fsync", side_effect=OSError(28, "No space left on device"))
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


def test_what_a_killed_run_left_is_removed_at_once_and_nobody_elses(tmp_path: Path) -> None:
    """Temporary files of writers that live are left alone, however long they take."""
    path = tmp_path / "report"
    (tmp_path / ".puller-dead.tmp").touch()
    with files.replacing(path) as slow:
        slow.write(b"slow")
        files.write(tmp_path / "other", "quick")
        assert len(list(tmp_path.glob(".puller-*"))) == 1
    assert path.read_text() == "slow"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["other", "report"]


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_is_refused_and_stays(tmp_path: Path, exists: bool) -> None:
    """Before the run and after it: whose link it is cannot be told for sure."""
    target, link = tmp_path / "target", tmp_path / "link"
    if exists:
        target.write_text("old")
    link.symlink_to(target)
    for act in (files.check, lambda path: files.write(path, "new")):
        with pytest.raises(UsageError, match=r"link: it is a symbolic link, which is not followed; name what it point"):
            act(link)
    assert link.is_symlink()
    assert target.exists() == exists


def test_own_links_among_the_parents_are_followed(tmp_path: Path) -> None:
    """`/var/run` is one on every host; absolute, relative and dangling ones, and a ring of them."""
    (tmp_path / "there").mkdir()
    (tmp_path / "absolute").symlink_to(tmp_path / "there")
    (tmp_path / "there/up").symlink_to("../absolute")
    (tmp_path / "ring").symlink_to("ring")
    (tmp_path / "dangling").symlink_to("nowhere")
    files.check(tmp_path / "absolute/up/report")
    files.write(tmp_path / "absolute/up/../there/report", "text")
    assert files.read(tmp_path / "there/report") == "text"
    for name, reason in (("ring", "too many levels of symbolic links"), ("dangling", "there is no directory")):
        with pytest.raises(UsageError, match=reason):
            files.check(tmp_path / name / "report")


def test_devices_are_written_into(tmp_path: Path) -> None:
    """/dev/null stays a device."""
    files.check(Path(os.devnull))
    files.write(Path(os.devnull), "gone")
    assert Path(os.devnull).is_char_device()


def test_a_relative_path_starts_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--report json=report.json` is the usual one."""
    monkeypatch.chdir(tmp_path)
    files.check(Path("report"))
    files.write(Path("report"), "text")
    files.append(Path("./report"), b" and more")
    assert (tmp_path / "report").read_text() == "text and more"


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    """Written or refused, read or missing."""
    (tmp_path / "ring").symlink_to("ring")
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 - names are enough
    files.write(tmp_path / "report", "text")
    files.read(tmp_path / "report")
    for path in (tmp_path / "none/report", tmp_path / "report/report", tmp_path / "ring/report", tmp_path / "ring"):
        with pytest.raises(UsageError):
            files.write(path, "text")
    with pytest.raises(FileNotFoundError):
        files.read(tmp_path / "none")
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208 - as above


def test_dev_stdout_adds_to_a_redirected_file(tmp_path: Path) -> None:
    """`--report json=/dev/stdout > all` keeps what was printed before and after."""
    path = tmp_path / "all"
    with path.open("w") as file:
        file.write("before ")
        file.flush()
        files.write(Path(f"/dev/fd/{file.fileno()}"), "report ")
        file.write("after")
    assert path.read_text() == "before report after"


def test_a_file_that_is_a_mount_point_is_written_in_place(tmp_path: Path, mocker: MockerFixture) -> None:
    """`docker run -v ./report.json:/report.json` gets its report too."""
    path = tmp_path / "report"
    path.write_text("old and longer")
    mocker.patch("os.rename", side_effect=OSError(16, "Device or resource busy"))
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


def test_check_refuses_a_directory_that_is_not_writable(tmp_path: Path, mocker: MockerFixture) -> None:
    """Root may write anywhere, so the kernel's answer is made up here."""
    mocker.patch("os.access", return_value=False)
    with pytest.raises(UsageError, match="is not writable"):
        files.check(tmp_path / "report")


@as_root
def test_roots_report_takes_no_mode_from_another_users_file(theirs: Path) -> None:
    """A set-user-ID file of root's that anybody may write would make anybody root."""
    attack("echo '#!/bin/sh' >puller.prom; chmod 06777 puller.prom", theirs)
    path = theirs / "puller.prom"
    files.check(path)
    files.write(path, "metrics\n")
    node = path.stat()
    assert (node.st_uid, stat.S_IMODE(node.st_mode), path.read_text()) == (0, 0o644, "metrics\n")


@as_root
@pytest.mark.parametrize("private", [False, True])
def test_roots_report_goes_through_no_link_of_another_user(theirs: Path, private: bool) -> None:
    """Neither an old file nor a new one elsewhere is written, and what only root reads is not read."""
    secret = theirs.parent / "secret"
    secret.write_text("root's\n")
    secret.chmod(0o600)
    attack("ln -s ../secret puller.prom; ln -s ../new dangling.prom", theirs)
    for name in ("puller.prom", "dangling.prom"):
        files.check(theirs / name)  # says nothing: this must not prevent the run
        with pytest.raises(UsageError, match=r"it is a symbolic link, which is not followed; name what it points to"):
            files.write(theirs / name, "x", private=private)
        with pytest.raises(OSError, match="it is a symbolic link"):
            files.read(theirs / name)
    assert secret.read_text() == "root's\n"
    assert {path.name for path in theirs.parent.iterdir()} == {"secret", "theirs"}


@as_root
def test_root_waits_at_no_fifo_of_another_user(theirs: Path) -> None:
    """Nobody reads or writes the other end, and puller goes on at once."""
    attack("mkfifo puller.prom", theirs)
    path = theirs / "puller.prom"
    files.check(path)
    for act in (files.read, lambda fifo: files.write(fifo, "x"), lambda fifo: files.append(fifo, b"x")):
        with pytest.raises((UsageError, OSError), match="it is a FIFO"):
            act(path)
    assert path.is_fifo()


@as_root
def test_a_directory_swapped_for_a_link_sends_nothing_elsewhere(theirs: Path) -> None:
    """Between check and write another user puts a link in the place of the directory."""
    attack("mkdir metrics", theirs)
    path = theirs / "metrics" / "puller.prom"
    only_roots = theirs.parent / "only-roots"
    only_roots.mkdir(mode=0o700)
    files.check(path)
    attack("mv metrics gone; ln -s ../only-roots metrics", theirs)
    with pytest.raises(UsageError, match="has a symbolic link of another user in it"):
        files.write(path, "x")
    with pytest.raises(OSError, match="a symbolic link of another user"):
        directories.make_directory(theirs / "metrics" / "made")
    assert list(only_roots.iterdir()) == []


@as_root
def test_a_directory_swapped_in_the_midst_of_a_write_sends_nothing_elsewhere(theirs: Path) -> None:
    """The directory is opened once: the new file takes its name where it was made."""
    attack("mkdir metrics", theirs)
    only_roots = theirs.parent / "only-roots"
    only_roots.mkdir(mode=0o700)
    with files.replacing(theirs / "metrics" / "puller.prom") as file:
        attack("mv metrics gone; ln -s ../only-roots metrics", theirs)
        file.write(b"x")
    assert list(only_roots.iterdir()) == []
    assert [path.name for path in (theirs / "gone").iterdir()] == ["puller.prom"]


@as_root
def test_root_reads_no_old_file_of_another_user(theirs: Path) -> None:
    """What somebody else wrote is not carried on; what root wrote is."""
    attack("echo theirs >puller.prom", theirs)
    with pytest.raises(OSError, match="it belongs to another user"):
        files.read(theirs / "puller.prom")
    files.write(theirs / "puller.prom", "ours")
    assert files.read(theirs / "puller.prom") == "ours"


@as_root
def test_a_lock_follows_no_link_of_another_user(theirs: Path) -> None:
    """The file of a lock is made in its place, or not at all."""
    attack("ln -s ../made store.lock", theirs)
    with pytest.raises(OSError, match="symbolic link"), files.locked(theirs / "store.lock", 0):
        pass
    assert not (theirs.parent / "made").exists()


def test_only_regular_files_are_opened_for_reading(tmp_path: Path) -> None:
    """A FIFO, a device and a directory are refused at once; the process's own pipes and /dev/null are not."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    for path, words in ((tmp_path / "fifo", "not a regular file"), (Path("/dev/zero"), "not a regular file"),
                        (tmp_path, "Is a directory"), (tmp_path / "none", "No such file")):  # fmt: skip
        with pytest.raises(OSError, match=words):
            files.open_regular(path)
    reader, writer = os.pipe()
    os.write(writer, b"piped")
    os.close(writer)
    for path, data in ((tmp_path / "link", b"x"), (Path(os.devnull), b""), (Path(f"/dev/fd/{reader}"), b"piped")):
        with files.open_regular(path) as file:
            assert file.read() == data
    os.close(reader)


def test_own_directories_are_private_whatever_the_umask(tmp_path: Path) -> None:
    """Nobody else can put something into them; one into which others may write is refused."""
    before = os.umask(0)
    try:
        directories.make_directory(tmp_path / "a/b")
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b")] == [0o700, 0o700]
    (tmp_path / "a/b").chmod(0o720)
    with pytest.raises(OSError, match="can be written by other users"):
        directories.make_directory(tmp_path / "a/b")


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """With all of its path, whichever part of it is the reason."""
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file/a/b", Path("/proc/nowhere/a")):
        with pytest.raises(OSError, match=f"the directory {path} cannot be used: N"):
            directories.make_directory(path)


def test_only_an_empty_directory_is_removed(tmp_path: Path) -> None:
    """One that has something in it stays, and one that does not exist is no error."""
    (tmp_path / "full/empty").mkdir(parents=True)
    for name in ("full", "full/empty", "nowhere"):
        directories.remove_if_empty(tmp_path / name)
    assert [each.name for each in tmp_path.rglob("*")] == ["full"]


@as_root
def test_a_directory_of_another_user_is_not_taken_for_ours(theirs: Path) -> None:
    """Whoever owns it can replace what is in it."""
    theirs.chmod(0o700)
    with pytest.raises(OSError, match="belongs to another user"):
        directories.make_directory(theirs)
