"""`puller load`: images from files into an engine."""

import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from puller.blobs.load import LayoutImages, LoadEngine
from puller.blobs.loopback_registry import LoopbackRegistry
from puller.cli.engine import address_of, engine_at
from puller.cli.options import engine_options
from puller.cli.output import emit
from puller.cli.progress import ProgressMode, observe
from puller.cli.sections import SectionedCommand, flag
from puller.cli.signals import Signals, handled
from puller.errors import EngineError, EngineUnreachableError, UsageError
from puller.model import Report
from puller.pull.session import PullSession
from puller.registry.resolver import Resolver
from puller.report import RENDERERS
from puller.settings import Policy, Settings


@click.command("load", cls=SectionedCommand, context_settings={"auto_envvar_prefix": "PULLER"})
@click.argument("source", metavar="DIR|FILE", type=click.Path(path_type=Path))
@engine_options
@click.option("--format", "form", type=click.Choice([*RENDERERS]), default="text", help="The report on stdout.")
@flag("-q", "--quiet", help="No progress, and a report of failures only.")
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Load images into an engine, from a folder (pull --to oci:DIR) or a file (pull --to archive:FILE).

    Any OCI image layout works if its index has the names of the images. An engine with the containerd store keeps names
    and digests. One with a graph driver keeps names and image IDs; it records a digest only when it pulls from a
    registry.

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
    address = address_of(options)
    with engine_at(address, options, settings.jobs) as engine:
        if not address.local:
            raise UsageError("the engine is on another machine: run puller load there")
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
                LoadEngine(engine, wanted, server), Resolver(), settings, observer, cancel=signals.cancellation
            ) as session,
        ):
            return signals.run(lambda: session.pull(tuple(wanted)))
