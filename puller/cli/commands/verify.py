"""`puller verify`: whether this host has exactly what lists say."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from puller.cli.config_option import registries
from puller.cli.engine import address_of, engine_at, fatal_engine_errors
from puller.cli.options import engine_options, list_options, make_plan
from puller.cli.output import emit
from puller.cli.sections import flag, text_or_json
from puller.engine.model import EngineInfo
from puller.errors import ExitCode
from puller.failure import Failure, error_document
from puller.imagelist.requests import RequestedImages
from puller.lockfile.lockfile import Difference
from puller.lockfile.verify import verify
from puller.model import PullRequest, exit_code_of
from puller.registry.batch import digests
from puller.registry.client import RegistryClient


@click.command(
    "verify",
    context_settings={"auto_envvar_prefix": "PULLER"},
    epilog="Exit codes: 0 no difference; 1 a difference; 2 usage or a bad list; 69 no engine; 75 no difference is "
    "known, but a registry could not be asked.",
)
@list_options
@engine_options
@flag("--offline", help="Ask no registry: only check that an image without a digest in the list is there.")
@text_or_json
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Compare the images of this host with the LISTs: digests, platforms, tags. Prints a line for each difference.

    An image with a digest in the list or lock is compared without the network. For a tag, the registry gets a HEAD
    request.

    \b
    puller verify images.lock
    puller verify images.txt --offline
    """  # noqa: D301 - click wants the control character itself
    todo = make_plan(options)
    with engine_at(address_of(options), options) as engine, fatal_engine_errors():
        found = verify(todo.requests, engine.store, None if options["offline"] else _ask)
    emit(_json(todo, found) if options["form"] == "json" else "".join(f"{difference}\n" for difference in found))
    failures = [difference.failure for difference in found if difference.failure]
    if len(failures) < len(found) or todo.bad:
        ctx.exit(ExitCode.FAILED)
    ctx.exit(int(exit_code_of(failures)))


def _ask(requests: Sequence[PullRequest], facts: EngineInfo) -> Mapping[PullRequest, str | Failure]:
    """Ask the registries, without TLS where a local engine uses none."""
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
        "kind": difference.kind.value,
        "reference": request.reference.canonical,
        "requested": request.requested,
        "platform": str(request.platform) if request.platform else None,
        "wanted": difference.wanted,
        "found": difference.found,
        "error": error_document(why) if why else None,
        "message": str(difference),
    }
