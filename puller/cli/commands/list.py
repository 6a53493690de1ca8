"""`puller list`: what lists mean, without asking anybody."""

import json
from collections.abc import Sequence
from typing import Any

import click

from puller.cli.options import list_options, make_plan
from puller.cli.output import emit
from puller.image.reference import Platform
from puller.imagelist import Source
from puller.imagelist.requests import RequestedImages
from puller.model import PullRequest


@click.command("list")
@list_options
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="Form of the output.")
@click.option("--sources", is_flag=True, help="Say where each image is written, as a comment; JSON always does.")
def command(
    lists: tuple[str, ...],
    images: tuple[str, ...],
    platform: Platform | None,
    form: str,
    *,
    skip_invalid: bool,
    sources: bool,
) -> None:
    """Show what each LIST means, without pulling: every image once, its name in full.

    A LIST is a file, a directory, a URL or - for standard input: plain lines, or where images are written down
    already, such as a Compose file. The text output is a list itself.

    \b
    puller list images.txt
    puller list compose.yaml k8s/ --sources
    """  # noqa: D301 - click wants the control character itself
    plan = make_plan(lists, images, platform, skip_invalid=skip_invalid, keep_sources=sources or form == "json")
    for line in plan.bad:
        click.echo(str(line), err=True)
    emit(_json(plan) if form == "json" else _text(plan))


def _text(plan: RequestedImages) -> str:
    if not plan.sources:
        return "".join(f"{_line(request)}\n" for request in plan.requests)
    located = zip(plan.requests, plan.sources, strict=True)
    return "".join(f"{_line(request)}  # {', '.join(map(str, places))}\n" for request, places in located)


def _line(request: PullRequest) -> str:
    """Write a request as a list would."""
    canonical = request.reference.canonical
    return f"--platform={request.platform} {canonical}" if request.platform else canonical


def _json(plan: RequestedImages) -> str:
    document = {
        "schema": "puller.list/1",
        "images": [_image(*located) for located in zip(plan.requests, plan.sources, strict=True)],
        "invalid": [str(line) for line in plan.bad],
        "notes": [str(note) for note in plan.notes],
    }
    return json.dumps(document, indent=2) + "\n"


def _image(request: PullRequest, sources: Sequence[Source]) -> dict[str, Any]:
    reference = request.reference
    return {
        "reference": reference.canonical,
        "platform": str(request.platform) if request.platform else None,
        "requested": request.requested,
        "registry": reference.registry,
        "repository": reference.repository,
        "tag": reference.tag,
        "digest": reference.digest,
        "sources": [str(source) for source in sources],
    }
