"""`puller load`: images from files into an engine."""

import sys
from pathlib import Path
from typing import Any

import click

from puller.blobs.load import LayoutImages, LoadEngine
from puller.blobs.loopback_registry import LoopbackRegistry
from puller.cli.options import engine_options
from puller.cli.output import emit
from puller.cli.progress import ProgressMode, observe
from puller.cli.sections import SectionedCommand
from puller.cli.signals import handled
from puller.engine import connect
from puller.engine.interface import Engine
from puller.errors import EngineError, EngineUnreachableError, UsageError
from puller.model import Report
from puller.pull.run import pull_all
from puller.report import RENDERERS
from puller.settings import BackendChoice, Policy, Settings


@click.command("load", cls=SectionedCommand, context_settings={"auto_envvar_prefix": "PULLER"})
@click.argument("source", metavar="DIR|FILE", type=click.Path(path_type=Path))
@engine_options
@click.option("--format", "form", type=click.Choice([*RENDERERS]), default="text", help="The report on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, and a report only of what failed.")
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Bring images into an engine that a pull has put into a folder (--to oci:DIR) or a file (--to archive:FILE).

    Any OCI image layout will do whose index gives the images' names. An engine with the containerd store keeps names
    and digests; one with a graph driver keeps names and image IDs, and notes a digest only at a pull from a registry.

    \b
    puller load images.oci
    puller load images.tar --context airgapped
    """  # noqa: D301 - click wants the control character itself
    with handled() as signals:
        report = _run(options)
        signals.finish()
        render = RENDERERS[options["form"]]
        quiet = options["form"] == "text" and options["quiet"]
        emit(render(report, failures_only=True) if quiet else render(report))
    ctx.exit(signals.exit_code or int(report.exit_code))


def _run(options: dict[str, Any]) -> Report:

    settings = Settings(policy=Policy.ALWAYS)
    images = LayoutImages(options["source"])
    backend = connect(
        BackendChoice(options["backend"]),
        docker_command=options["docker_command"],
        context=options["context"],
        connections=settings.jobs,
    )
    try:
        facts = backend.store.facts()
    except EngineError as error:
        raise EngineUnreachableError(f"the engine cannot be asked: {error.message}") from None
    if not facts.local:
        raise UsageError("the engine is not on this machine, and would not reach loopback here: run puller load there")
    wanted = images.requests(facts.platform)
    if not wanted:
        raise UsageError(f"{options['source']}: its index.json names no image")
    return _load(backend, images, wanted, settings, quiet=options["quiet"])


def _load(backend: Engine, images: Any, wanted: dict[Any, Any], settings: Settings, *, quiet: bool) -> Report:

    server = LoopbackRegistry(images)
    mode = ProgressMode.QUIET if quiet else ProgressMode.AUTO
    try:
        with observe(mode, sys.stderr, verbose=0) as observer:
            return pull_all(tuple(wanted), LoadEngine(backend, wanted, server), settings, observer=observer)
    finally:
        server.close()
