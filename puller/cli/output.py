"""The product's way out: what a verb has to say goes to stdout in one piece."""

import os
import sys

import click

from puller.errors import PullerError


def emit(text: str) -> None:
    """Write to stdout; a reader who has seen enough (`| head`) is no error.

    Raises PullerError when it cannot be written for any other reason, such as a full disk.
    """
    try:
        click.echo(text, nl=False)
    except BrokenPipeError:
        # click would end the process with 1, and the interpreter complain when it flushes stdout once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise PullerError(f"standard output cannot be written: {error.strerror or error}") from None
