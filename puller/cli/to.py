"""`puller pull --to`: images pulled into files, without an engine."""

import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from puller.errors import PullerError

if TYPE_CHECKING:
    from puller.config import Settings
    from puller.model import Report
    from puller.plan import Plan
    from puller.prefetch.export import ExportBackend
    from puller.progress import ProgressMode

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


def pull_to(target: Target, todo: "Plan", settings: "Settings", *, progress: "ProgressMode", verbose: int) -> "Report":
    """Pull into files, and report; raises PullerError when these cannot be written."""
    from puller.orchestrator import pull_all  # noqa: PLC0415 - heavy, as what follows: not for --help
    from puller.progress import observe  # noqa: PLC0415
    from puller.registry.advisor import RegistryAdvisor  # noqa: PLC0415

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
                    advisor=RegistryAdvisor(registries=settings.registries),
                )
    except OSError as error:
        raise PullerError(f"cannot write {target}: {error.strerror or error}") from None


def _open(stack: ExitStack, target: Target, settings: "Settings") -> "ExportBackend":
    """Open the files, to be finished when the stack ends; raises OSError, UsageError."""
    from puller import files  # noqa: PLC0415
    from puller.places import cache_home  # noqa: PLC0415
    from puller.prefetch.archive import Collected  # noqa: PLC0415
    from puller.prefetch.export import ExportBackend  # noqa: PLC0415
    from puller.prefetch.layout import Index  # noqa: PLC0415
    from puller.prefetch.store import Store  # noqa: PLC0415
    from puller.registry.client import RegistryClient  # noqa: PLC0415

    fetching = settings.prefetch
    client = RegistryClient(
        registries=settings.registries, connections=fetching.connections, receive_buffer=fetching.receive_buffer
    )
    if target.kind == "oci":
        store = Store(target.path, None)
        stack.callback(store.close)
        index = Index(target.path / "index.json")
        backend = ExportBackend(
            str(target), store, client, settings.prefetch, held=index.read, put=lambda image, _: index.put(image)
        )
    else:
        files.check(target.path)
        store, collected = Store(cache_home() / "blobs", settings.prefetch.cache), Collected()
        stack.callback(store.close)
        stack.callback(lambda: collected.write(target.path, store) if collected.images else None)
        backend = ExportBackend(str(target), store, client, settings.prefetch, held=collected.held, put=collected.put)
    stack.callback(backend.close)
    return backend
