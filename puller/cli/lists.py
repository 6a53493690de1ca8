"""Reads the lists that a verb is given; their notes and bad lines go to stderr."""

import os
import select
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from threading import Timer
from typing import Any, cast

import click

from puller.errors import ListError
from puller.imagelist import read
from puller.imagelist.compose_cli import DEFAULT_NAMES, Compose
from puller.imagelist.entry import Item
from puller.imagelist.notes import summary
from puller.imagelist.requests import MOST_BAD, RequestedImages, request_images
from puller.imagelist.source import Selection
from puller.text import clean, counted

_PATIENCE = 2
"""Seconds without a list on standard input before puller says that it waits for one."""
_SLOW = 10
"""Seconds of reading a directory before puller says that it reads it."""


def _selection(options: Mapping[str, Any]) -> Selection:
    arguments = {name: os.environ[name] for name in options["build_args"] if name in os.environ}
    arguments |= dict(text.split("=", 1) for text in options["build_args"] if "=" in text)
    return Selection(options["profiles"], options["services"], options["ignore_buildable"], arguments)


def _stdin(*, only_files: bool) -> tuple[str, ...]:
    """Return `-` if standard input is a file or a pipe with content; else raise click.UsageError."""
    with suppress(AttributeError, OSError, ValueError):
        mode = os.fstat(sys.stdin.fileno()).st_mode
        if not only_files and (stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            if not select.select([sys.stdin], [], [], _PATIENCE)[0]:
                click.echo("puller: waiting for a list on stdin", err=True)
            if cast(BufferedReader, sys.stdin.buffer).peek(1):
                return ("-",)
    here = [name for name in (*DEFAULT_NAMES, "images.txt") if Path(name).is_file()]
    verb = click.get_current_context().command_path
    hint = f"; for {' and '.join(here)} of this directory: {verb} {' '.join(here)}" if here else ""
    raise click.UsageError(f"no images given: pass a list file, - for stdin, or --image REF{hint}")


@contextmanager
def _telling_if_slow(lists: Iterable[str]) -> Iterator[None]:
    """Say what is being read if a directory takes long, as `/` does."""
    folders = ", ".join(clean(name) for name in lists if os.path.isdir(name))  # noqa: PTH112 - raises no error
    message = f"puller: still reading the files of {folders}"
    timer = Timer(_SLOW, click.echo, (message,), {"err": True})
    timer.daemon = True
    if folders:
        timer.start()
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted (Ctrl-C) while reading lists") from None
    finally:
        timer.cancel()


def requested_images(
    options: Mapping[str, Any],
    items: Iterable[Item] | None = None,
    *,
    keep_sources: bool = False,
    report_bad: bool = True,
    only_files: bool = False,
) -> RequestedImages:
    """Read the lists of a verb with `list_options`, or take the items of another list.

    Notes go to stderr, and bad lines too with `report_bad`. With `only_files` a LIST is never an image, nor is stdin
    read unless `-` is given: a wrong list would cost images.

    With `--skip-invalid` the result includes the bad lines. Raises click.UsageError when there is neither a list nor an
    image, and ListError for a list that cannot be read or, with all bad lines, when these are not to be skipped.
    """
    if items is None:
        lists, images = options["lists"], options["images"]
        if not lists and not images:
            lists = _stdin(only_files=only_files)
        items = read(
            lists,
            images,
            list_format=options["kind"],
            selection=_selection(options),
            ask_compose=Compose(),
            only_files=only_files,
        )
    with _telling_if_slow(options["lists"]):
        requested = request_images(items, platform=options["platform"], keep_sources=keep_sources)
    if requested.bad and not options["skip_invalid"]:
        number = counted(len(requested.bad), "bad line") if len(requested.bad) <= MOST_BAD else "too many bad lines"
        end = f"{number}; nothing was done (--skip-invalid skips them)"
        raise ListError([*map(str, requested.bad), end])
    if not options.get("quiet"):
        for line in summary(requested.notes, options["lists"], verbose=options["verbose"] > 0):
            click.echo(line, err=True)
    for bad in requested.bad if report_bad else ():
        click.echo(str(bad), err=True)
    return requested
