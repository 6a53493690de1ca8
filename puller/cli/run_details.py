"""What a report says of the run that made it: its command line, lists, engine and exit code."""

import re
import shlex
import sys
from collections.abc import Mapping
from itertools import pairwise
from socket import gethostname
from typing import Any

from puller import __version__
from puller.cli.options import typed
from puller.cli.output import working_directory
from puller.model import Report, RunDetails
from puller.text import clean, source_name

_NO_VALUE = re.compile(r"^(--build-arg=[^=]*)=.*", re.DOTALL)
_TARGET = ("backend", "docker_command", "context", "mirror_use")
_LONGEST_COMMAND = 1000
"""Characters of the command line that the report keeps."""


def run_details(options: Mapping[str, Any], report: Report, code: int) -> RunDetails:
    """Describe this run; the values of build arguments may be secret."""
    words = [
        _NO_VALUE.sub(r"\1", f"{before}={word}" if before == "--build-arg" else word)
        for before, word in pairwise(sys.argv)
    ]
    words = [word for word in words if word != "--build-arg"]
    command = clean(shlex.join(["puller", *map(source_name, words)]), _LONGEST_COMMAND)
    return report.details._replace(
        host=clean(gethostname()),
        lists=list_names(options),
        directory=options.get("directory", working_directory()),
        target=_target(options),
        command=command,
        version=__version__,
        exit_code=code,
    )


def list_names(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the lists and images of the command line, as reports name them."""
    return tuple(clean(source_name(each)) for each in (*options["lists"], *options["images"]))


def _target(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the options of the command line that name the engine or mirrors."""
    words = [f"--{name.replace('_', '-')}={options[name]}" for name in typed(_TARGET)]
    given = options["mirrors"] if typed(["mirrors"]) else ()
    return (*words, *(f"--mirror={registry}={place}" for registry, place in given))
