"""Where scenarios take place: engines, a registry and slow wires to it, each started at first need."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.benchmark.contender import COMPOSE, LIST
from scripts.benchmark.process import Running
from tests.lab import Engine, Registry, WorldError, parse
from tests.lab.wire import SlowWire

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack

    from scripts.benchmark.contender import Contender, Contenders
    from scripts.benchmark.sample import Sample

ROOT = Path(__file__).resolve().parents[2]
_DROPPED = ("DOCKER_", "PULLER_", "PYTHONDONTWRITEBYTECODE")
"""Not PYTHONDONTWRITEBYTECODE: Python would compile puller in every run, which no user's does."""


@dataclass(frozen=True, slots=True)
class Names:
    """A list of images in the forms in which contenders take it."""

    references: tuple[str, ...]
    text: Path
    compose: Path


class Place:
    """One machine's worth of engines and registries; all of it goes with the stack."""

    def __init__(self, stack: ExitStack, engine: str, contenders: Contenders, *, quick: bool = False) -> None:
        """`engine` is a spec of `tests.lab`; `quick` makes every world small. Raises WorldError without docker."""
        if shutil.which("docker") is None:
            raise WorldError("the docker command is not installed")
        self._stack = stack
        self._binary = parse(engine)
        self._engines: dict[int | None, Engine] = {}
        self._registry: Registry | None = None
        self._wires: dict[tuple[int, float], SlowWire] = {}
        self.contenders = contenders
        self.quick = quick
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="puller-")))

    @property
    def registry(self) -> Registry:
        """The registry."""
        if self._registry is None:
            self._registry = self._stack.enter_context(Registry(lean=True))
        return self._registry

    def engine(self, downloads: int | None = None) -> Engine:
        """Return the engine that downloads so many layers at a time."""
        if downloads not in self._engines:
            options = () if downloads is None else (f"--max-concurrent-downloads={downloads}",)
            self._engines[downloads] = self._stack.enter_context(Engine(self._binary, options=options))
        return self._engines[downloads]

    def wire(self, bytes_per_second: int = 0, latency: float = 0.0) -> SlowWire:
        """Return a way to the registry that is slow for each connection."""
        key = (bytes_per_second, latency)
        if key not in self._wires:
            self._wires[key] = self._stack.enter_context(SlowWire(self.registry.address, *key))
        return self._wires[key]

    def names(self, references: Sequence[str]) -> Names:
        """Write a list, and a Compose file that means the same."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        text, compose = folder / "images.txt", folder / "compose.yaml"
        text.write_text("".join(f"{reference}\n" for reference in references))
        services = {f"s{number}": {"image": reference} for number, reference in enumerate(references)}
        compose.write_text(json.dumps({"services": services}))  # JSON is YAML
        return Names(tuple(references), text, compose)

    def start(self, contender: Contender, names: Names, host: str | None = None) -> Running:
        """Start a contender on a list; it sees no setting of this machine's, and no cache but its own.

        `host` is where it finds the engine, where that is not the engine itself.
        """
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(_DROPPED) and not key.lower().endswith("_proxy")
        }
        settings = {
            "DOCKER_HOST": host or self.engine(contender.downloads).host,
            "DOCKER_CONFIG": str(self.folder / "docker"),
            "HOME": str(self.folder),
            "XDG_CACHE_HOME": str(self.cache),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
        }
        if contender.command[0] == sys.executable:  # a program of this checkout; a puller that is installed has its own
            settings["PYTHONPATH"] = str(ROOT)
        forms = {LIST: str(names.text), COMPOSE: str(names.compose)}
        return Running([forms.get(word, word) for word in contender.command], names.text, kept | settings)

    def run(self, contender: Contender, names: Names) -> Sample:
        """Run a contender to its end; raises WorldError when it fails."""
        return self.start(contender, names).ended()

    @property
    def cache(self) -> Path:
        """What contenders keep between runs."""
        return self.folder / "cache"

    def clear(self, contender: Contender) -> None:
        """Take every image from the contender's engine, and every byte that it kept for another run."""
        self.engine(contender.downloads).wipe()
        shutil.rmtree(self.cache, ignore_errors=True)

    def see_all(self, contender: Contender, names: Names) -> None:
        """See that the contender's engine has every image; raises WorldError when one is missing."""
        there = {tag for image in self.engine(contender.downloads).images() for tag in image["RepoTags"] or ()}
        if missing := set(names.references) - there:
            raise WorldError(f"{contender.name} left out {', '.join(sorted(missing)[:5])}")


def own_puller() -> tuple[str, ...]:
    """Return the command of this checkout's puller."""
    installed = Path(sys.executable).with_name("puller")
    return (str(installed),) if installed.exists() else (sys.executable, "-m", "puller")
