"""The disk check of `puller pull`, in words."""

from typing import TYPE_CHECKING

import click

from puller.classify import failure
from puller.disk import is_wide
from puller.errors import FailureKind
from puller.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from puller.backends.base import ImageStore
    from puller.classify import Failure
    from puller.holdings import EngineFacts
    from puller.model import PullRequest
    from puller.registry.client import RegistryClient

_CONNECT, _READ = 3.0, 5.0
"""Seconds: less patience than elsewhere, since a pull waits for this."""


def no_room(requests: "Sequence[PullRequest]", store: "ImageStore", *, verbose: int) -> "Failure | None":
    """Say on stderr why a pull would fill the engine's disk, and give that as a failure; None when it may begin."""

    def say(words: str) -> None:
        if verbose:
            click.echo(f"puller: {clean(words)}", err=True)

    try:
        facts = store.facts()
        if is_wide(facts, len(requests)):
            return None
        from puller.room import check_room  # noqa: PLC0415 - most pulls do not get here
        from puller.stock import Shelf  # noqa: PLC0415

        shortage = check_room(requests, Shelf(store, facts=facts), _connect, say)
    except Exception as error:  # noqa: BLE001 - a check that breaks must not cost a pull
        say(f"disk not checked: {error}")
        return None
    if shortage is None:
        return None
    click.echo(f"puller: {shortage}; --no-disk-check pulls all the same", err=True)
    return failure(FailureKind.DISK_FULL, str(shortage))


def _connect(facts: "EngineFacts") -> "RegistryClient":
    from puller.registry.client import RegistryClient  # noqa: PLC0415 - requests takes long to load, and most need none

    return RegistryClient(insecure=facts.insecure, connect=_CONNECT, read=_READ)
