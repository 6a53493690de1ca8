"""Where a case plays: an engine, registries, a proxy of its own that does the harm, and puller as a process."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.engine.conftest import Puller
from tests.lab import Engine, EngineBinary, Proxy, PushedImage, Registry, layer, push_image
from tests.lab.process import WorldError

BLOB_BYTES = 300_000
ENGINE_OPTIONS = ("--max-concurrent-downloads=2000", "--max-download-attempts=1")
"""Slots enough for all cases and for hostile manifests with many layers, and none of the engine's own retries."""


@dataclass(frozen=True)
class Lab:
    """What the cases share."""

    engine: Engine
    registry: Registry
    guarded: Registry
    """Lets in its account only."""

    @property
    def binary(self) -> EngineBinary:
        """Which engine it is."""
        return self.engine.binary


class Scene:
    """One case with one backend, being played."""

    def __init__(self, lab: Lab, name: str, folder: Path) -> None:
        self.lab = lab
        self.store = lab.binary.store
        self.name = name
        self.folder = folder
        self.puller = Puller(lab.engine.host, folder)
        self.closing = contextlib.ExitStack()
        self.proxy = self.closing.enter_context(Proxy(lab.registry))
        self.busy: Callable[[], bool] = lambda: self.proxy.in_flight() > 0
        """Whether something is still asked of what does the harm."""
        self.awaited = ""
        """What must be asked for before the engine is harmed."""

    def push(self, size: int = BLOB_BYTES, role: str = "bad", registry: Registry | None = None) -> PushedImage:
        """Push an image of one layer which no other case has."""
        repository = f"{self.name}/{role}"
        return push_image(registry or self.lab.registry, repository, layers=[layer(repository, size)])

    def good(self, *, in_line: bool) -> list[str]:
        """Push the images behind the bad one, and name them at a registry that is well, or `in_line` at its own."""
        images = [self.push(1000, f"good{number}") for number in range(2)]
        return [image.at(self.proxy.address) if in_line else image.reference for image in images]


Stage = Callable[[Lab], AbstractContextManager[Lab]]


@contextmanager
def shared(lab: Lab) -> Iterator[Lab]:
    """Play on the engine of all cases."""
    yield lab


@contextmanager
def own_engine(lab: Lab) -> Iterator[Lab]:
    """Play on an engine that may be harmed."""
    with Engine(lab.binary, options=ENGINE_OPTIONS) as engine:
        yield replace(lab, engine=engine)


@contextmanager
def own_world(lab: Lab) -> Iterator[Lab]:
    """Play on an engine and a registry of one's own, as a secluded case must."""
    with Registry() as registry, own_engine(replace(lab, registry=registry)) as own:
        yield own


def small_disk(megabytes: int) -> Stage:
    """Play on an engine whose data has so much room and no more."""

    @contextmanager
    def stage(lab: Lab) -> Iterator[Lab]:
        engine = Engine(lab.binary, options=ENGINE_OPTIONS)
        engine.data_root.mkdir()
        disk = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "puller", str(engine.data_root)]
        try:
            done = subprocess.run(disk, capture_output=True, text=True, check=False)
            if done.returncode:
                raise WorldError(f"no small disk: {done.stderr.strip()}")
            engine.start()
            yield replace(lab, engine=engine)
        finally:
            engine.stop()

    return stage


@contextmanager
def locked_engine(lab: Lab) -> Iterator[Lab]:
    """Play on an engine whose socket belongs to somebody else."""
    with own_engine(lab) as own:
        os.chown(own.engine.socket, 65534, 65534)
        own.engine.socket.chmod(0o600)
        yield own


UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")
"""Makes of root a user like others, to whom the mode of a file applies."""


@contextmanager
def scene_of(lab: Lab, name: str) -> Iterator[Scene]:
    """Set a scene and clear it away."""
    folder = Path(tempfile.mkdtemp(prefix="puller-"))
    try:
        scene = Scene(lab, name, folder)
        with scene.closing:
            yield scene
    finally:
        shutil.rmtree(folder, ignore_errors=True)
