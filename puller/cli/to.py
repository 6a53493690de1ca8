"""`puller pull --to`: images pulled into files, without an engine."""

import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from puller.blobs.archive import ArchiveBuilder
from puller.blobs.export import LayoutEngine, LayoutIndex
from puller.blobs.store import BlobStore
from puller.cli.progress import ProgressMode, observe
from puller.errors import PullerError
from puller.imagelist.requests import RequestedImages
from puller.model import Report
from puller.pull.run import pull_all
from puller.registry.client import RegistryClient
from puller.registry.resolver import RegistryResolver
from puller.settings import Settings
from puller.system import files
from puller.system.paths import cache_home

_KINDS = ("oci", "archive")
_AHEAD = 16
"""Images at a time, at least: for each there is a thread that waits."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where images are put."""

    kind: str
    path: Path

    @classmethod
    def parse(cls, text: str) -> "Target":
        """Read `oci:DIR` or `archive:FILE`; raise ValueError."""
        kind, separator, path = text.partition(":")
        if kind not in _KINDS or not separator or not path:
            raise ValueError(f"{text!r} is neither oci:DIR nor archive:FILE.tar")
        return cls(kind, Path(path))

    def __str__(self) -> str:
        """Say what was typed."""
        return f"{self.kind}:{self.path}"


def pull_to(
    target: Target, todo: RequestedImages, settings: Settings, *, progress: ProgressMode, verbose: int
) -> Report:
    """Pull into files, and report; raises PullerError when these cannot be written."""
    settings = replace(settings, jobs=max(settings.jobs, _AHEAD))
    try:
        with ExitStack() as stack:
            backend = _open(stack, target, settings)
            with observe(progress, sys.stderr, verbose=verbose) as observer:
                return pull_all(
                    todo.requests,
                    backend,
                    settings,
                    observer=observer,
                    rejected=todo.rejected,
                    advisor=RegistryResolver(registries=settings.registries),
                )
    except OSError as error:
        raise PullerError(f"cannot write {target}: {error.strerror or error}") from None


def _open(stack: ExitStack, target: Target, settings: Settings) -> LayoutEngine:
    """Open the files, to be finished when the stack ends; raises OSError, UsageError."""
    fetching = settings.prefetch
    client = RegistryClient(
        registries=settings.registries, connections=fetching.connections, receive_buffer=fetching.receive_buffer
    )
    if target.kind == "oci":
        store = BlobStore(target.path, None)
        stack.callback(store.close)
        index = LayoutIndex(target.path / "index.json")
        backend = LayoutEngine(
            str(target), store, client, settings.prefetch, held=index.read, put=lambda image, _: index.put(image)
        )
    else:
        files.check(target.path)
        store, collected = BlobStore(cache_home() / "blobs", settings.prefetch.cache), ArchiveBuilder()
        stack.callback(store.close)
        stack.callback(lambda: collected.write(target.path, store) if collected.images else None)
        backend = LayoutEngine(str(target), store, client, settings.prefetch, held=collected.held, put=collected.put)
    stack.callback(backend.close)
    return backend
