"""The options of `puller pull` about who fetches, and where to."""

from collections.abc import Mapping
from typing import Any

import click

from puller.cli.options import RATE, SIZE, TARGET
from puller.cli.sections import section
from puller.settings import PrefetchMode, PrefetchSettings

_DEFAULTS = PrefetchSettings()

prefetch_options = section(
    "Prefetching",
    click.option(
        "--prefetch", type=click.Choice([mode.value for mode in PrefetchMode]), is_flag=False,
        flag_value=PrefetchMode.ALWAYS.value, default=_DEFAULTS.mode.value, show_default=True,
        help="Fetch layers over many connections, resumably, in front of the engine; auto does when the wire is slow.",
    ),
    click.option(
        "--connections", type=click.IntRange(1, 1000), default=_DEFAULTS.connections, show_default=True,
        metavar="N", help="Connections that fetch, over all registries.",
    ),
    click.option(
        "--registry-connections", type=click.IntRange(1, 1000), metavar="N",
        help="Connections that fetch from any one registry.",
    ),
    click.option(
        "--bandwidth", type=RATE, metavar="RATE", help="Bytes a second that are fetched at most, such as 50MB/s."
    ),
    click.option(
        "--cache-size", type=SIZE, default="10GB", show_default=True, metavar="SIZE",
        help="Bytes that the cache of layers may keep; of a nearly full disk it takes half of what is free.",
    ),
    click.option(
        "--to", type=TARGET, metavar="oci:DIR|archive:FILE",
        help="Pull into files, without an engine; `puller load` brings them into one.",
    ),
)  # fmt: skip


def prefetch_settings(options: Mapping[str, Any]) -> PrefetchSettings:
    """Collect them."""
    return PrefetchSettings(
        mode=PrefetchMode(options["prefetch"]),
        connections=options["connections"],
        per_registry=options["registry_connections"],
        bandwidth=options["bandwidth"],
        cache=options["cache_size"],
    )
