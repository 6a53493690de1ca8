"""Usage errors: one line that says what is wrong and what was probably meant, and one that names the help.

This module is imported only when there is such an error.
"""

import os
import re
import shlex
import sys
from collections.abc import Iterable
from difflib import get_close_matches

import click
from click.core import ParameterSource

from puller.text import clean, source_name

_LONGEST = 200
"""Characters of a word or a command line in a message."""
_SIMILAR = 0.75
"""How similar a variable must be to one of puller's, from 0 to 1: other programs have variables of this prefix, too."""
_KUBERNETES = re.compile(r"PULLER_(?:SERVICE_HOST|SERVICE_PORT|PORT).*")
"""Variables that Kubernetes sets in pods beside a service of the name `puller`."""
_VERBS = {
    "check": "verify", "download": "pull", "fetch": "pull", "images": "list", "import": "load", "log": "history",
    "logs": "history", "ls": "list", "pin": "lock", "remove": "prune", "rm": "prune",
    "save": "pull --to", "show": "list", "sync": "pull",
}  # fmt: skip
"""Words of other programs, and the verbs that do the same."""
_OPTIONS = {
    "--json": "--format json", "-o": "--format json", "--output": "--format json",
    "-P": "--jobs", "--concurrency": "--jobs", "--threads": "--jobs", "--workers": "--jobs",
    "--debug": "--verbose", "--force": "--policy always",
}  # fmt: skip
"""Options of other programs, and those that do the same."""
_FLEET = ("--hosts", "--inventory", "--group", "--parallel-hosts", "--canary", "--wave", "--strict", "--unreachable")
"""Options that only `puller fleet pull` has."""


def message(error: click.ClickException) -> str:
    """Return what is wrong, without a full stop, and what was probably meant."""
    if isinstance(error, click.NoSuchOption):
        return _no_option(error)
    text = error.format_message().splitlines()[0]
    if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter) and error.param:
        text = f"{_name(error.param, error.ctx)}: {error.message}"
    text = re.sub(r"(\d+)<=x<=(\d+)", r"\1 to \2", text).partition(". Choose from")[0].removeprefix("Got ")
    text = text.rstrip(".:").replace("is not a valid integer range", "is not a whole number")
    return clean(text[:1].lower() + text[1:] if text[:2].istitle() else text, 4 * _LONGEST)


def try_help(error: click.ClickException) -> str:
    """Return the line that names the help of the verb."""
    context = getattr(error, "ctx", None)
    verb = f" {sys.argv[1]}" if sys.argv[1:2] and sys.argv[1].isalpha() else ""
    return f"Try '{context.command_path if context else f'puller{verb}'} --help'"


def no_verb(name: str, arguments: Iterable[str], verbs: Iterable[str]) -> str:
    """Return the message for a word that is no verb: a list or an image, a verb with an error, or another program's."""
    wrong = f"no command {clean(name, _LONGEST)!r}"
    if meant := _VERBS.get(name) or next(iter(get_close_matches(name, [*verbs], 1)), None):
        return f"{wrong}; did you mean `puller {meant}`?"
    words = clean(shlex.join(map(source_name, (name, *arguments))), _LONGEST)
    hidden = re.search("--(?:help|build-arg)", words)  # the value of an argument may be secret
    if not hidden and re.fullmatch(r"[a-z0-9_-]+|.*[./:@].*", name):  # a list or an image
        return f"{wrong}; did you mean `puller pull {words}`?"
    return wrong


def misspelt_variables(given: Iterable[str], known: Iterable[str]) -> Iterable[str]:
    """Yield a warning for each variable whose name is similar to a known one."""
    names = {name.removeprefix("PULLER_"): name for name in known}
    for variable in sorted(name for name in given if not _KUBERNETES.fullmatch(name)):
        for meant in get_close_matches(variable.removeprefix("PULLER_"), sorted(names), 1, _SIMILAR):
            yield f"the variable {clean(variable, _LONGEST)} is not used; did you mean {names[meant]}?"


def variable_of(ctx: click.Context, option: click.Parameter) -> str | None:
    """Return the environment variable that sets an option."""
    named = [option.envvar] if isinstance(option.envvar, str) else [*(option.envvar or ())]
    automatic = f"{ctx.auto_envvar_prefix}_{str(option.name).upper()}"
    return next((name for name in (*named, automatic) if os.environ.get(name)), None)


def _name(param: click.Parameter, ctx: click.Context | None) -> str:
    """Return the variable or the long option with the wrong value, as the user wrote it."""
    if ctx and ctx.get_parameter_source(str(param.name)) is ParameterSource.ENVIRONMENT:
        return variable_of(ctx, param) or str(param.name)
    return next((name for name in param.opts if name.startswith("--")), param.human_readable_name)


def _no_option(error: click.NoSuchOption) -> str:
    ctx = error.ctx
    known = {name for param in ctx.command.get_params(ctx) for name in param.opts} if ctx else set[str]()
    wrong = f"no option {clean(error.option_name, _LONGEST)}"
    verb = ctx.info_name if ctx else None
    if error.option_name in ("--dry-run", "-n") and verb in ("pull", "lock"):
        return f"{wrong}; `puller plan` shows what a pull would do"
    if verb == "puller" and error.option_name in ("-v", "--verbose", "-q", "--quiet"):
        return f"{wrong} before the command; did you mean `puller pull {error.option_name}`, or -V for the version?"
    if verb == "pull" and error.option_name in _FLEET:
        return f"{wrong}; did you mean `puller fleet pull {error.option_name}`, for many hosts?"
    if error.option_name in ("-f", "--file"):
        return f"{wrong}; a LIST is an argument: `puller {verb} FILE`"
    meant = _OPTIONS.get(error.option_name, "")
    if meant.partition(" ")[0] not in known:
        meant = next(iter(get_close_matches(error.option_name, sorted(known), 1)), "")
    return f"{wrong}; did you mean {meant}?" if meant else wrong
