"""`puller list`: the images that lists resolve to; neither the engine nor a registry is asked."""

from collections.abc import Sequence
from itertools import repeat
from typing import Any

import click

from puller.cli.lists import requested_images
from puller.cli.options import list_options
from puller.cli.output import emit, emit_json
from puller.cli.sections import flag, text_or_json
from puller.imagelist import Source
from puller.model import PullRequest


@click.command("list")
@list_options
@text_or_json
@flag("--sources", help="Add the place of each image in the lists as a comment; JSON always has it.")
def command(**options: Any) -> None:
    """Show the images that each LIST resolves to: each image once, with its full name.

    A LIST is an image, a file, a directory, a URL or - for stdin: plain lines, or a file with images, such as a
    Compose file. The text output is itself a list.

    \b
    puller list images.txt
    puller list compose.yaml k8s/ --sources
    """  # noqa: D301 - click wants the control character itself
    is_json = options["form"] == "json"
    found = requested_images(options, keep_sources=options["sources"] or is_json)
    if is_json:
        images = [*map(_document, found.requests, found.sources)]
        emit_json("list", images=images, invalid=[*map(str, found.bad)], notes=[*map(str, found.notes)])
    else:
        places = (f"  # {', '.join(map(str, sources))}" for sources in found.sources) if found.sources else repeat("")
        emit("".join(f"{_line(request)}{place}\n" for request, place in zip(found.requests, places, strict=False)))


def _line(request: PullRequest) -> str:
    """Return a request as a line of a list."""
    canonical = request.reference.canonical
    return f"--platform={request.platform} {canonical}" if request.platform else canonical


def _document(request: PullRequest, sources: Sequence[Source]) -> dict[str, Any]:
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
