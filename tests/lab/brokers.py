"""Which RabbitMQ to start: the machine's own, or one of a newer Debian suite with its Erlang (never installed)."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import NamedTuple

from tests.lab import apt
from tests.lab.binaries import default_cache
from tests.lab.process import WorldError

INSTALLED = Path("/usr/lib/rabbitmq")
_ERLANG = "asn1 base crypto eldap eunit inets mnesia os-mon public-key runtime-tools ssl syntax-tools tools xmerl"
_LIBRARIES = ("libc6", "libgcc-s1", "libsctp1", "libssl3t64", "libstdc++6")
"""What this machine may have in an older version, or not at all."""
_PROGRAMS = ("beam.smp", "epmd", "erl_child_setup", "erlexec", "escript", "inet_gethost")


class BrokerBinary(NamedTuple):
    """A RabbitMQ, and the root of the packages that have its Erlang; None if that is this machine's."""

    home: Path
    root: Path | None = None

    @property
    def programs(self) -> Path:
        """Where rabbitmqctl is: the wrappers in /usr/sbin change to the user of Debian's own broker."""
        return self.home / "bin"

    @property
    def before_4(self) -> bool:
        """Whether it knows nothing of deprecated features."""
        return bool(list(self.home.glob("lib/rabbitmq_server-3.*")))

    def link_erlang(self, folder: Path) -> Path | None:
        """Write the programs of Erlang into the folder, which must precede PATH; None if this machine has them.

        Each starts the suite's own program with the loader and the libraries of the suite. RabbitMQ finds `erl` by
        PATH, `erlexec` finds the others by BINDIR (https://www.erlang.org/doc/system/embedded.html).
        """
        if self.root is None:
            return None
        erlang = self.root / "usr/lib/erlang"
        (loader,) = self.root.glob("usr/lib/*-linux-*/ld-linux*")
        (real,) = erlang.glob("erts-*/bin")
        folder.mkdir()
        for name in _PROGRAMS:
            words = shlex.join([str(loader), "--library-path", str(loader.parent)])
            _write(folder / name, f'exec {words} --argv0 "$0" {shlex.quote(str(real / name))} "$@"')
        where = f"ROOTDIR={shlex.quote(str(erlang))} BINDIR={shlex.quote(str(folder))}"
        _write(folder / "erl", f'EMU=beam PROGNAME=erl {where} exec {shlex.quote(str(folder / "erlexec"))} "$@"')
        return folder


def parse(spec: str) -> BrokerBinary:
    """Turn "installed" or the name of a suite, such as "sid", into a binary; raises WorldError without one.

    The packages of a suite, 50 MB, are downloaded through apt once and then kept in the cache folder.
    """
    if spec != "installed":
        root = default_cache() / f"broker-{spec}"
        if not root.is_dir():
            erlang = [f"erlang-{name}" for name in _ERLANG.split()]
            apt.unpack(spec, ("rabbitmq-server", *erlang, *_LIBRARIES), root)
        return BrokerBinary(root / "usr/lib/rabbitmq", root)
    if not (INSTALLED / "bin/rabbitmq-server").exists():
        raise WorldError("rabbitmq-server is not installed: apt-get install rabbitmq-server")
    if not shutil.which("epmd"):
        raise WorldError("epmd is not installed: apt-get install erlang-base")
    return BrokerBinary(INSTALLED)


def _write(program: Path, line: str) -> None:
    program.write_text(f"#!/bin/sh\n{line}\n")
    program.chmod(0o755)
