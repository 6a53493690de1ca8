"""`puller verify`: whether this host has exactly what lists say."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from importlib import import_module
from typing import Any

import click

from puller.cli.engine import fatal_engine_errors, open_engine
from puller.cli.fleet_options import HostWork, hosts_options, named_hosts
from puller.cli.lists import requested_images
from puller.cli.options import engine_options, list_options, mirror_options
from puller.cli.output import emit, emit_json
from puller.cli.registries import registry_client, tell
from puller.cli.sections import flag, text_or_json
from puller.engine.interface import Engine
from puller.engine.model import EngineInfo
from puller.errors import ExitCode
from puller.failure import Failure, error_document
from puller.imagelist.requests import RequestedImages
from puller.lockfile.lockfile import Difference, Kind
from puller.lockfile.verify import Ask, verify
from puller.model import PullRequest, exit_code_of
from puller.registry.batch import digests
from puller.report.words import advices
from puller.text import counted


@click.command(
    "verify", context_settings={"auto_envvar_prefix": "PULLER"},
    epilog="Exit codes: 0 no difference; 1 a difference; 2 usage or a bad list; 69 no engine; 75 no difference is "
    "known, but a registry could not be asked. With hosts: the worst of them; 3 if all that is missing is on hosts "
    "that could not be reached.",
)  # fmt: skip
@list_options
@engine_options
@hosts_options
@mirror_options
@flag("-q", "--quiet", help="Print the differences only.")
@flag("--offline", help="Ask no registry: only check that an image without a digest in the list is there.")
@text_or_json
def command(**options: Any) -> int:
    """Compare the images of this host with the LISTs: digests, platforms, tags.

    The output is a line for each difference; how many images were compared goes to stderr.

    An image with a digest in the list or lock is compared without the network. For a tag, the registry gets a HEAD
    request.

    \b
    puller verify images.lock
    puller verify images.txt --offline
    puller verify images.lock --hosts hosts.txt
    """  # noqa: D301 - click wants the control character itself
    hosts, todo = named_hosts(options), requested_images(options)
    if hosts:
        with registry_client() as client:
            ask = None if options["offline"] else lambda requests, _: digests(requests, client)
            code: int = import_module("puller.cli.over_hosts").over_hosts(
                hosts, options, ("IMAGES", "DIFFERENCES"), partial(_on_host, todo, ask), stop=client.close
            )
        return code
    with closing(open_engine(options)) as engine, fatal_engine_errors():
        found = verify(todo.requests, engine.store, None if options["offline"] else _ask)
    if options["form"] == "json":
        emit_json("verify", **_result(todo, found))
    else:
        emit("".join(f"{difference}\n" for difference in found))
        if not options["quiet"]:
            click.echo(f"puller: {_conclusion(todo.requests, found, offline=options['offline'])}", err=True)
    failures = [difference.failure for difference in found if difference.failure]
    if not options["quiet"]:
        tell(advices(failures))
    return _exit_code(todo, found)


def _on_host(todo: RequestedImages, ask: Ask | None, engine: Engine) -> HostWork:
    found = verify(todo.requests, engine.store, ask)
    document = {"schema": "puller.verify/1", **_result(todo, found)}
    cells = str(len(todo.requests)), str(len(found))
    return HostWork(_exit_code(todo, found), cells, tuple(map(str, found)), document)


def _exit_code(todo: RequestedImages, found: Sequence[Difference]) -> int:
    failures = [difference.failure for difference in found if difference.failure]
    return ExitCode.FAILED if len(failures) < len(found) or todo.bad else exit_code_of(failures)


def _result(todo: RequestedImages, found: Sequence[Difference]) -> dict[str, Any]:
    """Return what the JSON document says of one engine."""
    differences, invalid = [_document(difference) for difference in found], [str(line) for line in todo.bad]
    ok = not (found or invalid)
    return {"ok": ok, "images": len(todo.requests), "differences": differences, "invalid": invalid}


def _ask(requests: Sequence[PullRequest], facts: EngineInfo) -> Mapping[PullRequest, str | Failure]:
    """Ask the registries, without TLS where a local engine uses none."""
    with registry_client(facts.insecure if facts.local else ()) as client:
        return digests(requests, client)


def _conclusion(requests: Sequence[PullRequest], found: Sequence[Difference], *, offline: bool) -> str:
    """Return how many images are as the lists say, what was not compared, and what to do about unknown digests."""
    good = len(requests) - len({difference.request for difference in found})
    tags = sum(not request.reference.digest for request in requests) if offline else 0
    line = f"{good} of {counted(len(requests), 'image')} {'is' if 1 in (good, len(requests)) else 'are'} "
    line += f"present; {counted(tags, 'tag')} not compared with the registries" if tags else "exactly as listed"
    if any(each.kind is Kind.OTHER_DIGEST and not each.found for each in found):
        line += (
            "; a graph-driver store keeps no digest of an image that was loaded: pull it, or use an engine with the "
            "containerd store, which does"
        )
    return line


def _document(difference: Difference) -> dict[str, Any]:
    request, why = difference.request, difference.failure
    return {
        "kind": difference.kind.value,
        "reference": request.reference.canonical,
        "requested": request.requested,
        "platform": str(request.platform) if request.platform else None,
        "wanted": difference.wanted,
        "found": difference.found,
        "error": error_document(why) if why else None,
        "message": str(difference),
    }
