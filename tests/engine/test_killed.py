"""SIGKILL at any moment of any verb: nothing is corrupt, nothing is orphaned, and the next run finishes."""

import contextlib
import os
import random
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.conftest import Puller
from tests.lab import Engine, Registry, family, wait_until
from tests.lab.program import SECONDS

VERBS = {
    "pull": ("pull", "--backend", "api", "--report", "html=r.html", "--report", "prometheus=r.prom"),
    "pull by the command": ("pull", "--backend", "cli"),
    "prefetch": ("pull", "--prefetch=always"),
    "to": ("pull", "--to", "oci:layout"),
    "lock": ("lock", "-o", "images.lock"),
    "prune": ("prune", "--yes", "--keep-last", "1"),
}
LOOPBACK = re.compile(r"127\.0\.0\.1:\d+/[0-9a-f]{32}/")

LOCK_HEADER = 4
"""Lines of a lock file above its images."""


@pytest.fixture(scope="module")
def references(registry: Registry) -> list[str]:
    """Push some images with layers in common."""
    images = family(registry, 6, prefix="killed/app", bases=2, base_layers=2, base_size=400_000, own_size=300_000)
    return [image.reference for image in images]


@pytest.mark.parametrize("verb", VERBS)
def test_a_killed_run_costs_the_next_one_nothing(
    engine: Engine, references: list[str], puller: Puller, verb: str, pytestconfig: pytest.Config
) -> None:
    """The next one succeeds, every file that it leaves is whole, and no process, name or lock is left over."""
    whole = puller.list(*references)
    listed = puller.list(*references[:2], name="few.txt") if verb == "prune" else whole
    chance = random.Random(verb)
    puller.run("pull", whole)  # so that what a first run makes is there
    seconds = _seconds_of(puller, verb, listed, engine)
    for _ in range(pytestconfig.getoption("--kills")):
        _prepare(engine, puller, verb, whole)
        process = puller.start(*VERBS[verb], listed)
        time.sleep(seconds * chance.uniform(0.1, 0.9))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert wait_until(lambda: not list(_programs(puller)), SECONDS), "a program of the killed run goes on"
        run = puller.run(*VERBS[verb], listed)
        assert run.code == 0, run.stderr
        assert _names_on_loopback(engine) == []
        assert [path for path in puller.folder.rglob(".puller-*.tmp") if path.is_file()] == []
        if verb == "lock":
            assert len((puller.folder / "images.lock").read_text().splitlines()) == LOCK_HEADER + len(references)
        elif verb == "to":
            assert puller.run("load", "layout").code == 0
        if verb in ("pull", "pull by the command", "prefetch"):
            assert puller.run("verify", whole).code == 0


def _prepare(engine: Engine, puller: Puller, verb: str, whole: str) -> None:
    """Give the verb something to do."""
    if verb == "prune":
        assert puller.run("pull", whole).code == 0
    elif verb != "lock":
        engine.wipe()


def _seconds_of(puller: Puller, verb: str, listed: str, engine: Engine) -> float:
    """Measure a run that nobody kills, with the start of Python."""
    _prepare(engine, puller, verb, str(puller.folder / "images.txt"))
    began = time.monotonic()
    process = puller.start(*VERBS[verb], listed)
    process.communicate()
    assert process.returncode == 0
    return time.monotonic() - began


def _programs(puller: Puller) -> Iterator[int]:
    """Find the processes that run with this test's docker configuration."""
    wanted = f"DOCKER_CONFIG={puller.docker_config}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(folder.name) != os.getpid() and wanted in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)


def _names_on_loopback(engine: Engine) -> list[str]:
    names = [name for image in engine.images() for name in (*(image["RepoDigests"] or ()), *(image["RepoTags"] or ()))]
    return [name for name in names if LOOPBACK.match(name)]
