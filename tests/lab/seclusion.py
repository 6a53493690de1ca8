"""A corner of the machine with no way out: a network of loopback and one address more, and mounts of its own."""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tests.lab.process import WorldError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

ADDRESS = "10.77.0.2"
"""An address of the corner that no engine takes for loopback, and so for a place where TLS may be left out."""

_NEW_MOUNTS, _NEW_NETWORK = 0x00020000, 0x40000000  # of sched.h; os.unshare came with Python 3.12


def secluded(act: Callable[[], T]) -> T:
    """Call a function in the corner and return what it returns: all that it starts is in there, too.

    Nobody inside reaches the machine's own network or loopback, and names are asked of ADDRESS alone. The corner
    is gone with its last process. Raises WorldError where namespaces are not allowed.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="secluded") as corner:
        corner.submit(_enter).result()
        return corner.submit(act).result()


def _enter() -> None:
    """Put the calling thread, and no other, into namespaces of its own."""
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_MOUNTS | _NEW_NETWORK):
        raise WorldError(f"no namespaces for the tests: {os.strerror(ctypes.get_errno())}")
    _run("mount", "--make-rprivate", "/")
    with tempfile.NamedTemporaryFile("w", prefix="puller-") as resolver:
        resolver.write(f"nameserver {ADDRESS}\n")
        resolver.flush()
        Path(resolver.name).chmod(0o644)
        _run("mount", "--bind", resolver.name, "/etc/resolv.conf")  # lasts longer than the file's name
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")


def _run(*command: str) -> None:
    done = _call(command)
    if done.returncode:
        raise WorldError(f"{' '.join(command)}: {done.stderr.strip()}")


def _call(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)
