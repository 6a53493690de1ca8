"""`puller load`: images from files into an engine."""

import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from socket import gethostname
from typing import Any

import click

from puller import __version__
from puller.blobs.load import LayoutImages, LoadEngine
from puller.blobs.loopback_names import on_record
from puller.blobs.loopback_registry import LoopbackRegistry
from puller.cancellation import Cancellation, interruptible
from puller.cli.engine import open_engine
from puller.cli.options import engine_options
from puller.cli.output import emit, show
from puller.cli.progress import Log, follow, open_log
from puller.cli.sections import SectionedCommand, flag
from puller.cli.signals import handled
from puller.errors import EngineError, EngineUnreachableError, UsageError
from puller.model import Report, RunDetails
from puller.pull.session import PullSession
from puller.registry.resolver import Resolver
from puller.report import RENDERERS
from puller.settings import Policy, Settings
from puller.text import clean

_LOG = {"progress": "auto", "verbose": 0, "log_timestamps": "auto", "log_file": None}
"""The defaults of the options of `puller pull` for the log."""


@click.command("load", cls=SectionedCommand)
@click.argument("source", metavar="DIR|FILE", type=click.Path(path_type=Path))
@engine_options
@click.option("--format", "form", type=click.Choice([*RENDERERS]), default="text", help="The report on stdout.")
@flag("-q", "--quiet", help="No progress, and a report of failures only.")
def command(**options: Any) -> int:
    """Load images into an engine, from a folder (pull --to oci:DIR) or a file (pull --to archive:FILE).

    Any OCI image layout works if its index has the names of the images. An engine with the containerd store keeps names
    and digests. One with a graph driver keeps names and image IDs; it records a digest only when it pulls from a
    registry.

    \b
    puller load images.oci
    puller load images.tar --context airgapped
    """  # noqa: D301 - click wants the control character itself
    source = clean(str(options["source"]))
    details = RunDetails(clean(gethostname()), "", (source,), f"puller load {source}", __version__)
    with handled() as signals, open_log(_LOG | options, sys.stderr) as log:
        report = _load(options, details, signals.cancellation, log)
        signals.finish()
        log.end()
        code = signals.exit_code or report.exit_code
        report = report._replace(details=details._replace(engine=report.details.engine, exit_code=int(code)))
        if options["form"] == "text":
            show(report, quiet=options["quiet"], seen=True)
        else:
            emit(RENDERERS[options["form"]](report))
    return code


def _load(options: Mapping[str, Any], details: RunDetails, cancel: Cancellation, log: Log) -> Report:
    settings = Settings(policy=Policy.ALWAYS, disk_check=False)
    images = LayoutImages(options["source"])
    with closing(open_engine(options, settings.jobs)) as engine:
        try:
            facts = engine.store.facts()
        except EngineError as error:
            raise EngineUnreachableError(f"the engine cannot be asked: {error.message}") from None
        if not facts.local:
            raise UsageError("the engine is on another machine: run puller load there")
        wanted = images.requests(facts.platform)
        if not wanted:
            raise UsageError(f"{options['source']}: its index.json has no image names")
        with (
            closing(LoopbackRegistry(images)) as server,
            on_record(engine.store, server.place),
            follow(log, details=details) as observer,
            PullSession(LoadEngine(engine, wanted, server), Resolver(), settings, observer, cancel=cancel) as session,
        ):
            return interruptible(lambda: session.pull(tuple(wanted)), cancel)
