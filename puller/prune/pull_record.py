"""Which names puller gave the images of an engine, and what becomes of that knowledge run by run. Pure.

What was there before a pull was brought by somebody else, whoever pulls it again. What somebody else names, or moves a
tag to, later is theirs.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

from filelock import FileLock, Timeout

from puller.engine.model import LocalImage, LocalImages
from puller.errors import PullerError
from puller.image.reference import ImageReference
from puller.model import PullOutcome, Status
from puller.system import files
from puller.system.paths import state_home


@dataclass(frozen=True, slots=True)
class PulledName:
    """One name that puller gave one image by a pull."""

    name: str
    """In full, with its tag or its digest: `docker.io/library/nginx:1.27`."""
    identity: str
    """The image's ID in that engine."""
    digest: str | None
    """What the name stood for in the registry."""
    brought: str
    """When, in UTC as RFC 3339 has it, which sorts."""
    wanted: str
    """When a pull last named it."""
    new: bool
    """Whether the engine had no such image before, under no name."""
    named: bool = True
    """False for good once the name was seen to stand for nothing, or for something else."""


def names_of(reference: ImageReference) -> tuple[str, ...]:
    """Give the names that a pull of a reference gives an image: its tag, its digest, or both."""
    tag = (f"{reference.name}:{reference.tag}",) if reference.tag else ()
    return (*tag, *((f"{reference.name}@{reference.digest}",) if reference.digest else ()))


def after_pulls(
    known: Iterable[PulledName],
    outcomes: Iterable[PullOutcome],
    now: str,
    before: LocalImages | None = None,
    after: LocalImages | None = None,
) -> tuple[PulledName, ...]:
    """Add what a run brought to what is known, in the order of the list, and note what it wanted.

    `before` is what the engine held before the first pull, `after` what it holds now; without them, which is the
    case when nothing was pulled, nothing is added.
    """
    asked = [(name, outcome) for outcome in outcomes for name in _names(outcome)]
    wanted = {name for name, _ in asked}
    entries = {
        (entry.name, entry.identity): replace(entry, wanted=now) if entry.named and entry.name in wanted else entry
        for entry in known
    }
    if before is None or after is None:
        return tuple(entries.values())
    fresh: set[str] = set()
    # What was pulled comes first: a second name of the same image is up to date in this very run.
    for name, outcome in sorted(asked, key=lambda each: each[1].status is not Status.PULLED):
        held, was = after.named(name), before.named(name)
        if held is None or (was and was.identity == held.identity) or not _stands_for(held, name, outcome):
            continue
        if outcome.status is not Status.PULLED and not (outcome.ok and held.identity in fresh):
            continue
        new = before.of(held.identity) is None or any(
            entry.new for entry in entries.values() if entry.identity == held.identity
        )
        fresh.update([held.identity] if new else ())
        entries.pop((name, held.identity), None)
        entries[name, held.identity] = PulledName(name, held.identity, outcome.digest, now, now, new)
    return settled(entries.values(), after)


def settled(known: Iterable[PulledName], held: LocalImages) -> tuple[PulledName, ...]:
    """Forget what has gone; of a name that is not puller's any more, only that puller brought the image is kept."""
    kept = []
    for entry in known:
        image = held.named(entry.name)
        named = entry.named and image is not None and image.identity == entry.identity
        if held.of(entry.identity) and (named or entry.new):
            kept.append(replace(entry, named=named))
    return tuple(kept)


def _stands_for(held: LocalImage, name: str, outcome: PullOutcome) -> bool:
    """Whether a name is still on what was pulled: somebody else may have moved it since."""
    digests = held.digests_in(ImageReference.parse(name).name)
    return not outcome.digest or not digests or outcome.digest in digests


def _names(outcome: PullOutcome) -> Iterator[str]:
    try:
        yield from names_of(ImageReference.parse(outcome.reference))
    except ValueError:
        return  # a bad line of a list


_SCHEMA = "puller.brought/1"
_WRITTEN_FOR_A_WHILE = "puller.prune.brought/1"
"""The name that some versions gave the very same document, by mistake."""
_PATIENCE = 10.0
"""Seconds that another run may take to write a small file."""


class PullRecord:
    """The names that puller gave the images of one engine, as the last run left them."""

    def __init__(self, engine: str) -> None:
        """Name the engine by its own ID; raises UsageError when there is no home."""
        self._engine = engine
        self.path: Path = state_home() / "brought" / (re.sub(r"[^\w.-]", "_", engine)[:200] + ".json")

    def recall(self) -> tuple[PulledName, ...]:
        """Read them; raises PullerError for a file that puller did not write."""
        try:
            return self._read(files.read(self.path))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise PullerError(f"cannot read {self.path}: {error.strerror}") from None
        except (ValueError, LookupError, TypeError) as error:
            raise PullerError(f"{self.path} is not what puller wrote: {error}; move it away to begin anew") from None

    def change(self, how: Callable[[tuple[PulledName, ...]], Iterable[PulledName]]) -> None:
        """Read, change and write while no other run does; raises PullerError."""
        try:
            files.make_directory(self.path.parent)
            with FileLock(self.path.with_suffix(".lock"), timeout=_PATIENCE):
                known = self.recall()
                changed = tuple(how(known))
                if changed != known:
                    files.write(self.path, self._text(changed))
        except Timeout:
            raise PullerError(f"{self.path} is locked by another run for {_PATIENCE:.0f}s") from None
        except OSError as error:
            raise PullerError(f"cannot write {self.path}: {error.strerror}") from None

    def _read(self, text: str) -> tuple[PulledName, ...]:
        document = json.loads(text)
        known = document["schema"] in (_SCHEMA, _WRITTEN_FOR_A_WHILE)
        if not known or document["engine"] != self._engine:
            raise ValueError("it is of another version, or of another engine")
        return tuple(PulledName(**each) for each in document["images"])

    def _text(self, entries: Iterable[PulledName]) -> str:
        # A run that is up to date writes as many of these as it has images: not by asdict, and not for the eye.
        names = [field.name for field in fields(PulledName)]
        images = [{name: getattr(entry, name) for name in names} for entry in entries]
        return json.dumps({"schema": _SCHEMA, "engine": self._engine, "images": images}) + "\n"
