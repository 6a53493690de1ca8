"""Docker's config.json and the credential helpers that it names: whether they are there and answer."""

import os
import shutil
from collections.abc import Collection, Iterator

from puller.cancellation import Cancellation
from puller.doctor.finding import About, Finding, Verdict
from puller.system import process
from puller.system.docker_config import HELPER, Accounts

SECONDS = 5.0
"""That a helper may take to answer."""
_UNKNOWN = "not found in native keychain"
"""What helpers say of a registry that they have no account for (docker/docker-credential-helpers)."""
_HUB = "https://index.docker.io/v1/"
_LONGEST = 100


def examine_accounts(accounts: Accounts) -> Iterator[Finding]:
    """Say whether there is a config.json, and whether it can be read."""
    about = About("credentials")
    if accounts.problem:
        words = str(accounts)
        known = accounts.path.is_absolute()
        fix = f"python3 -m json.tool {accounts.path}   # where the mistake is" if known else "export HOME=…"
        yield about.failed("config", words, fix)
    elif not accounts.path.exists():
        yield about.ok("config", f"there is no {accounts.path}: all registries are asked without an account")
    else:
        yield about.ok("config", f"{accounts.path}; helpers: {', '.join(accounts.names()) or 'none'}")


def examine_helper(accounts: Accounts, helper: str, wanted: Collection[str]) -> Iterator[Finding]:
    """Ask a helper as docker does, for a registry that is wanted, else for its list; its secrets are not looked at.

    Without it, pulls from the registries it answers for fail; where none of these is wanted, that is a warning.
    """
    about, program = About("credentials"), f"{HELPER}{helper}"
    registry = next(iter(accounts.answered_by(helper, wanted)), None)
    bad = Verdict.FAILED if registry or not wanted else Verdict.WARNING
    if shutil.which(program) is None:
        fix = f"command -v {program}   # install it, add its directory to PATH, or take it out of {accounts.path}"
        yield about.found("helper", bad, f"{program} is not on the PATH", fix)
        return
    question = (_HUB if registry == "docker.io" else registry).encode() if registry else b""
    try:
        done = process.run(
            (program, "get" if registry else "list"),
            environment=dict(os.environ),
            cancel=Cancellation(),
            timeout=SECONDS,
            stdin=question,
        )
    except TimeoutError:
        fix = f"echo {question.decode()} | {program} {'get' if registry else 'list'}   # does it wait for a password?"
        yield about.found("helper", bad, f"{program}: no answer within {SECONDS:g}s", fix)
    except OSError as error:
        fix = f"ls -l $(command -v {program})"
        yield about.found("helper", bad, f"{program} cannot be run: {error.strerror}", fix)
    else:
        yield _judged(about, program, registry, done, bad)


def _judged(about: About, program: str, registry: str | None, done: process.Completed, bad: Verdict) -> Finding:
    if done.code == 0:
        return about.ok("helper", f"{program} answers" + (f", with an account for {registry}" if registry else ""))
    # What a helper prints on failure is a message; on success it would be the secret.
    words = (done.stderr.strip() or done.stdout.strip())[:_LONGEST]
    if registry is None or _UNKNOWN in words:
        return about.ok("helper", f"{program} answers" + (f", without an account for {registry}" if registry else ""))
    fix = f"echo {registry} | {program} get   # then log in to whatever it asks"
    return about.found("helper", bad, f"{program} fails for {registry}: {words}", fix)
