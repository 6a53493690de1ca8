"""`puller list`: what lists mean, without asking anybody."""

import json
from typing import TYPE_CHECKING, Any

import click

from puller.cli.options import list_options, make_plan
from puller.cli.output import emit

if TYPE_CHECKING:
    from puller.model import PullRequest
    from puller.plan import Plan
    from puller.reference import Platform


@click.command("list")
@list_options
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="Form of the output.")
def command(
    lists: tuple[str, ...], images: tuple[str, ...], platform: "Platform | None", form: str, *, skip_invalid: bool
) -> None:
    """Show what each LIST means, without pulling: every image once, its name in full.

    A LIST is a file with one reference a line, or - for standard input. The text output is such a list itself.
    """
    plan = make_plan(lists, images, platform, skip_invalid=skip_invalid)
    for line in plan.bad:
        click.echo(str(line), err=True)
    emit(_json(plan) if form == "json" else _text(plan))


def _text(plan: "Plan") -> str:
    return "".join(f"{_line(request)}\n" for request in plan.requests)


def _line(request: "PullRequest") -> str:
    """Write a request as a list would."""
    canonical = request.reference.canonical
    return f"--platform={request.platform} {canonical}" if request.platform else canonical


def _json(plan: "Plan") -> str:
    document = {
        "schema": "puller.list/1",
        "images": [_image(request) for request in plan.requests],
        "invalid": [str(line) for line in plan.bad],
    }
    return json.dumps(document, indent=2) + "\n"


def _image(request: "PullRequest") -> dict[str, Any]:
    reference = request.reference
    return {
        "reference": reference.canonical,
        "platform": str(request.platform) if request.platform else None,
        "requested": request.requested,
        "registry": reference.registry,
        "repository": reference.repository,
        "tag": reference.tag,
        "digest": reference.digest,
    }
