"""`puller plan`: what a pull would do and cost."""

import json
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from importlib import import_module
from typing import Any

import click

from puller.cli.engine import open_engine
from puller.cli.fleet_options import HostWork, hosts_options, named_hosts
from puller.cli.lists import requested_images
from puller.cli.options import engine_options, list_options, mirror_options
from puller.cli.output import emit
from puller.cli.registries import registry_client, tell
from puller.cli.sections import flag, text_or_json
from puller.engine.interface import Engine
from puller.errors import EngineError, EngineUnreachableError, ExitCode
from puller.imagelist.requests import RequestedImages
from puller.plan import render
from puller.plan.model import PullPlan, QuotaUse
from puller.plan.survey import plan_pull
from puller.registry.client import RegistryClient
from puller.text import format_bytes

_CHANGES = 2
"""Exit code for a plan that is not empty, as terraform's."""
_CONNECTIONS = 4


@click.command(
    "plan", context_settings={"auto_envvar_prefix": "PULLER"},
    epilog="Exit codes: 0 every image is known; 1 an image is unknown, a line is bad or the disk is too small; 2 usage "
    "or a bad list; 69 no engine; 75 all failures are temporary (1 with --detailed-exitcode). With hosts: "
    "the worst of them; 3 if all that is unknown is on hosts that could not be reached.",
)  # fmt: skip
@list_options
@engine_options
@hosts_options
@mirror_options
@flag("--detailed-exitcode", help="Exit with 0 when there is nothing to pull, 2 when there is, 1 on errors.")
@text_or_json
def command(**options: Any) -> int:
    """Show what a pull of each LIST would do and cost, without pulling.

    Asks registries for the digest of each image, and for the layers of those that the engine does not have.

    \b
    puller plan images.txt
    puller plan --image nginx:1.27 --format json --detailed-exitcode
    """  # noqa: D301 - click wants the control character itself
    hosts, todo = named_hosts(options), requested_images(options, report_bad=False)
    if hosts:
        head = ("TO PULL", "UP TO DATE", "UNKNOWN", "DOWNLOAD")
        with registry_client() as client:
            quotas = defaultdict[str, list[QuotaUse]](list)
            work = partial(_on_host, todo, client, quotas, detailed=options["detailed_exitcode"])
            code: int = import_module("puller.cli.over_hosts").over_hosts(
                hosts, options, head, work, connections=_CONNECTIONS, stop=client.close
            )
            tell(map(render.quota_of_hosts, quotas.values()))
        return code
    with (
        closing(open_engine(options, _CONNECTIONS)) as engine,
        registry_client(lambda: engine.store.facts().insecure) as client,
    ):
        try:
            forecast = plan_pull(todo, engine, client)
        except EngineError as error:
            raise EngineUnreachableError(f"the engine cannot be asked: {error.message}") from None
    emit(render.render_json(forecast) if options["form"] == "json" else render.render_text(forecast))
    return _exit_code(forecast, detailed=options["detailed_exitcode"])


def _on_host(
    todo: RequestedImages,
    client: RegistryClient,
    quotas: Mapping[str, list[QuotaUse]],
    engine: Engine,
    *,
    detailed: bool,
) -> HostWork:
    forecast = plan_pull(todo, engine, client)
    for quota in forecast.quotas:
        quotas[quota.registry].append(quota)
    pulls, unknown = len(forecast.would_pull), len(forecast.unknown)
    least = "" if forecast.complete else "at least "
    cells = (
        *map(str, (pulls, len(forecast.images) - pulls - unknown, unknown)),
        least + format_bytes(forecast.download),
    )
    problems = tuple(line for block in render.problems(forecast) for line in block.splitlines())
    return HostWork(_exit_code(forecast, detailed=detailed), cells, problems, json.loads(render.render_json(forecast)))


def _exit_code(forecast: PullPlan, *, detailed: bool) -> int:
    if not detailed:
        return forecast.exit_code
    return ExitCode.FAILED if forecast.exit_code else _CHANGES if forecast.would_pull else ExitCode.OK
