"""Which dockerd to start: the machine's own, one of a newer Debian suite (unpacked, never installed), or any path.

The compose plugin comes from there, too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from tests.lab import apt
from tests.lab.process import WorldError

Store = Literal["graph", "containerd"]


@dataclass(frozen=True)
class EngineBinary:
    """A dockerd, the image store it shall use, and the folders that must precede PATH for it to find its helpers."""

    dockerd: Path
    store: Store
    label: str
    path_prefix: tuple[Path, ...] = ()

    def version_line(self) -> str:
        """Return what the program says of itself; raises WorldError when it cannot be run."""
        try:
            done = subprocess.run([self.dockerd, "--version"], capture_output=True, text=True, check=False)
        except OSError as error:
            raise WorldError(f"cannot run {self.dockerd}: {error.strerror}") from error
        return done.stdout.strip()


def installed(store: Store = "graph") -> EngineBinary:
    """Return the machine's own dockerd; raises WorldError when there is none."""
    dockerd = shutil.which("dockerd", path=os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin")
    if dockerd is None:
        raise WorldError("dockerd is not installed: apt-get install docker.io")
    return EngineBinary(Path(dockerd), store, f"installed+{store}")


def unpacked(suite: str = "sid", store: Store = "containerd", cache: Path | None = None) -> EngineBinary:
    """Return dockerd of another Debian suite, downloaded through apt once and then kept in the cache folder.

    Raises WorldError when apt cannot bring it. Only dockerd, containerd and their helpers are taken: a pull needs
    no runc, and a newer runc would need a newer C library than this machine may have.
    """
    root = (cache or default_cache()) / f"engine-{suite}"
    if not root.is_dir():
        apt.unpack(suite, ("docker.io", "containerd"), root, without=("usr/bin/runc", "usr/sbin/runc"))
    folders = (root / "usr/bin", root / "usr/sbin")
    return EngineBinary(root / "usr/sbin/dockerd", store, f"{suite}+{store}", folders)


def compose_plugin(suite: str = "sid", cache: Path | None = None) -> Path:
    """Return docker's compose plugin of a Debian suite, downloaded through apt once and then kept in the cache folder.

    Raises WorldError when apt cannot bring it.
    """
    root = (cache or default_cache()) / f"compose-{suite}"
    if not root.is_dir():
        apt.unpack(suite, ("docker-compose",), root)
    return root / "usr/libexec/docker/cli-plugins/docker-compose"


def parse(spec: str) -> EngineBinary:
    """Turn "installed", "sid+containerd", "trixie+graph" or "/path/to/dockerd+containerd" into a binary.

    Without a store, a Debian suite means the containerd store and everything else the graph store. Raises
    WorldError when the spec names no store or no dockerd that exists.
    """
    source, plus, named = spec.rpartition("+") if "+" in spec else (spec, "", "")
    is_path = "/" in source
    store: Store = "graph" if is_path or source == "installed" else "containerd"
    if plus:
        if named not in get_args(Store):
            raise WorldError(f"{spec!r}: the image store must be one of {', '.join(get_args(Store))}")
        store = "graph" if named == "graph" else "containerd"
    if source == "installed":
        return installed(store)
    if not is_path:
        return unpacked(source, store)
    dockerd = Path(source)
    if not dockerd.is_file():
        raise WorldError(f"{spec!r}: there is no file {dockerd}")
    return EngineBinary(dockerd, store, spec, (dockerd.parent,))


def default_cache() -> Path:
    """Return the folder for what is downloaded once."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "puller-tests"
