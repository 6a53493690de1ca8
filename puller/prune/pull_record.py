"""The record of the image names that puller pulled into an engine.

An image that the engine had before belongs to somebody else, even if puller pulls it again. A tag that somebody else
moves later belongs to them.
"""

import json
import re
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from puller.engine.interface import ImageStore
from puller.engine.model import LocalImage, LocalImages
from puller.errors import PullerError
from puller.image.reference import ImageReference
from puller.model import PullOutcome, Report, Status
from puller.system import directories, files
from puller.system.paths import state_home
from puller.text import timestamp


class PulledName(NamedTuple):
    """A name that an image got by a pull. The fields are the keys of the record file."""

    name: str  # the full name with its tag or digest, such as `docker.io/library/nginx:1.27`
    identity: str  # the image's ID in the engine
    digest: str | None  # the digest of the name in the registry
    brought: str  # time of the pull, in UTC as in RFC 3339, so that times sort as text
    wanted: str  # time of the last pull whose list had the name
    new: bool  # whether the engine did not have the image before
    named: bool = True  # False once the name was found removed or moved to another image


def names_of(reference: ImageReference) -> tuple[str, ...]:
    """Return the names that an image gets by a pull of the reference: its tag, its digest, or both."""
    tag = (f"{reference.name}:{reference.tag}",) if reference.tag else ()
    return (*tag, *((f"{reference.name}@{reference.digest}",) if reference.digest else ()))


def after_pulls(
    known: Iterable[PulledName],
    outcomes: Iterable[PullOutcome],
    now: str,
    before: LocalImages | None = None,
    after: LocalImages | None = None,
) -> tuple[PulledName, ...]:
    """Add the names that a run pulled, and update the time of those that its lists had.

    `before` has the engine's images before the first pull, `after` its images now; both are None if nothing was pulled.
    """
    named = ((ImageReference.read(outcome.reference), outcome) for outcome in outcomes)
    requested = [(name, outcome) for reference, outcome in named if reference for name in names_of(reference)]
    listed = {name for name, _ in requested}
    entries = {
        (entry.name, entry.identity): entry._replace(wanted=now) if entry.named and entry.name in listed else entry
        for entry in known
    }
    if before is None or after is None:
        return tuple(entries.values())
    fresh: set[str] = set()
    # Pulled names first: a second name of the same image is up to date in the same run.
    for name, outcome in sorted(requested, key=lambda each: each[1].status is not Status.PULLED):
        image, old = after.named(name), before.named(name)
        if image is None or (old and old.identity == image.identity) or not _is_unchanged(image, name, outcome):
            continue
        if outcome.status is not Status.PULLED and not (outcome.ok and image.identity in fresh):
            continue
        known_new = any(entry.new for entry in entries.values() if entry.identity == image.identity)
        new = known_new or before.of(image.identity) is None
        fresh.update([image.identity] if new else ())
        entries.pop((name, image.identity), None)
        entries[name, image.identity] = PulledName(name, image.identity, outcome.digest, now, now, new)
    return settled(entries.values(), after)


def settled(known: Iterable[PulledName], images: LocalImages) -> tuple[PulledName, ...]:
    """Drop entries of images that are gone; entries of moved names are kept only to mark an image as puller's."""
    kept = []
    for entry in known:
        image = images.named(entry.name)
        named = entry.named and image is not None and image.identity == entry.identity
        if images.of(entry.identity) and (named or entry.new):
            kept.append(entry._replace(named=named))
    return tuple(kept)


def _is_unchanged(image: LocalImage, name: str, outcome: PullOutcome) -> bool:
    """Tell whether the name still has the digest that was pulled: somebody else may have moved it since."""
    digests = image.digests_in(ImageReference.parse(name).name)
    return not outcome.digest or not digests or outcome.digest in digests


def remember_pulls(report: Report, store: ImageStore, before: Future[LocalImages]) -> None:
    """Record for `puller prune` what a run pulled and what its lists had, unless the engine has no ID.

    `before` has the engine's images before the run. Raises PullerError, EngineError and UsageError, and TimeoutError if
    they are not listed yet.
    """
    identity = store.facts().identity
    if identity is None:
        return
    record, now = PullRecord(identity), timestamp(datetime.now(UTC))
    if report.counts[Status.PULLED]:
        images = before.result(_LISTING_SECONDS), store.holdings()
        record.update(lambda known: after_pulls(known, report.outcomes, now, *images))
    elif record.path.exists():
        record.update(lambda known: after_pulls(known, report.outcomes, now))


_SCHEMA = "puller.brought/1"
_OTHER_SCHEMA = "puller.prune.brought/1"  # the schema that some versions wrote by mistake for the same document
_LOCK_TIMEOUT = 10.0  # seconds
_LISTING_SECONDS = 5.0  # seconds that the record waits for the list of the images before the run


class PullRecord:
    """The record of one engine, a JSON file in the state directory."""

    def __init__(self, engine: str) -> None:
        """`engine` is the engine's ID; raises UsageError if there is no home directory."""
        self._engine = engine
        self.path: Path = state_home() / "brought" / (re.sub(r"[^\w.-]", "_", engine)[:200] + ".json")

    def read(self) -> tuple[PulledName, ...]:
        """Read the record; raises PullerError for an invalid file."""
        try:
            return self._parse(files.read(self.path))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise PullerError(f"cannot read {self.path}: {error.strerror}") from None
        except (ValueError, LookupError, TypeError) as error:
            raise PullerError(f"{self.path} is not a record of puller: {error}; move it away to start again") from None

    def update(self, change: Callable[[tuple[PulledName, ...]], Iterable[PulledName]]) -> None:
        """Read, change and write the record under a lock; raises PullerError."""
        try:
            directories.make_directory(self.path.parent)
            with files.locked(self.path.with_suffix(".lock"), _LOCK_TIMEOUT):
                known = self.read()
                changed = tuple(change(known))
                if changed != known:
                    document = {
                        "schema": _SCHEMA,
                        "engine": self._engine,
                        "images": [each._asdict() for each in changed],
                    }
                    files.write(self.path, json.dumps(document) + "\n")
        except TimeoutError:
            raise PullerError(f"another run has locked {self.path} for {_LOCK_TIMEOUT:.0f}s") from None
        except OSError as error:
            raise PullerError(f"cannot write {self.path}: {error.strerror}") from None

    def _parse(self, text: str) -> tuple[PulledName, ...]:
        document = json.loads(text)
        if document["schema"] not in (_SCHEMA, _OTHER_SCHEMA) or document["engine"] != self._engine:
            raise ValueError("it is of another version or of another engine")
        return tuple(PulledName(**each) for each in document["images"])
