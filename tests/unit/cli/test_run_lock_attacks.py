"""Another local user can neither keep root's runs away nor switch their lock off."""

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from puller.engine.endpoint import EngineAddress
from puller.errors import PullerError
from puller.prune.pull_record import PullRecord
from puller.system.run_lock import RunLock
from tests.lab import wait_until
from tests.lab.fakes import good_pull
from tests.lab.program import SECONDS
from tests.lab.second_user import NOBODY, as_root
from tests.unit.cli.test_main import Shell

SHARED = (Path("/run/lock"), Path("/tmp"), Path("/var/lock"), Path("/dev/shm"), Path("/var/tmp"))  # noqa: S108
PULL = ("pull", "--image", "nginx", "--backend", "cli")
SECOND_USER = ("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")

pytestmark = as_root


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Give each test a folder of its own, and a docker that is well."""
    shell = Shell(tmp_path)
    shell.docker(pull=good_pull())
    return shell


@pytest.fixture
def foreseeable(shell: Shell) -> Iterator[list[Path]]:
    """Name all places that the second user may write to, and where a lock of this engine could be looked for."""
    identity = EngineAddress("default", shell.environment["DOCKER_HOST"], local=True).identity
    names = {RunLock(identity).path.name, f"puller-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.lock"}
    folders = {folder.resolve() for folder in SHARED if folder.is_dir() and folder.stat().st_mode & 0o002}
    paths = [folder / name for folder in folders for name in names]
    yield paths
    for path in paths:
        path.unlink(missing_ok=True)


def test_a_lock_that_another_user_holds_keeps_root_from_nothing(shell: Shell, foreseeable: list[Path]) -> None:
    """The place of root's lock is one that only root writes to; who holds the common one is said."""
    script = "".join(f"exec {number}>>{path}; flock {number}; " for number, path in enumerate(foreseeable, 3))
    with subprocess.Popen(
        [*SECOND_USER, "bash", "-c", f"{script} echo; exec sleep 60"], stdout=subprocess.PIPE
    ) as held:
        assert held.stdout
        held.stdout.readline()
        try:
            run = shell.run(*PULL, "-q")
        finally:
            held.kill()
    assert run.code == 0
    assert run.stderr.startswith("puller: goes on beside a run of another user: ")


@pytest.mark.parametrize("attack", ["ln -s /nowhere", "mkfifo", "mkdir"])
def test_nothing_of_another_user_switches_the_lock_off(shell: Shell, foreseeable: list[Path], attack: str) -> None:
    """With it in the way, one run still excludes the other."""
    mark, go = shell.folder / "mark", shell.folder / "go"
    shell.docker(pull=f"touch '{mark}'; while [ ! -e '{go}' ]; do sleep 0.02; done\n{good_pull()}")
    for path in foreseeable:
        subprocess.run([*SECOND_USER, "sh", "-c", f"{attack} {path}"], check=True)
    try:
        with shell.start(*PULL, "-q") as first, shell.start(*PULL, "-q", "--lock-wait", "0") as second:
            assert wait_until(lambda: None not in (first.poll(), second.poll()) or mark.exists(), SECONDS)
            wait_until(lambda: first.poll() is not None or second.poll() is not None, 4)
            go.touch()
            codes = {process.wait(SECONDS) for process in (first, second)}
        assert codes == {0, 75}
    finally:
        for path in foreseeable:
            if path.is_dir() and not path.is_symlink():
                path.rmdir()


def test_a_forged_record_of_pulled_images_is_not_believed(theirs: Path) -> None:
    """Else prune would remove what puller never pulled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(theirs))
        record = PullRecord("engine")
        folder = record.path.parent
        forged = '{"schema": "puller.brought/1", "engine": "engine", "images": []}'
        script = f"mkdir -p {folder}; echo '{forged}' >{record.path}"
        subprocess.run([*SECOND_USER, "sh", "-c", script], check=True)
        with pytest.raises(PullerError, match="another user"):
            record.read()
