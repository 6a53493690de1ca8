"""`puller verify`: whether this host has exactly what lists say."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from puller.cli.config_option import registries
from puller.cli.options import engine_options, list_options, make_plan
from puller.cli.output import emit
from puller.engine import connect, locate
from puller.engine.errors import fatal_engine_errors
from puller.engine.model import EngineInfo
from puller.errors import ExitCode
from puller.failure import Failure, error_document
from puller.imagelist.requests import RequestedImages
from puller.lockfile.verify import Difference, verify
from puller.model import PullRequest, exit_code_of
from puller.registry.batch import digests
from puller.registry.client import RegistryClient
from puller.settings import BackendChoice


@click.command(
    "verify",
    context_settings={"auto_envvar_prefix": "PULLER"},
    epilog="Exit codes: 0 all is as the lists say; 1 it is not; 2 usage or a bad list; 69 no engine; 75 nothing is "
    "wrong that is known, but a registry could not be asked.",
)
@list_options
@engine_options
@click.option(
    "--offline", is_flag=True, help="Ask no registry: of a tag that nothing pins, only look whether it is there."
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="Form of the output.")
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Compare the images of this host with the LISTs: digests, platforms, tags. One line for each difference.

    What a list or a lock pins by digest is compared without any network; of a tag, the registry is asked by a HEAD.

    \b
    puller verify images.lock
    puller verify images.txt --offline
    """  # noqa: D301 - click wants the control character itself
    todo = make_plan(options["lists"], options["images"], options["platform"], skip_invalid=options["skip_invalid"])
    for line in todo.bad:
        click.echo(str(line), err=True)
    found = _verify(todo, options)
    emit(_json(todo, found) if options["form"] == "json" else "".join(f"{difference}\n" for difference in found))
    failures = [difference.failure for difference in found if difference.failure]
    if len(failures) < len(found) or todo.bad:
        ctx.exit(ExitCode.FAILED)
    ctx.exit(int(exit_code_of(failures)))


def _verify(todo: RequestedImages, options: dict[str, Any]) -> tuple[Difference, ...]:

    choice, command = BackendChoice(options["backend"]), options["docker_command"]
    address = locate(choice, docker_command=command, context=options["context"])
    engine = connect(address, choice, docker_command=command)
    try:
        with fatal_engine_errors():
            return verify(todo.requests, engine.store, None if options["offline"] else _ask)
    finally:
        engine.close()


def _ask(requests: Sequence[PullRequest], facts: EngineInfo) -> Mapping[PullRequest, str | Failure]:
    """Ask the registries as this engine would: without TLS where it goes without."""
    with RegistryClient(insecure=facts.insecure if facts.local else (), registries=registries()) as client:
        return digests(requests, client)


def _json(todo: RequestedImages, found: Sequence[Difference]) -> str:
    document = {
        "schema": "puller.verify/1",
        "ok": not found and not todo.bad,
        "images": len(todo.requests),
        "differences": [_document(difference) for difference in found],
        "invalid": [str(line) for line in todo.bad],
    }
    return json.dumps(document, indent=2) + "\n"


def _document(difference: Difference) -> dict[str, Any]:
    request, why = difference.request, difference.failure
    return {
        "kind": difference.fault.value,
        "reference": request.reference.canonical,
        "requested": request.requested,
        "platform": str(request.platform) if request.platform else None,
        "wanted": difference.wanted,
        "found": difference.found,
        "error": error_document(why) if why else None,
        "message": str(difference),
    }
