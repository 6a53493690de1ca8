"""Docker's config.json and the credential helpers that it names: whether they are there and answer."""

import shutil
from collections.abc import Collection, Iterator

from puller.doctor.findings import Finding, Subject, Verdict
from puller.registry.credentials import ask_helper, server_name
from puller.system.docker_config import HELPER, DockerConfig
from puller.system.process import Completed

SECONDS = 5.0
"""That a helper may take to answer."""
_UNKNOWN = "not found in native keychain"
"""What helpers say of a registry that they have no account for (docker/docker-credential-helpers)."""
_LONGEST = 100


def examine_config(config: DockerConfig) -> Iterator[Finding]:
    """Say whether there is a config.json, and whether it can be read."""
    subject = Subject("credentials")
    if config.problem:
        words = str(config)
        known = config.path.is_absolute()
        fix = f"python3 -m json.tool {config.path}   # where the mistake is" if known else "export HOME=…"
        yield subject.failed("config", words, fix)
    elif not config.path.exists():
        yield subject.ok("config", f"there is no {config.path}: all registries are asked without an account")
    else:
        yield subject.ok("config", f"{config.path}; helpers: {', '.join(config.names()) or 'none'}")


def examine_helper(config: DockerConfig, helper: str, wanted: Collection[str]) -> Iterator[Finding]:
    """Ask a helper as docker does, for a registry that is wanted, else for its list; its secrets are not looked at.

    Without it, pulls from the registries it answers for fail; where none of these is wanted, that is a warning.
    """
    subject, program = Subject("credentials"), f"{HELPER}{helper}"
    registry = next(iter(config.answered_by(helper, wanted)), None)
    bad = Verdict.FAILED if registry or not wanted else Verdict.WARNING
    if shutil.which(program) is None:
        fix = f"command -v {program}   # install it, add its directory to PATH, or take it out of {config.path}"
        yield subject.found("helper", bad, f"{program} is not on the PATH", fix)
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
        return subject.ok("helper", f"{program} answers" + (f", with an account for {registry}" if registry else ""))
    # What a helper prints on failure is a message; on success it would be the secret.
    words = (done.stderr.strip() or done.stdout.strip())[:_LONGEST]
    if registry is None or _UNKNOWN in words:
        return subject.ok("helper", f"{program} answers" + (f", without an account for {registry}" if registry else ""))
    fix = f"echo {registry} | {program} get   # then log in to whatever it asks"
    return subject.found("helper", bad, f"{program} fails for {registry}: {words}", fix)
