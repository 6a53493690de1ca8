"""`puller doctor`: checks this host for problems that would block or slow pulls."""

import shutil
import sys
from typing import Any

import click

from puller.cli.config_option import registries
from puller.cli.lists import requested_images
from puller.cli.options import engine_options, list_options, mirror_options
from puller.cli.output import emit, wants_color
from puller.cli.sections import SectionedCommand, number, section, text_or_json
from puller.doctor import EngineChoice, Scope, Verdict, examine, render
from puller.errors import ExitCode
from puller.settings import BackendChoice, Settings


@click.command(
    "doctor", cls=SectionedCommand,
    epilog="Exit codes: 0 no check failed (there may be warnings); 1 a check failed; 2 usage or a bad list.",
)  # fmt: skip
@list_options
@engine_options
@mirror_options
@section(
    "Checks",
    number("-j", "--jobs", default=Settings().jobs, most=None, metavar=None, help="Concurrent pulls to check for."),
    text_or_json,
)  # fmt: skip
def command(**options: Any) -> int:
    """Check this host for problems that would block or slow pulls, and say how to fix them.

    Checks the engine, disk, clocks, credential helpers, proxies and other pulls; with a LIST also its registries and
    the mirrors: DNS, connection, certificate, credentials, latency, rate limit. Nothing is pulled, and no request
    counts against a rate limit.

    \b
    puller doctor
    puller doctor images.txt -j 8
    puller doctor images.txt --format json
    """  # noqa: D301 - click wants the control character itself
    requests = requested_images(options).requests if options["lists"] or options["images"] else ()
    choice = EngineChoice(BackendChoice(options["backend"]), options["docker_command"], options["context"])
    references = tuple(request.reference for request in requests)
    findings = examine(Scope(choice, references, options["jobs"], registries()))
    if options["form"] == "json":
        emit(render.render_json(findings, asked=bool(requests)))
    else:
        color, width = wants_color(), shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        emit(render.render_text(findings, asked=bool(requests), width=width, color=color), color=color)
    return ExitCode.FAILED if any(each.status is Verdict.FAILED for each in findings) else ExitCode.OK
