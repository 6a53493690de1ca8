"""`puller load`: images from files into an engine."""

import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from puller.blobs.load import LayoutImages, LoadEngine
from puller.blobs.loopback_registry import LoopbackRegistry
from puller.cli.options import engine_options
from puller.cli.output import emit
from puller.cli.progress import ProgressMode, observe
from puller.cli.sections import SectionedCommand
from puller.cli.signals import Signals, handled
from puller.engine import connect, locate
from puller.errors import EngineError, EngineUnreachableError, UsageError
from puller.model import Report
from puller.pull.session import PullSession
from puller.registry.resolver import NULL_RESOLVER
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
        report = _load(options, signals)
        signals.finish()
        render = RENDERERS[options["form"]]
        quiet = options["form"] == "text" and options["quiet"]
        emit(render(report, failures_only=True) if quiet else render(report))
    ctx.exit(signals.exit_code or int(report.exit_code))


def _load(options: dict[str, Any], signals: Signals) -> Report:
    settings = Settings(policy=Policy.ALWAYS, disk_check=False)
    images = LayoutImages(options["source"])
    choice, command = BackendChoice(options["backend"]), options["docker_command"]
    address = locate(choice, docker_command=command, context=options["context"])
    engine = connect(address, choice, docker_command=command, connections=settings.jobs)
    if not address.local:
        raise UsageError("the engine is not on this machine, and would not reach loopback here: run puller load there")
    try:
        wanted = images.requests(engine.store.facts().platform)
    except EngineError as error:
        raise EngineUnreachableError(f"the engine cannot be asked: {error.message}") from None
    if not wanted:
        raise UsageError(f"{options['source']}: its index.json names no image")
    with (
        closing(LoopbackRegistry(images)) as server,
        observe(ProgressMode.QUIET if options["quiet"] else ProgressMode.AUTO, sys.stderr) as observer,
        PullSession(
            LoadEngine(engine, wanted, server), NULL_RESOLVER, settings, observer, cancel=signals.cancellation
        ) as session,
    ):
        return signals.run(lambda: session.pull(tuple(wanted)))
