"""Generates the manual page from the commands: `python -m scripts.docs.manual > docs/puller.1`.

click-man cannot do this: it does not see commands that are imported lazily, nor sections of options.
"""

import inspect
import re
import textwrap
from collections.abc import Iterator

import click

from puller import __version__
from puller.cli.main import puller
from puller.errors import ExitCode
from puller.failure.kinds import KINDS

PAGE = "docs/puller.1"
_DATE = "2026-11-23"
_WIDE = 10_000

_MEANINGS = {
    ExitCode.OK: "Every image is present.",
    ExitCode.FAILED: "Some images failed.",
    ExitCode.USAGE: "Wrong usage, an invalid list or an invalid configuration: nothing was pulled.",
    ExitCode.HOSTS_UNREACHABLE: "Of several hosts, some could not be reached; all others have every image.",
    ExitCode.HALTED: "A canary or a limit of failures ended a run over several hosts.",
    ExitCode.ENGINE_UNREACHABLE: "The engine cannot be reached.",
    ExitCode.OUTPUT_LOST: "The work is done, but a report or the output cannot be written.",
    ExitCode.TRY_AGAIN: "All failures are temporary, or another run is using the engine: run puller again.",
    ExitCode.HUNG_UP: "Interrupted by SIGHUP: the terminal is gone.",
    ExitCode.INTERRUPTED: "Interrupted by SIGINT.",
    ExitCode.TERMINATED: "Interrupted by SIGTERM.",
}
_DOCKER = "DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH, DOCKER_DEFAULT_PLATFORM"


def page() -> str:
    """Return the page in man(7) format."""
    root = click.Context(puller, info_name="puller", terminal_width=_WIDE, **puller.context_settings)
    verbs = [*_verbs(puller, root)]
    lines = [
        f'.TH PULLER 1 {_DATE} "puller {__version__}" "User Commands"',
        ".SH NAME",
        "puller " + r"\-" + " pull a list of container images in parallel",
        ".SH SYNOPSIS",
        "\n.br\n".join(_synopsis(root, name, verb) for name, verb in verbs),
        ".SH DESCRIPTION",
        _text(inspect.cleandoc(puller.help or "")),
        ".PP",
        _text("`puller COMMAND --help` shows the options of a command; `puller --version` the version."),
    ]
    for name, verb in verbs:
        lines += [f'.SH "PULLER {name.upper()}"', *_verb(root, name, verb)]
    lines += [".SH EXIT STATUS", *(line for code in ExitCode for line in _item(str(code.value), _MEANINGS[code]))]
    lines += [".SH ENVIRONMENT", *_environment(), ".SH FILES", *_files()]
    lines += [".SH DIAGNOSTICS", "Every failure has one of these kinds."]
    lines += [line for kind, meaning in KINDS.items() for line in _item(kind.value, meaning.summary)]
    lines += [".SH SEE ALSO", ".BR docker (1),", ".BR podman (1),", ".BR nerdctl (1)"]
    return "\n".join(lines) + "\n"


def _verbs(group: click.Group, context: click.Context, above: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield the verbs of a group by their whole names, and after each its own verbs."""
    for name in group.list_commands(context):
        if verb := group.get_command(context, name):
            yield f"{above}{name}", verb
            if isinstance(verb, click.Group):
                yield from _verbs(verb, click.Context(verb, info_name=name, parent=context), f"{above}{name} ")


def _synopsis(root: click.Context, name: str, verb: click.Command) -> str:
    words = " ".join(verb.collect_usage_pieces(click.Context(verb, info_name=name, parent=root)))
    return f".B puller {name}\n{_text(words)}"


def _verb(root: click.Context, name: str, verb: click.Command) -> Iterator[str]:
    context = click.Context(verb, info_name=name, parent=root)
    yield from _paragraphs(verb.help or "")
    section = ""
    for param in verb.get_params(context):
        record = param.get_help_record(context)
        if not isinstance(param, click.Option) or not record or "--help" in param.opts:
            continue
        now = getattr(param, "section", "Other" if section else "Options")
        if now != section and (section or now != "Other"):
            yield f'.SS "{now}"'
        section = now
        yield from _item(*record)
    if verb.epilog:
        yield ".PP"
        yield from _paragraphs(verb.epilog)


def _paragraphs(words: str) -> Iterator[str]:
    """Format help as click does: lines of a paragraph that begins with a backspace are kept."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", inspect.cleandoc(words))):
        if number:
            yield ".PP"
        if paragraph.startswith("\b"):
            yield from (".EX", *(_escaped(line) for line in paragraph.splitlines()[1:]), ".EE")
        else:
            yield _text(" ".join(paragraph.split()))


def _item(term: str, words: str) -> Iterator[str]:
    yield from (".TP", f".B {_escaped(term)}", _text(" ".join(words.split())))


def _environment() -> Iterator[str]:
    yield from _item("PULLER_JOBS, PULLER_TIMEOUT, ...", "The options of a command, by their long names.")
    yield from _item(_DOCKER, "The same as for docker.")
    yield from _item("XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_CACHE_HOME", "The directories of puller's own files.")


def _files() -> Iterator[str]:
    yield from _item("~/.docker/config.json", "Logins of registries, and credential helpers.")
    yield from _item("~/.local/state/puller/", "Reports of past runs, and records of pulled images.")


def _text(words: str) -> str:
    """Escape and wrap prose."""
    lines = textwrap.wrap(_escaped(words), 78, break_long_words=False, break_on_hyphens=False)
    return "\n".join(_escaped_dot(line) for line in lines)


def _escaped(words: str) -> str:
    words = words.replace("\\", r"\e").replace("-", r"\-").replace("…", "...").replace("'", r"\(aq")
    return _escaped_dot(words)


def _escaped_dot(line: str) -> str:
    return rf"\&{line}" if line.startswith(".") else line


if __name__ == "__main__":
    print(page(), end="")
