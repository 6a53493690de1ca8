"""Every implementation of `puller.engine.interface.Engine`: how to open it, and the parts of the contract it lacks."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest

from puller.blobs.export import open_layout
from puller.blobs.load import LayoutImages, LoadEngine
from puller.blobs.loopback_registry import LoopbackRegistry
from puller.blobs.prefetch_auto import prefetching
from puller.cancellation import Cancellation
from puller.engine import connect, locate
from puller.engine.interface import Engine
from puller.model import PullRequest
from puller.registry.client import RegistryClient
from puller.settings import BackendChoice, PrefetchMode, PrefetchSettings, Settings, Timeouts
from tests import lab
from tests.lab.podman import Podman


class Ability(StrEnum):
    """A part of the contract that not every implementation can fulfil."""

    REGISTRY = "pulls from the registry that the reference names"
    ATTEMPT_LIMIT = "ends an attempt at Timeouts.attempt"
    STALL_LIMIT = "ends an attempt at Timeouts.stall"
    SAYS_MISSING_PLATFORM = "says that an image has no manifest for the platform"
    KEEPS_DIGEST = "knows an image by the registry's digest"
    UP_TO_DATE = "says that an image was there before"
    BY_DIGEST = "pulls a reference without a tag"
    NAMES = "tags, untags, and describes images"


_NO_REGISTRY = "it pulls what its files hold, and asks no registry"
_OWN_LIMITS = "each request for a blob has the time limits of the registry client, and blobs are asked for again"
_FILES = "an index of names and digests has no images to describe, and its names stay"

LACKS: dict[str, dict[Ability, str]] = {
    "api": {},
    "sdk": {},
    "docker": {},
    "podman": {},
    "prefetch": {Ability.STALL_LIMIT: f"the engine waits for blobs on loopback: {_OWN_LIMITS}"},
    "prefetch-auto": {},
    "layout": {
        Ability.ATTEMPT_LIMIT: _OWN_LIMITS,
        Ability.STALL_LIMIT: _OWN_LIMITS,
        Ability.NAMES: _FILES,
    },
    "archive": {
        Ability.ATTEMPT_LIMIT: _OWN_LIMITS,
        Ability.STALL_LIMIT: _OWN_LIMITS,
        Ability.NAMES: _FILES,
    },
    "load": {
        Ability.REGISTRY: _NO_REGISTRY,
        Ability.ATTEMPT_LIMIT: _NO_REGISTRY,
        Ability.STALL_LIMIT: _NO_REGISTRY,
        Ability.SAYS_MISSING_PLATFORM: _NO_REGISTRY,
        Ability.KEEPS_DIGEST: "the graph store forgets the digest with the name on loopback",
        Ability.UP_TO_DATE: "each run pulls from a new name on loopback, which the graph store has never seen",
        Ability.BY_DIGEST: "an image without a tag is given one, made of its digest",
    },
}
"""Of each implementation what it cannot do, and why. What is not named here it must do."""

OF_BACKEND = {
    "api": ("api", "sdk", "prefetch", "prefetch-auto", "layout", "archive", "load"),
    "sdk": ("sdk",),
    "cli": ("docker", "podman"),
}
"""Which implementations a run with `--backends` is about; those without an engine are counted to the first."""
WITHOUT_ENGINE = ("layout", "archive")
"""They are the same beside any engine, and played beside the installed one."""


@dataclass(frozen=True)
class Place:
    """What an implementation is opened with."""

    dockerd: lab.Engine
    podman: Podman | lab.WorldError
    """Or why there is none."""
    folder: Path
    insecure: tuple[str, ...]
    monkeypatch: pytest.MonkeyPatch


Open = Callable[[Place, Sequence[PullRequest]], AbstractContextManager[Engine]]


def _connected(choice: BackendChoice, command: str = "docker") -> Engine:
    return connect(locate(choice, docker_command=command), choice, docker_command=command, connections=8)


@contextmanager
def _api(place: Place, _: Sequence[PullRequest]) -> Iterator[Engine]:
    yield _connected(BackendChoice.API)


@contextmanager
def _sdk(place: Place, _: Sequence[PullRequest]) -> Iterator[Engine]:
    yield _connected(BackendChoice.SDK)


@contextmanager
def _docker(place: Place, _: Sequence[PullRequest]) -> Iterator[Engine]:
    yield _connected(BackendChoice.CLI)


@contextmanager
def _podman(place: Place, _: Sequence[PullRequest]) -> Iterator[Engine]:
    if isinstance(place.podman, lab.WorldError):
        pytest.skip(str(place.podman))
    place.podman.trust(*place.insecure)
    accounts = place.folder / "auth.json"
    if not accounts.exists():
        accounts.write_text("{}")
    for name, value in (place.podman.variables | {"REGISTRY_AUTH_FILE": str(accounts)}).items():
        place.monkeypatch.setenv(name, value)
    yield _connected(BackendChoice.CLI, "podman")


@contextmanager
def _prefetch(
    place: Place, requests: Sequence[PullRequest], mode: PrefetchMode = PrefetchMode.ALWAYS
) -> Iterator[Engine]:
    notes: list[str] = []
    settings = Settings(prefetch=PrefetchSettings(mode))
    with (
        RegistryClient(insecure=place.insecure) as registries,
        prefetching(
            _connected(BackendChoice.API), requests, settings, registries, notes.append, Cancellation()
        ) as engine,
    ):
        assert not [note for note in notes if note.startswith("nothing is prefetched")]
        yield engine


def _prefetch_auto(place: Place, requests: Sequence[PullRequest]) -> AbstractContextManager[Engine]:
    return _prefetch(place, requests, PrefetchMode.AUTO)


@contextmanager
def _layout(place: Place, _: Sequence[PullRequest]) -> Iterator[Engine]:
    with (
        RegistryClient() as registries,
        open_layout(place.folder / "layout", Settings(), registries, archive=False) as engine,
    ):
        yield engine


@contextmanager
def _archive(place: Place, _: Sequence[PullRequest]) -> Iterator[Engine]:
    with (
        RegistryClient() as registries,
        open_layout(place.folder / "images.tar", Settings(), registries, archive=True) as engine,
    ):
        yield engine


@contextmanager
def _load(place: Place, requests: Sequence[PullRequest]) -> Iterator[Engine]:
    with _layout(place, ()) as layout:
        for each in requests:
            layout.pull(each, cancel=Cancellation(), clocks=Timeouts(), progress=lambda _: None)
        layout.close()
    images = LayoutImages(place.folder / "layout")
    engine = _connected(BackendChoice.API)
    wanted = images.requests(engine.store.facts().platform)
    server = LoopbackRegistry(images)
    try:
        yield LoadEngine(engine, wanted, server)
    finally:
        server.close()


IMPLEMENTATIONS: dict[str, Open] = {
    "api": _api,
    "sdk": _sdk,
    "docker": _docker,
    "podman": _podman,
    "prefetch": _prefetch,
    "prefetch-auto": _prefetch_auto,
    "layout": _layout,
    "archive": _archive,
    "load": _load,
}
