"""Prefetching for `puller pull`: nothing is imported for it unless it is asked for, and its notes go to stderr."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from puller.blobs.prefetch_session import fed as really_fed
from puller.engine.interface import Engine
from puller.model import PullRequest
from puller.settings import Policy, PrefetchMode, Settings
from puller.text import clean


@contextmanager
def fed(backend: Engine, requests: Sequence[PullRequest], settings: Settings) -> Iterator[Engine]:
    """Give the engine, fed if that is wanted and can be; notes are printed when nothing is drawn any more."""
    if settings.prefetch.mode is PrefetchMode.NEVER or settings.policy is Policy.NEVER:
        yield backend
        return

    notes: list[str] = []
    try:
        with really_fed(backend, requests, settings, notes.append) as engine:
            yield engine
    finally:
        for note in dict.fromkeys(notes):
            click.echo(f"puller: {clean(note)}", err=True)
