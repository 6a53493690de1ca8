"""Lock files: every tag of some lists with the digest that it resolved to, written as an image list.

A line is a reference that docker accepts (`docker.io/library/nginx:1.27@sha256:…`), so pulling the file pulls exactly
these images. The digest is the one in `RepoDigests`: that of the index if there is one, even for a single platform.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from puller.errors import ListError, UsageError
from puller.failure import Failure
from puller.image.reference import ImageReference
from puller.imagelist import Entry, read
from puller.imagelist.requests import request_images
from puller.model import PullRequest
from puller.text import clean, source_name, timestamp

Digests = Mapping[PullRequest, str]  # pinnable request (see `unpinned`) → digest
Ask = Callable[[Iterable[PullRequest]], Mapping[PullRequest, str | Failure]]
"""Resolves tags at their registries."""
ALL = "*"  # the value of `--upgrade` for all images
_FIRST = "# Locked by puller "


class Kind(StrEnum):
    """How a lock differs from lists and registries, and a host from lists."""

    MISSING = "missing"  # the image is in a list, but not in the lock, or not on the host
    EXTRA = "extra"  # the image is in the lock, but in no list
    MOVED = "moved"  # the tag has another digest in the registry than in the lock
    REPINNED = "repinned"  # the list itself pins the tag to another digest
    OTHER_DIGEST = "other_digest"  # the host's tag is on an image with another digest
    TAG_ELSEWHERE = "tag_elsewhere"  # the host has the digest, but the requested tag is not on that image
    OTHER_PLATFORM = "other_platform"
    UNKNOWN = "unknown"  # the registry did not resolve the tag


class Difference(NamedTuple):
    """One difference, of a lock or of a host."""

    kind: Kind
    request: PullRequest
    wanted: str | None = None  # the digest in the lock, or the digest or platform that the host should have
    found: str | None = None  # the digest in the list or registry, or the digest or platform on the host, if any
    failure: Failure | None = None  # why the registry did not resolve the tag

    def __str__(self) -> str:
        """Return one line with each digest once: `moved: nginx:1.27 sha256:… → sha256:…`."""
        named = unpinned(self.request) if self.kind in (Kind.OTHER_DIGEST, Kind.TAG_ELSEWHERE) else self.request
        line = f"{self.kind.replace('_', ' ')}: {clean(str(named))}"
        if self.failure:
            return f"{line}: {reason(self.request, self.failure)}"
        if self.kind is Kind.TAG_ELSEWHERE:
            return f"{line}: the tag is on {self.found or 'no image'}, wanted on {self.wanted}"
        if self.kind in (Kind.OTHER_DIGEST, Kind.OTHER_PLATFORM):
            return f"{line}: wanted {self.wanted}, found {self.found or 'none: it was loaded or built, not pulled'}"
        return f"{line} {self.wanted} → {self.found}" if self.wanted and self.found else line


def reason(request: PullRequest, why: Failure) -> str:
    """Return why a tag was not resolved: `registry error (registry_5xx): status 503`; the request names the host."""
    return f"{why.named}: {clean(why.message.removeprefix(f'{request.reference.registry}: '))}"


def unpinned(request: PullRequest) -> PullRequest:
    """Return the request without the digest beside its tag; a request without a tag keeps its digest."""
    reference = request.reference
    if reference.tag:
        name, text = (reference.registry, reference.repository), reference.text.partition("@")[0]
        reference = ImageReference(*name, reference.tag, None, text)
    return PullRequest(reference, request.platform)


def pins(requests: Iterable[PullRequest]) -> dict[PullRequest, str | None]:
    """Return the unpinned requests of lists, with the digests that the lists pin; a pin also applies to the bare tag.

    Raises ListError for a tag that is pinned to two digests.
    """
    found: dict[PullRequest, str | None] = {}
    problems = []
    for request in requests:
        bare, digest = unpinned(request), request.reference.digest
        known = found.setdefault(bare, digest)
        if known is None:
            found[bare] = digest
        elif digest not in (None, known):
            problems.append(
                f"{clean(str(bare))} is pinned twice, to {known} and to {digest}: only one can have the tag"
            )
    if problems:
        raise ListError(problems)
    return found


def renewed(
    listed: Mapping[PullRequest, str | None], lock: Digests, ask: Ask, upgrades: Collection[PullRequest] = ()
) -> tuple[Digests, Mapping[PullRequest, Failure]]:
    """Return the digests of the new lock, and a failure for each request that could not be resolved.

    Locked requests keep their digest, except for those in `upgrades`; requests that are in no list are dropped.
    """
    answers = ask(
        request for request, pinned in listed.items() if pinned is None and (request not in lock or request in upgrades)
    )
    digests: dict[PullRequest, str] = {}
    failures: dict[PullRequest, Failure] = {}
    for request, pinned in listed.items():
        answer = pinned or answers.get(request) or lock[request]
        if isinstance(answer, str):
            digests[request] = answer
        else:
            failures[request] = answer
    return digests, failures


def compared(listed: Mapping[PullRequest, str | None], lock: Digests, ask: Ask) -> tuple[Difference, ...]:
    """Compare a lock with the lists and with the registries."""
    locked = (request for request, pinned in listed.items() if not pinned and request in lock)
    return tuple(differences(listed, lock, ask(request for request in locked if request.reference.tag)))


def differences(
    listed: Mapping[PullRequest, str | None], lock: Digests, now: Mapping[PullRequest, str | Failure]
) -> Iterator[Difference]:
    """Yield the differences of a lock from the lists and from the digests `now`, in the order of the lists."""
    for request, pinned in listed.items():
        before, answer = lock.get(request), now.get(request)
        if before is None:
            yield Difference(Kind.MISSING, request)
        elif isinstance(answer, Failure):
            yield Difference(Kind.UNKNOWN, request, before, failure=answer)
        elif (pinned or answer or before) != before:
            yield Difference(Kind.REPINNED if pinned else Kind.MOVED, request, before, pinned or answer)
    for request, before in lock.items():
        if request not in listed:
            yield Difference(Kind.EXTRA, request, before)


def lines(digests: Digests) -> tuple[str, ...]:
    """Return the lines of a lock, sorted by name; without its option each line is a reference that docker accepts."""
    rows = []
    for request, digest in digests.items():
        name = request.reference.with_digest(digest).canonical
        rows.append((name, f"--platform={request.platform} {name}" if request.platform else name))
    return tuple(line for _, line in sorted(rows))


def origin(sources: Sequence[str], command: str) -> tuple[str, ...]:
    """Return the comments of a new lock that name the lists, and the command that renews it."""
    return (
        f"# from {', '.join(clean(source_name(each)) for each in sources)}",
        "# Each line is an image by its digest. Do not edit it; this command renews it:",
        f"# {clean(command, len(command))}",
    )


def origin_of(path: Path) -> tuple[str, ...]:
    """Return these comments of a lock that puller wrote; empty for any other file."""
    first, *more = (path.read_text(errors="replace") if path.is_file() else "").splitlines() or [""]
    return tuple(takewhile(lambda line: line.startswith("#"), more)) if first.startswith(_FIRST) else ()


def render(digests: Digests, comments: Sequence[str], moment: datetime, version: str) -> str:
    """Return the text of a lock; the first line names the version and the time, and the comments follow."""
    return "".join(f"{line}\n" for line in (f"{_FIRST}{version} at {timestamp(moment)}", *comments, *lines(digests)))


def chosen(upgrades: Sequence[str], listed: Mapping[PullRequest, str | None]) -> set[PullRequest]:
    """Return the requests that `--upgrade` names; raises UsageError for a name that is in no list."""
    if ALL in upgrades:
        return set(listed)
    found: set[PullRequest] = set()
    for text in upgrades:
        try:
            reference = unpinned(PullRequest(ImageReference.parse(text))).reference
        except ValueError as error:
            raise UsageError(f"--upgrade {clean(text)}: {error}") from None
        named = {request for request in listed if request.reference == reference}
        if not named:
            raise UsageError(
                f"--upgrade {clean(text)}: it is in no list; to upgrade all images, write --upgrade at the end"
            )
        found |= named
    return found


def read_lock(path: Path) -> dict[PullRequest, str]:
    """Read a lock; a missing or empty file is an empty lock. Raises ListError and UsageError."""
    if not path.is_file() or path.stat().st_size == 0:
        return {}
    entries = [*read([str(path)])]
    for item in entries:
        if not isinstance(item, Entry) or not item.reference.digest:
            raise UsageError(f"{clean(str(path))} is not a lock file: {clean(str(item.source))} has no digest")
    found = pins(request_images(entries).requests)
    return {request: digest for request, digest in found.items() if digest}
