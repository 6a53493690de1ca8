"""The URL of a host's engine: `ssh://`, `tcp://`, `unix://` or `context:NAME`.

A URL is checked before it comes near a command line, so that it can never be an option of ssh.
"""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from puller.system import addresses
from puller.text import shorten

DOCKER_SOCKET = "/var/run/docker.sock"
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}"
_ADDRESS = r"\[[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9_.-]{1,15})?\]"
_USER = r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}"
# ssh replaces `%` and `$` in the paths of a forward, and a colon separates them.
_PATH = r"/[A-Za-z0-9_./@+=-]{0,100}"
_SSH = re.compile(rf"(?:({_USER})@)?({_NAME}|{_ADDRESS})(?::(\d{{1,5}}))?({_PATH})?")
_TCP = re.compile(rf"({_NAME}|{_ADDRESS}):(\d{{1,5}})/?")
_UNIX = re.compile(r"/[^\s\x00]{1,106}")
_CONTEXT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,127}")
_SSH_PORT, _HIGHEST_PORT = 22, 65535
_SHOWN = 80


class SshTarget(NamedTuple):
    """A host that is reached by ssh; what is None or absent is as ssh_config says."""

    host: str
    """A name or an address without brackets."""
    user: str | None = None
    port: int | None = None
    socket: str = DOCKER_SOCKET
    """The path of the engine's socket on that host."""

    @property
    def known_name(self) -> str:
        """The name of the host's key in known_hosts, for `ssh-keygen -R`."""
        return f"'[{self.host}]:{self.port}'" if self.port and self.port != _SSH_PORT else self.host

    @property
    def login(self) -> str:
        """The words after `ssh` that log in by hand."""
        port = f"-p {self.port} " if self.port else ""
        return f"{port}{self.user}@{self.host}" if self.user else f"{port}{self.host}"


def read_url(text: str) -> str:
    """Return the URL of an engine in its usual form; a bare host name means ssh.

    Raises ValueError with the reason and what to do.
    """
    scheme, separator, rest = text.partition("://")
    if text.startswith("context:"):
        name = text.removeprefix("context:")
        if not _CONTEXT.fullmatch(name):
            raise ValueError(f"{_quoted(name)} is not the name of a context: `docker context ls` lists them")
        return text
    if not separator:
        scheme, rest = "ssh", text
    if scheme == "ssh":
        return _ssh_url(ssh_target(f"ssh://{rest}"))
    if scheme == "tcp":
        match = _TCP.fullmatch(rest)
        if not match or int(match[2]) > _HIGHEST_PORT:
            raise ValueError(f"{_quoted(text)} is not an address: write tcp://HOST:PORT, such as tcp://build1:2376")
        return f"tcp://{match[1].lower()}:{int(match[2])}"
    if scheme == "unix":
        if not _UNIX.fullmatch(rest):
            raise ValueError(f"{_quoted(text)} is not the path of a socket: write unix:///PATH")
        return text
    raise ValueError(f"{_quoted(text)}: unknown kind of address; use ssh://, tcp://, unix:// or context:NAME")


def ssh_target(url: str) -> SshTarget:
    """Read `ssh://[USER@]HOST[:PORT][/SOCKET]`; raises ValueError with the reason and what to do."""
    rest = url.removeprefix("ssh://")
    if rest.startswith("-") or "@-" in rest:
        raise ValueError(f"{_quoted(rest)} begins like an option of ssh: no host has such a name")
    if "@" in rest and ":" in rest.rpartition("@")[0]:
        raise ValueError("a password in a URL: remove it, ssh logs in with keys")
    match = _SSH.fullmatch(rest)
    if not match or int(match[3] or 1) not in range(1, _HIGHEST_PORT + 1):
        raise ValueError(f"{_quoted(rest)} is not a host: write ssh://HOST:PORT, or a name of ssh_config")
    user, host, port, path = match.groups()
    socket = path if path and path != "/" else DOCKER_SOCKET
    return SshTarget(host.strip("[]"), user, int(port) if port else None, socket)


def short_name(url: str) -> str:
    """Return the default name of a host: its address without scheme and user, and the path of a local socket."""
    if url.startswith("ssh://"):
        target = ssh_target(url)
        host = f"[{target.host}]" if ":" in target.host and target.port else target.host
        return f"{host}:{target.port}" if target.port else host
    return url.removeprefix("context:").removeprefix("tcp://").removeprefix("unix://")


def compared(url: str) -> str:
    """Return what two URLs of one engine have in common: names of hosts are the same in capitals (RFC 4343).

    The URL itself stays as typed, because the patterns of ssh_config are not.
    """
    if not url.startswith("ssh://"):
        return url
    target = ssh_target(url)
    return _ssh_url(target._replace(host=target.host.lower()))


def is_loopback(url: str) -> bool:
    """Tell whether a TCP address is on this machine."""
    return addresses.is_loopback(urlsplit(url).hostname or "")


def _ssh_url(target: SshTarget) -> str:
    user = f"{target.user}@" if target.user else ""
    host = f"[{target.host}]" if ":" in target.host else target.host
    port = f":{target.port}" if target.port else ""
    path = "" if target.socket == DOCKER_SOCKET else target.socket
    return f"ssh://{user}{host}{port}{path}"


def _quoted(text: str) -> str:
    return repr(shorten(text, _SHOWN))
