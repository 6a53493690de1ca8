"""The programs of others: this machine's own, or fetched once into a cache, where nothing is installed."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import venv
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import WorldError, apt
from tests.lab.binaries import compose_plugin

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "puller-bench"
_PACKAGES = {
    "parallel": ("parallel",),
    "skopeo": ("skopeo",),
    "unpigz": ("pigz",),
    "igzip": ("isal", "libisal2"),
}
"""The Debian packages of each program; the libraries that skopeo needs besides must be there."""
_PLUGINS = ":".join(f"/usr/{folder}/docker/cli-plugins" for folder in ("local/lib", "local/libexec", "lib", "libexec"))
_NOWHERE = {"regsync": "in neither Debian nor PyPI"}
_WITH_LIBRARIES = '#!/bin/sh\nLD_LIBRARY_PATH={folder} exec {program} "$@"\n'


@dataclass
class Programs:
    """Finds programs by name, and remembers why one is missing."""

    fetch: bool = False
    """Whether what is missing is downloaded: from the Debian archive that apt uses, and from PyPI."""
    missing: dict[str, str] = field(default_factory=dict)
    _found: dict[str, Path | None] = field(default_factory=dict)

    def find(self, name: str) -> Path | None:
        """Return the path of a program, or None, with the reason in `missing`."""
        if name not in self._found:
            self._found[name] = None
            try:
                self._found[name] = self._find(name)
            except (WorldError, OSError, subprocess.CalledProcessError) as error:
                self.missing[name] = str(error).partition("\n")[0]
        return self._found[name]

    def _find(self, name: str) -> Path:
        if name in _NOWHERE:
            raise WorldError(_NOWHERE[name])
        # Of Compose only the plugin: a docker-compose on PATH may be version 1.
        if found := shutil.which(name, path=_PLUGINS if name == "docker-compose" else None):
            return Path(found)
        kept = CACHE / name
        if not kept.exists() and not self.fetch:
            raise WorldError("not installed; --fetch downloads it")
        if name == "docker-compose":
            return compose_plugin(cache=kept)
        if name == "ansible-playbook":
            return _ansible(kept)
        if not kept.exists():
            apt.unpack(platform.freedesktop_os_release()["VERSION_CODENAME"], _PACKAGES[name], kept)
        return _runnable(kept, name)


def _runnable(tree: Path, name: str) -> Path:
    """Return the program; one with libraries in its tree gets a script of its name, which sets their path."""
    program, script = tree / "usr/bin" / name, tree / "bin" / name
    if folder := next((each.parent for each in tree.glob("usr/lib/*/*.so.*")), None):
        script.parent.mkdir(exist_ok=True)
        script.write_text(_WITH_LIBRARIES.format(folder=folder, program=program))
        script.chmod(0o755)
        return script
    if not program.exists():
        raise WorldError(f"its Debian package has no {program.relative_to(tree)}")
    return program


def _ansible(folder: Path) -> Path:
    """Return ansible-playbook of a virtual environment; the package `ansible` brings community.docker along."""
    program, pip = folder / "bin/ansible-playbook", folder / "bin/pip"
    if not program.exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([pip, "install", "-qq", "ansible", "requests"], check=True)
    return program
