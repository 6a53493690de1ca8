"""The manual page, made from the commands themselves: `python -m scripts.docs.manual > docs/puller.1`.

Not by click-man: it does not see verbs that are imported at need, and knows no sections of options.
"""

import inspect
import re
import textwrap
from collections.abc import Iterator

import click

from puller import __version__
from puller.cli.main import puller
from puller.errors import ExitCode
from puller.failure import KINDS

PAGE = "docs/puller.1"
_DATE = "2026-11-23"
_WIDE = 10_000

_MEANINGS = {
    ExitCode.OK: "Every image is there.",
    ExitCode.FAILED: "Some image failed.",
    ExitCode.USAGE: "Usage, a bad list or a bad configuration: nothing was pulled.",
    ExitCode.ENGINE_UNREACHABLE: "The engine cannot be reached.",
    ExitCode.TRY_AGAIN: "Failed, but only for reasons that may pass: run it again.",
    ExitCode.INTERRUPTED: "Interrupted by SIGINT.",
    ExitCode.TERMINATED: "Interrupted by SIGTERM.",
}
_DOCKER = "DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH, DOCKER_DEFAULT_PLATFORM"


def page() -> str:
    """Make the page, in the language of man(7)."""
    root = click.Context(puller, info_name="puller", terminal_width=_WIDE, **puller.context_settings)
    verbs = [(name, puller.get_command(root, name)) for name in puller.list_commands(root)]
    lines = [
        f'.TH PULLER 1 {_DATE} "puller {__version__}" "User Commands"',
        ".SH NAME",
        "puller " + r"\-" + " pull a list of container images, and report the truth about each",
        ".SH SYNOPSIS",
        "\n.br\n".join(_synopsis(root, name, verb) for name, verb in verbs if verb),
        ".SH DESCRIPTION",
        _text(inspect.cleandoc(puller.help or "")),
        ".PP",
        _text("`puller VERB --help` shows a verb's options; `puller --version` the version."),
    ]
    for name, verb in verbs:
        if verb:
            lines += [f'.SH "PULLER {name.upper()}"', *_verb(root, name, verb)]
    lines += [".SH EXIT STATUS", *(line for code in ExitCode for line in _item(str(code.value), _MEANINGS[code]))]
    lines += [".SH ENVIRONMENT", *_environment(), ".SH FILES", *_files()]
    lines += [".SH DIAGNOSTICS", "Every failure is of one of these kinds."]
    lines += [line for kind, meaning in KINDS.items() for line in _item(kind.value, meaning.summary)]
    lines += [".SH SEE ALSO", ".BR docker (1),", ".BR podman (1),", ".BR nerdctl (1)"]
    return "\n".join(lines) + "\n"


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
    """Set help as click shows it: what follows a backspace keeps its lines."""
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
    yield from _item("PULLER_JOBS, PULLER_TIMEOUT, ...", "Every option of a verb, by its long name.")
    yield from _item(_DOCKER, "As they are to docker.")
    yield from _item("XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_CACHE_HOME", "Where puller keeps files of its own.")


def _files() -> Iterator[str]:
    yield from _item("~/.docker/config.json", "Accounts of registries, and the helpers that know them.")
    yield from _item("~/.local/state/puller/", "What must outlive a run.")


def _text(words: str) -> str:
    """Write prose so that no character of it is a request, in lines of a fair length."""
    lines = textwrap.wrap(_escaped(words), 78, break_long_words=False, break_on_hyphens=False)
    return "\n".join(_escaped_dot(line) for line in lines)


def _escaped(words: str) -> str:
    words = words.replace("\\", r"\e").replace("-", r"\-").replace("…", "...").replace("'", r"\(aq")
    return _escaped_dot(words)


def _escaped_dot(line: str) -> str:
    return rf"\&{line}" if line.startswith(".") else line


if __name__ == "__main__":
    print(page(), end="")
