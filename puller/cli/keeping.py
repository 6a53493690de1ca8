"""What `puller pull` remembers for `puller prune`. It may go wrong, and costs the pull nothing then."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from puller.model import Status
from puller.text import clean, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from puller.backends.base import ImageStore
    from puller.holdings import Holdings
    from puller.model import Report


class Keeper:
    """Knows what the engine held before a run, and writes down what the run brought."""

    def __init__(self) -> None:
        self._watched: tuple[ImageStore, Callable[[], Holdings]] | None = None

    def watch(self, store: "ImageStore", before: "Callable[[], Holdings]") -> None:
        """Say which engine it is about, and what it had `before` its first pull."""
        self._watched = store, before

    def keep(self, report: "Report", *, verbose: int) -> None:
        """Write down what was brought and what was wanted, and never raise."""
        if self._watched is None:
            return
        try:
            self._keep(report, *self._watched)
        except Exception as error:  # noqa: BLE001 - no pull fails because puller forgets it
            if verbose:
                click.echo(f"puller: not remembered for `puller prune`: {clean(str(error))}", err=True)

    def _keep(self, report: "Report", store: "ImageStore", before: "Callable[[], Holdings]") -> None:
        from puller.pruning.brought import Brought, after_pulls  # noqa: PLC0415 - not for --help
        from puller.pruning.memory import Memory  # noqa: PLC0415

        identity = store.facts().identity
        if identity is None:
            return
        memory = Memory(identity)
        holdings: tuple[Holdings, Holdings] | tuple[()] = ()
        if report.counts[Status.PULLED]:
            holdings = before(), store.holdings()
        elif not memory.path.exists():
            return
        now = timestamp(datetime.now(UTC))

        def with_this_run(known: tuple[Brought, ...]) -> tuple[Brought, ...]:
            return after_pulls(known, report.outcomes, now, *holdings)

        memory.change(with_this_run)
