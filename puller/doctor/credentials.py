"""Checks docker's config.json, and whether the credential helpers that it names are installed and answer."""

import shutil
from collections.abc import Collection, Iterator

from puller.doctor.findings import Finding, Subject, Verdict
from puller.system.credentials import UNKNOWN, ask_helper, server_name
from puller.system.docker_config import HELPER, DockerConfig
from puller.system.process import Completed

SECONDS = 5.0
"""Time limit for a helper to answer."""
_LONGEST = 100
"""Characters of a helper's message."""


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


def examine_helper(config: DockerConfig, helper: str, wanted: Collection[str]) -> Iterator[Finding]:
    """Run a helper as docker does: `get` for one of the `wanted` registries, or else `list`.

    Without the helper, pulls from the registries that it serves fail; where none of them is wanted, that is a warning.
    """
    subject, program = Subject("credentials"), f"{HELPER}{helper}"
    registry = next(iter(config.registries_of(helper, wanted)), None)
    bad = Verdict.FAILED if registry or not wanted else Verdict.WARNING
    if shutil.which(program) is None:
        fix = f"command -v {program}   # install it, add its directory to PATH, or remove it from {config.path}"
        yield subject.found("helper", bad, f"{program} is not in PATH", fix)
        return
    try:
        done = ask_helper(program, registry, SECONDS)
    except TimeoutError:
        verb = "get" if registry else "list"
        fix = f"echo {server_name(registry)} | {program} {verb}   # does it wait for a password?"
        yield subject.found("helper", bad, f"{program}: no answer within {SECONDS:g}s", fix)
    except OSError as error:
        fix = f"ls -l $(command -v {program})"
        yield subject.found("helper", bad, f"{program} cannot be run: {error.strerror}", fix)
    else:
        yield _answer(subject, program, registry, done, bad)


def _answer(subject: Subject, program: str, registry: str | None, done: Completed, bad: Verdict) -> Finding:
    if done.code == 0:
        return subject.ok("helper", f"{program} answers{f', with credentials for {registry}' if registry else ''}")
    # On failure a helper prints a message, on success the secret.
    words = (done.stderr.strip() or done.stdout.strip())[:_LONGEST]
    if registry is None or UNKNOWN in words:
        return subject.ok("helper", f"{program} answers{f', without credentials for {registry}' if registry else ''}")
    fix = f"echo {registry} | {program} get   # then log in where it asks for it"
    return subject.found("helper", bad, f"{program} fails for {registry}: {words}", fix)
