"""Prefetching for `puller pull`: nothing is imported for it unless it is asked for, and its notes go to stderr."""

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from puller.config import Policy, PrefetchMode
from puller.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from puller.backends.base import Backend
    from puller.config import Settings
    from puller.model import PullRequest


@contextmanager
def fed(backend: "Backend", requests: "Sequence[PullRequest]", settings: "Settings") -> "Iterator[Backend]":
    """Give the engine, fed if that is wanted and can be; notes are printed when nothing is drawn any more."""
    if settings.prefetch.mode is PrefetchMode.NEVER or settings.policy is Policy.NEVER:
        yield backend
        return
    from puller.prefetch.start import fed as really_fed  # noqa: PLC0415 - most pulls need none of it

    notes: list[str] = []
    try:
        with really_fed(backend, requests, settings, notes.append) as engine:
            yield engine
    finally:
        for note in dict.fromkeys(notes):
            click.echo(f"puller: {clean(note)}", err=True)
