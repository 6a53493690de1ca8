"""Secrets in the URLs of lists reach neither files that others read nor any output."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from puller.engine.endpoint import EngineAddress
from puller.lockfile.lockfile import origin, render
from puller.system.run_lock import RunLock
from tests.lab import wait_until
from tests.lab.fakes import good_pull
from tests.lab.http_server import saying, serving
from tests.lab.program import SECONDS
from tests.unit.cli.test_main import Shell

SECRET = "s3cr3tS3CR3T"
PINNED = b"127.0.0.1:1/app@sha256:" + b"a" * 64 + b"\n"
LIST = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(PINNED), PINNED)


@pytest.mark.parametrize(
    "url",
    [
        "http://{address}/images.txt?key={secret}",
        "http://" + "name" * 45 + ":{secret}@{address}/images.txt",
        "http://user:p@ss/{secret}@{address}/images.txt",
        "http://{address}/images.txt#{secret}",
    ],
    ids=["parameter", "password that is cut", "password with a slash", "fragment"],
)
def test_a_secret_of_a_url_is_shown_nowhere(tmp_path: Path, url: str) -> None:
    """Not in the run lock, which everybody may read, the report, the history, the lock file or a message."""
    shell = Shell(tmp_path)
    mark, go = tmp_path / "mark", tmp_path / "go"
    shell.docker(pull=f"touch '{mark}'; while [ ! -e '{go}' ]; do sleep 0.02; done\n{good_pull()}")
    address = EngineAddress("default", shell.environment["DOCKER_HOST"], local=True)
    with serving(saying(LIST)) as server:
        listed = url.format(secret=SECRET, address=server.address)
        with shell.start(
            "pull", listed, "--backend", "cli", "-v", "--retries", "0", "--no-second-pass", "--report", "json=o.json"
        ) as process:
            assert wait_until(lambda: mark.exists() or process.poll() is not None, SECONDS)
            lock = RunLock(address.identity).path
            texts = [lock.read_text()] if lock.exists() else []
            go.touch()
            texts += process.communicate(timeout=SECONDS)
        for arguments in (("lock", listed, "-o", "images.lock"), ("list", listed, "--sources")):
            run = shell.run(*arguments)
            texts += [run.stdout, run.stderr]
    texts += [path.read_text() for path in (tmp_path / "state").rglob("*") if path.is_file()]
    texts += [path.read_text() for path in (tmp_path / "o.json", tmp_path / "images.lock") if path.exists()]
    assert [text for text in texts if SECRET in text] == []


def test_a_lock_file_names_its_sources_without_their_secrets() -> None:
    """The header of a lock file is committed to repositories."""
    source = f"https://user:{SECRET}@example.com/images.txt?{SECRET}#{SECRET}"
    text = render({}, origin([source], "puller lock"), datetime.now(UTC), "1")
    assert SECRET not in text
    assert "https://example.com/images.txt" in text
