"""The command line. Each verb is one file: parse, call one function, render, exit; imported when it is named."""

import errno
import gc
import os
import re
import signal
import sys
from contextlib import suppress
from importlib import import_module
from io import BufferedWriter, FileIO, TextIOWrapper
from types import ModuleType
from typing import Any, NoReturn

import click

from puller import __version__
from puller.cli.sections import EXIT_CODES
from puller.errors import ExitCode, PullerError
from puller.text import clean

_VERBS = {
    "completion": "Print the completion script for bash, zsh or fish.",
    "config": "Show the effective options, and where each comes from.",
    "doctor": "Check this host for problems that would block or slow pulls.",
    "explain": "Explain an error of a pull, and what to do about it.",
    "fleet": "Use the engines of many hosts, by ssh or TLS.",
    "history": "List the last runs of this user, with a trend.",
    "list": "Show the images that lists resolve to.",
    "load": "Load images from files into an engine.",
    "lock": "Write a list with every tag pinned to its digest.",
    "plan": "Show what a pull would do and cost: images, bytes, quota, disk.",
    "prune": "Remove images that puller pulled and no list contains any more.",
    "pull": "Pull every image of the lists, and report on each.",
    "report": "Show the report of an earlier run, in any format.",
    "verify": "Check that this host has exactly the images of the lists.",
}
_BROKER_VERBS = {
    "broker": "Prepare the broker: accounts, queues, tokens.",
    "worker": "Pull what the controller sends to this host.",
    "submit": "Submit a run over many hosts, and return at once.",
    "controller": "Publish the tasks of submitted runs, and record their results.",
    "status": "Show the report of a submitted run at any time.",
    "watch": "Follow a submitted run until it is over.",
    "pause": "Let a run publish no further task.",
    "resume": "Let a paused or halted run go on.",
    "retry": "Publish again what failed in a run.",
    "cancel": "Give up what a run has not begun.",
    "runs": "List the submitted runs.",
}
_SECTIONS = {"Commands": _VERBS, "Many hosts by a broker (docs/fleet-runs.md)": _BROKER_VERBS}
"""The verbs in the order of `puller --help`, with their lines in it, so that the help imports no verb."""
_ALL = _VERBS | _BROKER_VERBS


class _Verbs(click.Group):
    """Imports a verb only when it is used: `puller --version` must not wait for the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return [*_ALL]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _ALL:
            return None
        verb = import_module(f"puller.cli.commands.{cmd_name}")
        command: click.Command = verb.command
        if isinstance(command, click.Group):  # its commands have the option --config
            return command
        configured: click.Command = import_module("puller.cli.config_option").configured(command)
        return configured

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take `help` and `version`, which are no verbs, for the options; say what an unknown verb was meant to be."""
        if ctx.resilient_parsing:  # completion
            return super().resolve_command(ctx, args)
        if args[0] == "help" and args[1:2]:
            args = [args[1], "--help"]
        name = args[0]
        if name in ("help", "version"):
            click.echo(ctx.get_help() if name == "help" else f"puller {__version__}")
            ctx.exit()
        if name not in _ALL:
            ctx.fail(import_module("puller.cli.usage").no_verb(name, args[1:], _ALL))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for title, verbs in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([*verbs.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        item = import_module("click.shell_completion").CompletionItem
        return [item(name, help=line) for name, line in _ALL.items() if name.startswith(incomplete)]


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"`puller COMMAND --help` shows the options of a command. {EXIT_CODES}",
)
@click.version_option(__version__, "-V", "--version", message="puller %(version)s")
@click.option(
    "-c", "--config", "config_files", type=click.Path(), multiple=True, metavar="PATH",
    envvar="PULLER_CONFIG", help="Read options from this TOML file; may be repeated. It may also follow the command.",
)  # fmt: skip
def puller(config_files: tuple[str, ...]) -> None:
    """Pull a list of Docker images in parallel and report exactly what succeeded and what failed."""


def main() -> NoReturn:
    """Run the program; exceptions become a line on stderr and an exit code."""
    gc.disable()  # saves a tenth of the start-up; a verb that runs long enables it again
    _prepare_streams()
    ci = import_module("puller.cli.ci") if "GITHUB_ACTIONS" in os.environ else None
    if ci:
        ci.escape_streams()
    if "_PULLER_COMPLETE" in os.environ:
        import_module("puller.cli.commands.completion")  # tells click how to answer the shells
    try:
        code = puller.main(prog_name="puller", standalone_mode=False)
    except getattr(click.exceptions, "NoArgsIsHelpError", ()) as help_:  # new in click 8.2
        help_.show()
        code = ExitCode.USAGE
    except click.ClickException as error:
        usage = import_module("puller.cli.usage")
        code = _fail(usage.message(error), ExitCode.USAGE, ci)
        click.echo(usage.try_help(error), err=True)
    except PullerError as error:
        code = _fail(str(error), error.exit_code, ci)
    except PermissionError as error:  # such as a file in a directory of another user
        click.echo(f"puller: {clean(str(error.filename))}: permission denied", err=True)
        code = ExitCode.USAGE
    except (KeyboardInterrupt, click.Abort) as error:
        code = _fail(str(error.__cause__ or error) or "interrupted", ExitCode.INTERRUPTED, None)
    except Exception as error:  # noqa: BLE001 - no traceback ever reaches a user
        click.echo(
            f"puller: internal error, report it to the maintainers of puller: {type(error).__name__}: {error}", err=True
        )
        code = ExitCode.FAILED
    _leave(int(code or 0))


def _fail(message: str, code: ExitCode, ci: ModuleType | None) -> ExitCode:
    """Print why the program cannot go on, each line with its name."""
    click.echo("puller: " + message.replace("\n", "\npuller: "), err=True)
    if ci:
        ci.announce_error(message)
    return code


class _Lossy(TextIOWrapper):
    """Standard error: after the first failed write, as to a full disk or a lost terminal, all text is dropped.

    A terminal that is lost means SIGHUP, also where it is not the controlling one, for which the kernel sends it.
    """

    _lost = False
    terminal = False

    def write(self, text: str, /) -> int:
        try:
            return len(text) if self._lost else super().write(text)
        except (OSError, UnicodeError) as error:
            self._lost = True
            if self.terminal and getattr(error, "errno", None) == errno.EIO:
                os.kill(os.getpid(), signal.SIGHUP)
            return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def _prepare_streams() -> None:
    """Let neither a closed stream, nor a full one, nor a narrow encoding prevent the work."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # closed, as by `2>&-`: no other file may get this number, and so what is written to it
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - open until the process ends
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # an ASCII terminal must not break the report
    for name in ("COLUMNS", "LINES"):  # rich takes `²` for a number, and 0 for a width
        if not re.fullmatch("[1-9][0-9]{0,3}", os.environ.get(name, "1")):
            del os.environ[name]
    encoding = getattr(sys.stderr, "encoding", None)
    raw = BufferedWriter(FileIO(2, "w", closefd=False))
    sys.stderr = _Lossy(raw, encoding, "backslashreplace", line_buffering=True)
    sys.stderr.terminal = os.isatty(2)


def _leave(code: int) -> NoReturn:
    """Exit at once, even if a thread still waits for an engine that never answers."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)
