"""`puller plan`: what a pull would do and cost."""

from collections.abc import Mapping
from typing import Any

import click

from puller.cli.config_option import registries
from puller.cli.engine import address_of, engine_at
from puller.cli.options import engine_options, list_options, make_plan
from puller.cli.output import emit
from puller.cli.sections import flag, text_or_json
from puller.errors import EngineError, EngineUnreachableError, ExitCode
from puller.imagelist.requests import RequestedImages
from puller.plan import render
from puller.plan.model import PullPlan
from puller.plan.survey import plan_pull
from puller.registry.client import RegistryClient

_CHANGES = 2
"""Exit code for a plan that is not empty, as terraform's."""
_CONNECTIONS = 4


@click.command("plan", context_settings={"auto_envvar_prefix": "PULLER"})
@list_options
@engine_options
@flag("--detailed-exitcode", help="Exit with 0 when there is nothing to pull, 2 when there is, 1 on errors.")
@text_or_json
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Show what a pull of each LIST would do and cost, without pulling.

    Asks registries for the digest of each image, and for the layers of those that the engine does not have. Exit codes:
    0, or 1 when an image is unknown or a line is bad; see also --detailed-exitcode.

    \b
    puller plan images.txt
    puller plan --image nginx:1.27 --format json --detailed-exitcode
    """  # noqa: D301 - click wants the control character itself
    forecast = _forecast(make_plan(options, report_bad=False), options)
    emit(render.render_json(forecast) if options["form"] == "json" else render.render_text(forecast))
    changes = options["detailed_exitcode"] and forecast.would_pull
    ctx.exit(ExitCode.FAILED if not forecast.ok else _CHANGES if changes else ExitCode.OK)


def _forecast(todo: RequestedImages, options: Mapping[str, Any]) -> PullPlan:
    with (
        engine_at(address_of(options), options, _CONNECTIONS) as engine,
        RegistryClient(insecure=lambda: engine.store.facts().insecure, registries=registries()) as client,
    ):
        try:
            return plan_pull(todo, engine, client)
        except EngineError as error:
            raise EngineUnreachableError(f"the engine cannot be asked: {error.message}") from None
