"""`puller list`: the images that lists resolve to; neither the engine nor a registry is asked."""

import json
from collections.abc import Sequence
from typing import Any

import click

from puller.cli.options import list_options, make_plan
from puller.cli.output import emit
from puller.cli.sections import flag, text_or_json
from puller.imagelist import Source
from puller.imagelist.requests import RequestedImages
from puller.model import PullRequest


@click.command("list")
@list_options
@text_or_json
@flag("--sources", help="Add the place of each image in the lists as a comment; JSON always has it.")
def command(**options: Any) -> None:
    """Show the images that each LIST resolves to: each image once, with its full name.

    A LIST is a file, a directory, a URL or - for stdin: plain lines, or a file with images, such as a Compose file.
    The text output is itself a list.

    \b
    puller list images.txt
    puller list compose.yaml k8s/ --sources
    """  # noqa: D301 - click wants the control character itself
    is_json = options["form"] == "json"
    found = make_plan(options, keep_sources=options["sources"] or is_json)
    emit(_json(found) if is_json else _text(found))


def _text(found: RequestedImages) -> str:
    if not found.sources:
        return "".join(f"{_line(request)}\n" for request in found.requests)
    located = zip(found.requests, found.sources, strict=True)
    return "".join(f"{_line(request)}  # {', '.join(map(str, places))}\n" for request, places in located)


def _line(request: PullRequest) -> str:
    """Return a request as a line of a list."""
    canonical = request.reference.canonical
    return f"--platform={request.platform} {canonical}" if request.platform else canonical


def _json(found: RequestedImages) -> str:
    document = {
        "schema": "puller.list/1",
        "images": [_image(*located) for located in zip(found.requests, found.sources, strict=True)],
        "invalid": [str(line) for line in found.bad],
        "notes": [str(note) for note in found.notes],
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
