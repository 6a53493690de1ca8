"""The options and helpers of the verbs for runs by a broker: their store, and which run is meant."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from puller.cli.broker_options import extra_module
from puller.cli.options import duration
from puller.cli.sections import section
from puller.report import RENDERERS

if TYPE_CHECKING:  # it needs the extra
    from puller.fleet.runs.store import Store

store_option = click.option(
    "--store", metavar="URL", envvar="PULLER_STORE",
    help="The store of runs, sqlite:///PATH or postgresql://USER@HOST/NAME (default: a file of this user).",
)  # fmt: skip
run_argument = click.argument("run", metavar="RUN")
newest_run = click.argument("run", metavar="[RUN]", default="1")
expires_option = duration("--expires", default="24h", help="Give up what no worker has begun by then.")
store_options = section("Runs", store_option)
"""The option `store`."""
report_format = click.option(
    "--format", "form", type=click.Choice([*RENDERERS]), default="text", show_default=True, help="Format of the report."
)


def runs_module(name: str) -> Any:
    """Import a module of `puller.fleet.runs`: only these verbs wait for the database's library.

    Raises UsageError if it is not installed.
    """
    return extra_module(f"puller.fleet.runs.{name}")


@contextmanager
def opened_store(options: Mapping[str, Any]) -> Iterator["Store"]:
    """Open the store that the options name; raises UsageError."""
    store: Store = runs_module("store").Store(options["store"] or runs_module("schema").default_url())
    try:
        yield store
    finally:
        store.close()
