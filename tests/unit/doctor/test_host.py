"""What is looked at on this host: other pulls, dockerd's own settings, room, clocks."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from puller.doctor.daemon import Daemon, examine_downloads, read_options
from puller.doctor.findings import Finding, Subject, compare_clocks
from puller.doctor.host import examine_cache, examine_disk, examine_overlaps, is_pull
from puller.engine import EngineAddress
from puller.engine.model import EngineInfo


def test_the_layers_that_puller_keeps_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what frees the space; nothing is said of a folder that does not exist."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert [*examine_cache()] == []
    parts = tmp_path / "puller/blobs/parts"
    parts.mkdir(parents=True)
    (parts / "some.part").write_bytes(bytes(4 << 20))
    (found,) = examine_cache()
    assert found.status == "ok"
    assert "puller keeps 4.2MB of layers" in found.words
    assert found.words.endswith(f"rm -r {tmp_path}/puller")


@pytest.mark.parametrize(
    ("line", "pull"),
    [
        ("docker pull nginx", True),
        ("/usr/bin/docker --host unix:///x image pull nginx", True),
        ("docker compose -f a.yml pull", True),
        ("docker-compose pull", True),
        ("xargs -P3 -n1 docker pull", True),
        ("/usr/bin/python3 /usr/local/bin/puller pull images.txt", True),
        ("python3 -m puller pull images.txt", True),
        ("docker run busybox pull", False),
        ("docker push pull", False),
        ("git pull", False),
        ("xargs git pull", False),
        ("puller doctor images.txt", False),
        ("vim puller pull", False),
    ],
)
def test_pulls_are_told_by_their_command_lines(line: str, pull: bool) -> None:
    """Everything that pulls images, and nothing else that has the word in it."""
    assert is_pull(line.split()) is pull


def test_a_pull_that_runs_now_is_named(tmp_path: Path) -> None:
    """With its number, for whoever wants to look at it; its password is not shown."""
    (tmp_path / "pull").touch()
    (tmp_path / "password=hunter2").touch()
    argv = ["docker", "pull", "password=hunter2", "-f"]
    with subprocess.Popen(argv, executable="/usr/bin/tail", cwd=tmp_path, stdout=subprocess.DEVNULL) as pull:
        try:
            (found,) = examine_overlaps(EngineAddress("default", "unix:///x.sock"))
        finally:
            pull.kill()
    assert (found.status.value, found.check) == ("warning", "pulls")
    assert str(pull.pid) in found.fix
    assert "hunter2" not in found.words


@pytest.mark.parametrize(
    ("options", "environment", "shared"),
    [
        ((), {}, True),
        ((), {"DOCKER_HOST": "unix:///x.sock"}, True),
        ((), {"DOCKER_HOST": "unix:///y.sock"}, False),
        (("-H", "unix:///y.sock"), {"DOCKER_HOST": "unix:///x.sock"}, False),
        (("--host=unix:///x.sock",), {}, True),
        (("--context", "other"), {}, False),
        (("--context", "default"), {}, True),
    ],
)
def test_pulls_of_other_engines_are_left_out(
    options: tuple[str, ...], environment: dict[str, str], shared: bool, tmp_path: Path
) -> None:
    """They share neither the engine nor its disk."""
    (tmp_path / "pull").write_text("read -r line")
    argv = ["docker", "pull", *options, "nginx"]
    with subprocess.Popen(argv, executable="/bin/bash", cwd=tmp_path, env=environment, stdin=subprocess.PIPE) as pull:
        try:
            (found,) = examine_overlaps(EngineAddress("default", "unix:///x.sock"))
        finally:
            pull.kill()
    assert (f"{pull.pid}: docker pull" in found.words) is shared


def test_options_of_dockerd_in_both_spellings() -> None:
    """As one word or as two; a switch before another option has no value."""
    words = ("-H", "fd://", "--max-concurrent-downloads", "7", "--live-restore", "--config-file=/x.json")
    assert read_options(words) == {"max-concurrent-downloads": "7", "live-restore": "", "config-file": "/x.json"}


def limit(facts: EngineInfo, daemon: Daemon | None, jobs: int = 3) -> Finding:
    """Give what is said of downloads."""
    return next(iter(examine_downloads(facts, daemon, jobs)))


def test_what_the_limit_means_depends_on_the_store() -> None:
    """One limit for all, or one for each pull, as containerd stores have it before 29.7."""
    daemon = Daemon(Path("/d.json"), {"max-concurrent-downloads": 5})
    graph = limit(EngineInfo(version="28.5.2"), daemon, 8)
    assert (graph.status.value, "is 5, for all pulls" in graph.words) == ("warning", True)
    few = limit(EngineInfo(version="28.5.2"), daemon)
    assert (few.status.value, few.words.endswith("2.4 times as fast")) == ("ok", True)
    assert graph.fix.startswith('# add to /d.json: "max-concurrent-downloads": 10\n')
    each = limit(EngineInfo(version="29.6.1", keeps_platforms=True), daemon, 8)
    assert (each.status.value, "-j 8 means up to 40 layers at once" in each.words) == ("ok", True)
    assert limit(EngineInfo(version="29.7.0", keeps_platforms=True), daemon, 8).status.value == "warning"
    assert limit(EngineInfo(), Daemon(Path("/d.json"), {"max-concurrent-downloads": 12})).fix == ""
    assert "not known to be on this host; the default is 3" in limit(EngineInfo(local=False), None).words


def test_unpigz_is_looked_for_where_the_daemon_looks(tmp_path: Path) -> None:
    """On its PATH and not on ours; igzip does as well where containerd unpacks; and it may be switched off."""

    def unpacking(facts: EngineInfo, **environment: str) -> str:
        daemon = Daemon(Path("/d.json"), environment=environment)
        found = list(examine_downloads(facts, daemon, 3))[1]
        return f"{found.status.value}: {found.words} {found.fix}"

    graph, containerd, path = EngineInfo(), EngineInfo(keeps_platforms=True), str(tmp_path)
    assert unpacking(graph, PATH=path).endswith("1.3 times as fast with it sudo apt-get install pigz")
    assert "1.3 times as fast with it sudo apt-get install isal" in unpacking(containerd, PATH=path)
    (tmp_path / "igzip").touch(0o755)
    assert unpacking(graph, PATH=path).startswith("warning")
    assert unpacking(containerd, PATH=path) == f"ok: layers are decompressed by {path}/igzip "
    (tmp_path / "unpigz").touch(0o755)
    assert unpacking(graph, PATH=path) == f"ok: layers are decompressed by {path}/unpigz "
    assert "MOBY_DISABLE_PIGZ is set" in unpacking(graph, PATH=path, MOBY_DISABLE_PIGZ="true")


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[EngineInfo]:
    """Pretend that an engine keeps its data on a disk of this kind."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "puller", str(folder)], check=True)
    try:
        yield EngineInfo(data_root=str(folder), local=True)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_inodes_run_out_before_bytes(tmp_path: Path) -> None:
    """A disk with room for bytes and none for files fails, and the shares are said."""
    with mounted(tmp_path / "few", "size=12g,nr_inodes=200") as facts:
        for number in range(199):
            (tmp_path / "few" / str(number)).touch()
        space, inodes = examine_disk(facts)
    assert (space.status.value, inodes.status.value) == ("ok", "failed")
    assert "0% are free" in inodes.words
    assert inodes.fix.startswith(f"df -i {tmp_path}/few")


def test_a_disk_that_cannot_be_seen_is_no_failure() -> None:
    """An engine on another host has a disk of its own."""
    (found,) = examine_disk(EngineInfo(data_root="/var/lib/docker", local=False))
    assert (found.status.value, found.words) == ("ok", "unknown: the engine is not known to be on this host")


@pytest.mark.parametrize(("seconds", "status"), [(10, "ok"), (-60, "warning"), (400, "failed"), (-7200, "failed")])
def test_clocks(seconds: int, status: str) -> None:
    """A slow answer is no skew; minutes are; either side may be ahead."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    found = compare_clocks(Subject("x.io"), "its", now + timedelta(seconds=seconds), now)
    assert found.status.value == status
    assert status == "ok" or ("behind" if seconds < 0 else "ahead of") in found.words
