"""Locks: every tag of some lists with the digest that it stood for, written as an image list.

A lock line is a reference as docker takes it (`docker.io/library/nginx:1.27@sha256:…`), and pulling the file pulls
exactly these images. The digest is the one that `RepoDigests` shows: that of the index where there is one, for an
image that is wanted for one platform, too.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from puller.errors import ListError, UsageError
from puller.failure import Failure
from puller.image.reference import ImageReference
from puller.imagelist import Entry, read
from puller.imagelist.requests import request_images
from puller.model import PullRequest
from puller.text import clean, timestamp

Digests = Mapping[PullRequest, str]
"""What is wanted (see `want`) → what it stands for."""
Ask = Callable[[Iterable[PullRequest]], Mapping[PullRequest, str | Failure]]
"""Asks the registries for digests."""


ALL = "*"
"""The word of `--upgrade` that means everything."""


class Change(StrEnum):
    """How a lock differs from what the lists or the registry say now."""

    MOVED = "moved"
    """The tag stands for something else in the registry now."""
    REPINNED = "repinned"
    """The list itself pins the tag, to another digest."""
    MISSING = "missing"
    """The lists name it, the lock does not."""
    EXTRA = "extra"
    """The lock names it, no list does."""
    UNKNOWN = "unknown"
    """The registry cannot be asked about it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One image about which a lock is not up to date."""

    change: Change
    request: PullRequest
    before: str | None = None
    """The digest in the lock."""
    after: str | None = None
    """The digest now."""
    failure: Failure | None = None
    """Why nobody knows."""

    def __str__(self) -> str:
        """Say it in one line: `moved: nginx:1.27 sha256:… → sha256:…`."""
        line = f"{self.change}: {clean(str(self.request))}"
        if self.failure:
            return f"{line}: {self.failure.kind}: {self.failure.message}"
        return f"{line} {self.before} → {self.after}" if self.before and self.after else line


def want(request: PullRequest) -> PullRequest:
    """Give the wish behind a request: its tag without a digest, or its digest where it has no tag."""
    reference = request.reference
    if reference.tag:
        reference = replace(reference, digest=None, text=reference.text.partition("@")[0])
    return PullRequest(reference, request.platform)


def wishes(requests: Iterable[PullRequest]) -> dict[PullRequest, str | None]:
    """Give what lists want, with the digest where they pin it themselves; a pin speaks for the bare tag beside it.

    Raises ListError when one tag is pinned to two digests: only one can have the tag.
    """
    found: dict[PullRequest, str | None] = {}
    problems = []
    for request in requests:
        wish, digest = want(request), request.reference.digest
        known = found.setdefault(wish, digest)
        if known is None:
            found[wish] = digest
        elif digest not in (None, known):
            problems.append(
                f"{clean(str(wish))} is pinned twice, to {known} and to {digest}: only one can have the tag"
            )
    if problems:
        raise ListError(problems)
    return found


def unlocked(
    wanted: Mapping[PullRequest, str | None], lock: "Digests", fresh: Collection[PullRequest]
) -> Iterator[PullRequest]:
    """Yield what must be asked for: what is not in the lock yet, and of `fresh` what is; never what a list pins."""
    for wish, pinned in wanted.items():
        if pinned is None and (wish not in lock or wish in fresh):
            yield wish


def renewed(
    wanted: Mapping[PullRequest, str | None],
    lock: "Digests",
    ask: "Ask",
    fresh: Collection[PullRequest] = (),
) -> "tuple[Digests, Mapping[PullRequest, Failure]]":
    """Make the new lock out of the old one; with a failure for each wish that could not be resolved.

    What is locked keeps its digest, unless it is one of `fresh`; what nobody wants any more goes.
    """
    answers = ask(unlocked(wanted, lock, fresh))
    digests: dict[PullRequest, str] = {}
    failures: dict[PullRequest, Failure] = {}
    for wish, pinned in wanted.items():
        answer = pinned or answers.get(wish) or lock[wish]
        if isinstance(answer, str):
            digests[wish] = answer
        else:
            failures[wish] = answer
    return digests, failures


def compared(wanted: Mapping[PullRequest, str | None], lock: "Digests", ask: "Ask") -> tuple[Difference, ...]:
    """Compare a lock with the lists and with what the registries say now."""
    answers = ask(wish for wish, pinned in wanted.items() if pinned is None and wish in lock and wish.reference.tag)
    return tuple(differences(wanted, lock, answers))


def differences(
    wanted: Mapping[PullRequest, str | None], lock: "Digests", now: Mapping[PullRequest, str | Failure]
) -> Iterator[Difference]:
    """Yield how a lock differs from what lists want and from what tags stand for `now`, in the lists' order."""
    for wish, pinned in wanted.items():
        before, answer = lock.get(wish), now.get(wish)
        if before is None:
            yield Difference(Change.MISSING, wish)
        elif pinned:
            if pinned != before:
                yield Difference(Change.REPINNED, wish, before, pinned)
        elif answer is not None and not isinstance(answer, str):
            yield Difference(Change.UNKNOWN, wish, before, failure=answer)
        elif answer is not None and answer != before:
            yield Difference(Change.MOVED, wish, before, answer)
    for wish, before in lock.items():
        if wish not in wanted:
            yield Difference(Change.EXTRA, wish, before)


def lines(digests: "Digests") -> tuple[str, ...]:
    """Write a lock's lines, sorted by name; each without its option is a reference as docker takes it."""
    rows = []
    for wish, digest in digests.items():
        pinned = replace(wish.reference, digest=digest).canonical
        rows.append((pinned, f"--platform={wish.platform} {pinned}" if wish.platform else pinned))
    return tuple(line for _, line in sorted(rows))


def render(digests: "Digests", sources: Sequence[str], moment: datetime, version: str) -> str:
    """Write a lock with a header that says from what, when and by whom it was made."""
    header = (
        f"# Locked by puller {version} at {timestamp(moment)}",
        f"# from {', '.join(map(clean, sources))}",
        "# Each line is an image by its digest. Renew it with `puller lock --upgrade`, do not edit it.",
    )
    return "".join(f"{line}\n" for line in (*header, *lines(digests)))


def chosen(upgrades: Sequence[str], wanted: Mapping[PullRequest, str | None]) -> set[PullRequest]:
    """Find what `--upgrade` names among what the lists want; raises UsageError for what no list names."""
    if ALL in upgrades:
        return set(wanted)
    found: set[PullRequest] = set()
    for text in upgrades:
        try:
            reference = want(PullRequest(ImageReference.parse(text))).reference
        except ValueError as error:
            raise UsageError(f"--upgrade {clean(text)}: {error}") from None
        named = {wish for wish in wanted if wish.reference == reference}
        if not named:
            raise UsageError(f"--upgrade {clean(text)}: no list names it; to upgrade everything, write --upgrade last")
        found |= named
    return found


def read_lock(path: Path) -> dict[PullRequest, str]:
    """Read a lock; a file that is not there, or empty, has locked nothing. Raises ListError and UsageError."""
    if not path.is_file() or path.stat().st_size == 0:
        return {}
    entries = [*read([str(path)])]
    for item in entries:
        if not isinstance(item, Entry) or not item.reference.digest:
            raise UsageError(f"{clean(str(path))} is no lock: {clean(str(item.source))} pins nothing")
    found = wishes(request_images(entries).requests)
    return {wish: digest for wish, digest in found.items() if digest}
