"""A second user of this machine, who attacks what root does with files."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be attacked, and become a second user for it")


def attack(script: str, directory: Path) -> None:
    """Run a shell script as the second user in a directory."""
    user = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    subprocess.run([*user, "sh", "-euc", script], cwd=directory, check=True)


@contextlib.contextmanager
def as_second_user() -> Iterator[None]:
    """Let this process have only the rights of the second user; other threads of it, too."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
