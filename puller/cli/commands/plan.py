"""`puller plan`: what a pull would do and cost."""

from typing import Any

import click

from puller.cli.config_option import registries
from puller.cli.options import engine_options, list_options, make_plan
from puller.cli.output import emit
from puller.engine import connect, locate
from puller.errors import EngineError, EngineUnreachableError, ExitCode
from puller.imagelist.requests import RequestedImages
from puller.plan import render
from puller.plan.model import PullPlan
from puller.plan.pull_plan import plan_pull
from puller.registry.client import RegistryClient
from puller.settings import BackendChoice

_CHANGES = 2
"""Exit code for a plan that is not empty, as terraform's."""
_CONNECTIONS = 4


@click.command("plan", context_settings={"auto_envvar_prefix": "PULLER"})
@list_options
@engine_options
@click.option(
    "--detailed-exitcode", is_flag=True, help="Exit with 0 when there is nothing to pull, 2 when there is, 1 on errors."
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="Form of the output.")
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Show what a pull of each LIST would do and cost, without pulling.

    Registries are asked what each image stands for; for those that the engine does not have, what they consist of,
    too. Exit codes: 0, or 1 when an image or line is not known; see also --detailed-exitcode.

    \b
    puller plan images.txt
    puller plan --image nginx:1.27 --format json --detailed-exitcode
    """  # noqa: D301 - click wants the control character itself
    todo = make_plan(options["lists"], options["images"], options["platform"], skip_invalid=options["skip_invalid"])
    forecast = _forecast(todo, BackendChoice(options["backend"]), options["docker_command"], options["context"])

    emit(render.render_json(forecast) if options["form"] == "json" else render.render_text(forecast))
    changes = options["detailed_exitcode"] and forecast.would_pull
    ctx.exit(ExitCode.FAILED if not forecast.ok else _CHANGES if changes else ExitCode.OK)


def _forecast(todo: RequestedImages, choice: BackendChoice, docker_command: str, context: str | None) -> PullPlan:
    address = locate(choice, docker_command=docker_command, context=context)
    engine = connect(address, choice, docker_command=docker_command, connections=_CONNECTIONS)
    client = RegistryClient(insecure=lambda: engine.store.facts().insecure, registries=registries())
    try:
        with client:
            return plan_pull(todo, engine, client)
    except EngineError as error:
        raise EngineUnreachableError(f"the engine cannot be asked: {error.message}") from None
    finally:
        engine.close()
