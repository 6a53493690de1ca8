"""One run of `puller pull` at an engine that has answered: progress, a look at the disk, and what is told of both."""

import sys
from collections.abc import Callable

import click

from puller.cli.keeping import Keeper
from puller.cli.output import Output
from puller.cli.prefetch import fed
from puller.cli.progress import observe
from puller.engine.interface import Engine
from puller.engine.model import LocalImages
from puller.imagelist.requests import RequestedImages
from puller.model import Report
from puller.plan.disk_check import NO_DISK_CHECK, DiskCheck, EngineDiskCheck
from puller.prune.make_room import PruningDiskCheck
from puller.pull.platforms import refuse_what_cannot_be_kept
from puller.pull.run import pull_all
from puller.registry.resolver import RegistryResolver
from puller.settings import Settings
from puller.text import clean


class Run:
    """A run that can begin."""

    def __init__(
        self, todo: RequestedImages, backend: Engine, settings: Settings, holdings: Callable[[], LocalImages]
    ) -> None:
        """See that the engine can keep what is wanted; raises ListError."""
        refuse_what_cannot_be_kept(todo.requests, backend.store)
        self._todo = todo
        self._backend = backend
        self._settings = settings
        self._holdings = holdings
        self._notes: list[str] = []
        """For who wants to know more."""
        self._told: list[str] = []
        """For everybody."""

    def report(self, output: Output, keeper: Keeper, *, disk_check: bool, make_room: bool) -> Report:
        """Run, and say on stderr what is not in the report."""
        todo, store, settings = self._todo, self._backend.store, self._settings
        keeper.watch(store, self._holdings)
        room = EngineDiskCheck(store, self._notes.append, settings.registries)
        with (
            fed(self._backend, todo.requests, settings) as source,
            observe(output.progress, sys.stderr, verbose=output.verbose) as observer,
        ):
            report = pull_all(
                todo.requests,
                source,
                settings,
                observer=observer,
                rejected=todo.rejected,
                advisor=RegistryResolver(lambda: store.facts().insecure, settings.registries),
                room=self._room(room, make_room=make_room) if disk_check else NO_DISK_CHECK,
                holdings=self._holdings,
            )
        for note in (*self._told, *(self._notes if output.verbose else ())):
            click.echo(f"puller: {clean(note)}", err=True)
        if room.shortage:
            click.echo(f"puller: {room.shortage}; --no-disk-check pulls all the same", err=True)
        return report

    def _room(self, room: EngineDiskCheck, *, make_room: bool) -> DiskCheck:
        """Choose how the disk is looked at; making room is for few runs."""
        if not make_room:
            return room

        references = [each.reference for each in self._todo.requests]
        return PruningDiskCheck(room, self._backend.store, references, self._told.append)
