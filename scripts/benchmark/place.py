"""Where scenarios take place: engines, a registry and slow wires to it, each started at first need."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.benchmark.contender import COMPOSE, LIST, PLAYBOOK, SYNC
from scripts.benchmark.meter import MIB, DiskWatch, Meter, occupied
from scripts.benchmark.process import Running
from tests.lab import Engine, Registry, WorldError, parse
from tests.lab.wire import SlowWire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import ExitStack

    from scripts.benchmark.contender import Contender, Contenders
    from scripts.benchmark.sample import Sample
    from tests.lab import EngineBinary

    _Settings = tuple[EngineBinary | None, int | None, tuple[Path, ...]]

ROOT = Path(__file__).resolve().parents[2]
_DROPPED = ("DOCKER_", "PULLER_", "PYTHONDONTWRITEBYTECODE")
"""Not PYTHONDONTWRITEBYTECODE: Python would compile puller in every run, which no user's does."""


_EMPTY_BYTES = 4 * MIB
"""An engine without images has its databases."""


@dataclass(frozen=True, slots=True)
class Names:
    """A list of images, and the files in which contenders take it."""

    references: tuple[str, ...]
    files: Mapping[str, Path]
    """By the words that stand for them in commands."""


class Place:
    """One machine's worth of engines and registries; all of it goes with the stack."""

    def __init__(self, stack: ExitStack, contenders: Contenders, *, quick: bool = False) -> None:
        """`quick` makes every world small. Raises WorldError without docker."""
        if shutil.which("docker") is None:
            raise WorldError("the docker command is not installed")
        self._stack = stack
        self._engines: dict[_Settings, Engine] = {}
        self._registry: Registry | None = None
        self._wires: dict[tuple[int, float, float], SlowWire] = {}
        self.binary: EngineBinary | None = None
        self.contenders = contenders
        self.quick = quick
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="puller-")))
        if plugin := contenders.programs.find("docker-compose") if contenders.peers_wanted else None:
            plugins = self.folder / "docker/cli-plugins"
            plugins.mkdir(parents=True)
            (plugins / "docker-compose").symlink_to(plugin)

    def choose(self, spec: str) -> str:
        """Take another engine from now on, by a spec of `tests.lab`, and return its name; raises WorldError."""
        self.binary = parse(spec)
        return f"{self.engine().version()} ({spec})"

    @property
    def registry(self) -> Registry:
        """The registry."""
        if self._registry is None:
            self._registry = self._stack.enter_context(Registry(lean=True))
        return self._registry

    def engine(self, contender: Contender | None = None) -> Engine:
        """Return the engine with the contender's settings."""
        key = self._settings(contender)
        if key not in self._engines:
            _, downloads, helpers = key
            options = () if downloads is None else (f"--max-concurrent-downloads={downloads}",)
            binary = self.binary or parse("installed")
            binary = replace(binary, path_prefix=(*helpers, *binary.path_prefix))
            self._engines[key] = self._stack.enter_context(Engine(binary, options=options))
        return self._engines[key]

    def _settings(self, contender: Contender | None) -> _Settings:
        return (self.binary, *((contender.downloads, contender.helpers) if contender else (None, ())))

    def wire(self, bytes_per_second: int = 0, latency: float = 0.0, loss: float = 0.0) -> SlowWire:
        """Return a way to the registry that is slow for each connection."""
        key = (bytes_per_second, latency, loss)
        if key not in self._wires:
            self._wires[key] = self._stack.enter_context(
                SlowWire(self.registry.address, bytes_per_second, latency, loss=loss)
            )
        return self._wires[key]

    def names(self, references: Sequence[str]) -> Names:
        """Write a list, and files for other tools that mean the same."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        texts = {LIST: "".join(f"{reference}\n" for reference in references)}
        texts |= {form: json.dumps(content) for form, content in _forms(references).items()}  # JSON is YAML
        files = {form: folder / f"{form.strip('{}')}.yaml" for form in texts}
        for form, text in texts.items():
            files[form].write_text(text)
        return Names(tuple(references), files)

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
            "DOCKER_HOST": host or self.engine(contender).host,
            "DOCKER_CONFIG": str(self.folder / "docker"),
            "HOME": str(self.folder),
            "XDG_CACHE_HOME": str(self.cache),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
        }
        if contender.command[0] == sys.executable:  # a program of this checkout; a puller that is installed has its own
            settings["PYTHONPATH"] = str(ROOT)
        command = [str(names.files.get(word, word)) for word in contender.command]
        return Running(command, names.files[LIST], kept | settings)

    def run(self, contender: Contender, names: Names) -> Sample:
        """Run a contender to its end, and measure its engine, too; raises WorldError when it fails."""
        return self.metered(contender, lambda: self.start(contender, names).ended())

    def metered(self, contender: Contender, run: Callable[[], Sample]) -> Sample:
        """Add what the contender's engine and the kernel take to what a run says of itself."""
        meter = Meter(self.engine(contender).pid)
        return meter.read(run())

    def watched(self, contender: Contender, run: Callable[[], Sample]) -> Sample:
        """Add how much disk a run takes at most, and how much of it is left in puller's store."""
        with DiskWatch((self.engine(contender).data_root, self.cache)) as disk:
            sample = run()
        return replace(sample, disk_mib=disk.peak_mib, left_mib=occupied([self.cache / "puller/blobs"]) / MIB)

    @property
    def cache(self) -> Path:
        """What contenders keep between runs."""
        return self.folder / "cache"

    def clear(self, contender: Contender) -> None:
        """Take every image from the contender's engine, and every byte that it kept for another run.

        containerd keeps what a cancelled pull has fetched, without an image that could be removed: then it is replaced.
        """
        engine = self.engine(contender)
        engine.wipe()
        if occupied([engine.data_root]) > _EMPTY_BYTES:
            self._engines.pop(self._settings(contender)).stop()
        shutil.rmtree(self.cache, ignore_errors=True)

    def see_all(self, contender: Contender, names: Names) -> None:
        """See that the contender's engine has every image; raises WorldError when one is missing."""
        there = {tag for image in self.engine(contender).images() for tag in image["RepoTags"] or ()}
        if missing := set(names.references) - there:
            raise WorldError(f"{contender.name} left out {', '.join(sorted(missing)[:5])}")


def _forms(references: Sequence[str]) -> dict[str, object]:
    services = {f"s{number}": {"image": reference} for number, reference in enumerate(references)}
    share = "groups['all'].index(inventory_hostname)::groups['all']|length"
    play = {
        "hosts": "all",
        "connection": "local",
        "gather_facts": False,
        "strategy": "free",
        "vars": {"images": references, "ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "tasks": [
            {"community.docker.docker_image_pull": {"name": "{{ item }}"}, "loop": f"{{{{ images[{share}] }}}}"},
        ],
    }
    registries: dict[str, dict[str, list[str]]] = {}
    for reference in references:
        address, _, path = reference.partition("/")
        repository, _, tag = path.partition(":")
        registries.setdefault(address, {}).setdefault(repository, []).append(tag)
    sync = {address: {"tls-verify": False, "images": images} for address, images in registries.items()}
    return {COMPOSE: {"services": services}, PLAYBOOK: [play], SYNC: sync}


def own_puller() -> tuple[str, ...]:
    """Return the command of this checkout's puller."""
    installed = Path(sys.executable).with_name("puller")
    return (str(installed),) if installed.exists() else (sys.executable, "-m", "puller")
