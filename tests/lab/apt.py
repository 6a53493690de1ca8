"""Debian packages of another suite, fetched with a private apt configuration: nothing is installed or changed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.process import WorldError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

APT = Path("/etc/apt")
DEFAULT_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class Source:
    """One place apt knows: its address, the suites it is used for, and the key that signs it."""

    uri: str
    suites: tuple[str, ...]
    keyring: str


def mirror() -> Source:
    """Return the Debian archive this machine already uses; raises WorldError when apt knows none."""
    codename = _codename()
    for source in _configured():
        if codename in source.suites:
            return source
    raise WorldError(f"apt has no source for the suite {codename!r} of this machine")


def unpack(suite: str, packages: Sequence[str], target: Path, without: Sequence[str] = ()) -> None:
    """Download packages of a suite and unpack them into the target, which appears complete or not at all.

    The files named by `without` (relative paths) are left out. Raises WorldError when apt or dpkg fails.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
        work, tree = Path(scratch), Path(scratch, "tree")
        environment = {**os.environ, "APT_CONFIG": str(_private_configuration(work, suite))}
        _run(["apt-get", "-q", "update"], work, environment)
        _run(["apt-get", "-q", "download", *(f"{name}/{suite}" for name in packages)], work, environment)
        tree.mkdir()
        for package in sorted(work.glob("*.deb")):
            _run(["dpkg", "-x", str(package), str(tree)], work, environment)
        for name in without:
            (tree / name).unlink(missing_ok=True)
        try:
            tree.rename(target)
        except OSError:
            # Another test run was quicker: its tree is as good as this one.
            if not target.is_dir():
                raise
            shutil.rmtree(tree)


def _private_configuration(work: Path, suite: str) -> Path:
    source = mirror()
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    (work / "sources.list").write_text(f"deb [signed-by={source.keyring}] {source.uri} {suite} main\n")
    options = work / "apt.conf"
    options.write_text(
        f'Dir::State::lists "{work}/lists"; Dir::Cache "{work}/cache";\n'
        f'Dir::Etc::sourcelist "{work}/sources.list"; Dir::Etc::sourceparts "-"; Dir::Etc::preferencesparts "-";\n'
        'APT::Sandbox::User "root"; Acquire::Languages "none";\n',
    )
    return options


def _run(args: Sequence[str], folder: Path, environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(
            args, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WorldError(f"{args[0]}: {error}") from error
    if done.returncode:
        raise WorldError(f"{' '.join(args)} failed:\n{done.stderr.strip() or done.stdout.strip()}")


def _codename() -> str:
    release = Path("/etc/os-release").read_text(encoding="utf-8")
    found = re.search(r'^VERSION_CODENAME="?([^"\n]*)', release, re.MULTILINE)
    return found.group(1) if found else ""


def _configured() -> Iterator[Source]:
    """Yield what apt is configured with, in both of its file formats."""
    parts = APT / "sources.list.d"
    for file in [APT / "sources.list", *sorted(parts.glob("*.list"))]:
        if file.is_file():
            yield from _one_line_entries(file.read_text(encoding="utf-8"))
    for file in sorted(parts.glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", file.read_text(encoding="utf-8")):
            yield from _stanza(stanza)


def _one_line_entries(text: str) -> Iterator[Source]:
    for entry in re.finditer(r"^deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s+([^#\n]*)", text, re.MULTILINE):
        options, uri, suite, components = entry.groups(default="")
        key = re.search(r"signed-by=(\S+)", options)
        if "main" in components.split():
            yield Source(uri, (suite,), key.group(1) if key else DEFAULT_KEYRING)


def _stanza(text: str) -> Iterator[Source]:
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line[:1].isspace():
            fields[name] = f"{fields.get(name, '')} {line.strip()}"
        elif not line.startswith("#") and ":" in line:
            name, _, value = line.partition(":")
            name = name.lower()
            fields[name] = value.strip()
    usable = "deb" in fields.get("types", "").split() and "main" in fields.get("components", "").split()
    if usable and fields.get("enabled", "yes").lower() != "no" and fields.get("uris"):
        # Signed-By may hold the key itself instead of a path.
        key = fields.get("signed-by", "")
        keyring = key if key.startswith("/") else DEFAULT_KEYRING
        yield Source(fields["uris"].split()[0], tuple(fields.get("suites", "").split()), keyring)
