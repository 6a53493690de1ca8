"""Checks docker's config.json, and whether the credential helpers that it names are installed and answer."""

from collections.abc import Collection, Iterator

from puller.doctor.findings import Finding, Subject, Verdict, login
from puller.system.credentials import ask_helper, server_name
from puller.system.docker_config import HELPER, DockerConfig

SECONDS = 5.0
"""Time limit for a helper to answer."""


def examine_config(config: DockerConfig) -> Iterator[Finding]:
    """Check that config.json can be read, if there is one."""
    subject = Subject("credentials")
    if config.problem:
        words = str(config)
        known = config.path.is_absolute()
        fix = f"python3 -m json.tool {config.path}   # shows the line of the error" if known else "export HOME=…"
        yield subject.failed("config", words, fix)
    elif not config.path.exists():
        yield subject.ok("config", f"no {config.path}: pulls from all registries are anonymous")
    else:
        yield subject.ok("config", f"{config.path}; helpers: {', '.join(config.names()) or 'none'}")
    for registry in config.entry_problems:
        yield subject.warning("entry", config.problem_of(registry), f"{login(registry, 'logout')} && {login(registry)}")


def examine_helper(config: DockerConfig, helper: str, wanted: Collection[str]) -> Iterator[Finding]:
    """Run a helper as docker does: `get` for one of the `wanted` registries, or else `list`.

    Without the helper, pulls from the registries that it serves fail; where none of them is wanted, that is a warning.
    """
    subject, program = Subject("credentials"), f"{HELPER}{helper}"
    registry = next(iter(config.registries_of(helper, wanted)), None)
    found = ask_helper(program, registry, SECONDS)
    if found.problem:
        bad = Verdict.FAILED if registry or not wanted else Verdict.WARNING
        ask = f"echo {server_name(registry)} | {program} {'get' if registry else 'list'}"
        fix = f"{ask}   # install it on the PATH, log in where it asks for it, or remove it from {config.path}"
        yield subject.found("helper", bad, found.problem, fix)
    else:
        having = f", {'with' if found.credential else 'without'} credentials for {registry}" if registry else ""
        yield subject.ok("helper", f"{program} answers{having}")
