"""The names on loopback that images have in an engine during a run, on record so that a later run removes what is left.

A killed run leaves such names, and so does one whose engine no longer answers. Each run has an empty file in the state
directory, whose name tells the engine and the path on loopback; it is locked as long as the run lives.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from puller.engine.interface import ImageStore
from puller.errors import EngineError, UsageError
from puller.image.digest import sha256, short_digest
from puller.system import directories, files
from puller.system.paths import state_home

_LOCK_TIMEOUT = 10.0
"""Seconds."""


@contextmanager
def on_record(store: ImageStore, place: str) -> Iterator[None]:
    """Keep on record that the engine may get names below `place`, `HOST:PORT/PATH`; at the end they are removed.

    So are the names that ended runs left, but not before: a killed run may have left an image under such a name alone,
    whose layers the engine deletes with it. A pull by the image's own name finds them.
    """
    with ExitStack() as stack:
        with suppress(OSError, UsageError):  # the run does not need the record
            path = _record(store, place)
            directories.make_directory(path.parent)
            while not path.exists():  # another run may take it for a leftover before it is locked
                stack.close()
                stack.enter_context(files.locked(path, _LOCK_TIMEOUT))
        try:
            yield
        finally:
            with suppress(EngineError, OSError, UsageError):
                _remove(store, place)
            remove_leftovers(store)


def remove_leftovers(store: ImageStore) -> None:
    """Remove the names that ended runs left in this engine; one that cannot be removed stays on record."""
    with suppress(UsageError):
        for path in (state_home() / "loopback").glob("*@*"):
            with suppress(EngineError, OSError):
                place = path.name.partition("@")[2].replace("@", "/")
                if path == _record(store, place):
                    with files.locked(path, 0):
                        _remove(store, place)


def _record(store: ImageStore, place: str) -> Path:
    engine = short_digest(sha256((store.facts().identity or "").encode()))
    return state_home() / "loopback" / f"{engine}@{place.replace('/', '@')}"


def _remove(store: ImageStore, place: str) -> None:
    names = [name for image in store.holdings().images for name in (*image.tags, *image.digests)]
    for name in names:
        if name.startswith(f"{place}/"):
            store.untag(name)
    _record(store, place).unlink(missing_ok=True)
