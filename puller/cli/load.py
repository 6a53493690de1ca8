"""`puller load`: images from files into an engine."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from puller.cli.options import engine_options
from puller.cli.output import emit
from puller.cli.sections import SectionedCommand
from puller.config import BackendChoice, Policy, Settings
from puller.errors import EngineError, EngineUnreachableError, UsageError
from puller.progress import ProgressMode, observe
from puller.reports import RENDERERS

if TYPE_CHECKING:
    from puller.backends.base import Backend
    from puller.model import Report


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
    from puller.cli.signals import handled  # noqa: PLC0415 - heavy, as what follows: not for --help

    with handled() as signals:
        report = _run(options)
        signals.finish()
        render = RENDERERS[options["form"]]
        quiet = options["form"] == "text" and options["quiet"]
        emit(render(report, failures_only=True) if quiet else render(report))
    ctx.exit(signals.exit_code or int(report.exit_code))


def _run(options: "dict[str, Any]") -> "Report":
    from puller.backends import connect  # noqa: PLC0415
    from puller.prefetch.load import Images  # noqa: PLC0415

    settings = Settings(policy=Policy.ALWAYS)
    images = Images(options["source"])
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


def _load(backend: "Backend", images: Any, wanted: "dict[Any, Any]", settings: Settings, *, quiet: bool) -> "Report":
    from puller.orchestrator import pull_all  # noqa: PLC0415
    from puller.prefetch.load import LoadingBackend  # noqa: PLC0415
    from puller.prefetch.serve import LoopbackRegistry  # noqa: PLC0415

    server = LoopbackRegistry(images)
    mode = ProgressMode.QUIET if quiet else ProgressMode.AUTO
    try:
        with observe(mode, sys.stderr, verbose=0) as observer:
            return pull_all(tuple(wanted), LoadingBackend(backend, wanted, server), settings, observer=observer)
    finally:
        server.close()
