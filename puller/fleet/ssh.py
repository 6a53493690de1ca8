"""The system's OpenSSH: its command lines, and what its error messages mean.

ssh reads the user's configuration, so names, ports, jump hosts and agents of ssh_config work. It never asks a question.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from puller.errors import EngineUnreachableError, FailureKind
from puller.fleet.url import SshTarget
from puller.text import clean

PROGRAM = "ssh"
CONNECT_SECONDS = 10
"""Time limit of ssh for a connection and the other side's first line."""
_OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "UpdateHostKeys": "no",
    "ConnectTimeout": str(CONNECT_SECONDS),
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "3",
    "LogLevel": "INFO",
    "ControlPersist": "no",
    "RemoteCommand": "none",
    "PermitLocalCommand": "no",
    "ForwardAgent": "no",
    "ForwardX11": "no",
}
"""For every call. The user's configuration may set others, but with these a forward would outlive puller or ask."""
_FORWARD = {
    "ControlMaster": "yes",
    "ExitOnForwardFailure": "yes",
    "StreamLocalBindUnlink": "yes",
    "StreamLocalBindMask": "0177",
}
_NO_CONTROL = Path("none")
"""A login that no other one shares, whatever ssh_config says (ssh_config(5), ControlPath)."""
_LONGEST = 300
_IGNORED = re.compile(r"Warning: Permanently added|^\s*$")
OPEN_FAILED = re.compile(r"open failed: (?P<why>.*)")
"""What ssh writes when the host's sshd cannot connect to the engine's socket."""


class SshProblem(NamedTuple):
    """Why a login failed, or a forward ended."""

    kind: FailureKind
    words: str
    """What happened, and what to do."""
    is_lasting: bool = True
    """Whether another login would fail as well."""
    is_busy: bool = False
    """Whether the host refused this login only because there were too many at once, as far as can be told."""
    is_advised: bool = True
    """Whether the words say what to do."""

    @property
    def error(self) -> EngineUnreachableError:
        return EngineUnreachableError(self.words, kind=self.kind, advised=self.is_advised)


def forward_command(target: SshTarget, local: Path, control: Path) -> list[str]:
    """Return the command that forwards a local socket to the engine's, and waits.

    `control` is the path of a socket through which `remote_command` runs programs over the same login.
    """
    forward = f"{_literal(local)}:{target.socket}"
    return [PROGRAM, "-nNT", *_options(_FORWARD, control), "-L", forward, *_destination(target)]


def reverse_command(target: SshTarget, port: int) -> list[str]:
    """Return the command that forwards a free port of the host's loopback to a port of this machine's, and waits."""
    options = _options({"ControlMaster": "no", "ExitOnForwardFailure": "yes"}, _NO_CONTROL)
    return [PROGRAM, "-nNT", *options, "-R", f"127.0.0.1:0:127.0.0.1:{port}", *_destination(target)]


def remote_command(target: SshTarget, control: Path, words: Sequence[str]) -> list[str]:
    """Return the command that runs a program on the host, over the login of its forward while there is one."""
    return [PROGRAM, "-nT", *_options({"ControlMaster": "no"}, control), *_destination(target), shlex.join(words)]


def _options(more: Mapping[str, str], control: Path) -> list[str]:
    options = {**_OPTIONS, **more, "ControlPath": _literal(control)}
    return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]


def _destination(target: SshTarget) -> list[str]:
    user = ("-l", target.user) if target.user else ()
    port = ("-p", str(target.port)) if target.port else ()
    return [*user, *port, "--", target.host]


def _literal(path: Path) -> str:
    """Write a path of which ssh replaces nothing (ssh_config(5), TOKENS)."""
    return str(path).replace("%", "%%")


_K = FailureKind
_KEY_THERE = "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub on the host shows its key"


class _Meaning(NamedTuple):
    pattern: str
    kind: FailureKind
    words: str
    """With `{host}`, `{known}`, `{login}` and `{last}`, the last line."""
    is_lasting: bool = True
    is_busy: bool = False


_MEANINGS = (
    _Meaning(
        r"host identification has changed|host key for .* has changed|offending .*key",
        _K.HOST_KEY,
        "the host's key is not the known one, so nothing was sent to it; if the host was set up anew, compare the keys"
        f" ({_KEY_THERE}), then: ssh-keygen -R {{known}} && ssh {{login}}",
    ),
    _Meaning(
        r"host key is known|host key verification failed|no matching host key",
        _K.HOST_KEY,
        f"the host's key is not known: log in once by hand and compare the key ({_KEY_THERE}): ssh {{login}}",
    ),
    _Meaning(
        r"permission denied \(|too many authentication failures|no supported authentication methods",
        _K.LOGIN_DENIED,
        "the login is denied, and puller types no password: install a key (ssh-copy-id {login}) or load it (ssh-add),"
        " until this works: ssh -o BatchMode=yes {login} true",
    ),
    _Meaning(
        "could not resolve hostname",
        _K.HOST_UNREACHABLE,
        "the name {host} is unknown: correct it, or add it to DNS or ~/.ssh/config",
    ),
    _Meaning(
        "timed out|timeout, server",
        _K.HOST_UNREACHABLE,
        "the host does not answer in time: is it up, and does a firewall drop ssh?",
        is_lasting=False,
    ),
    _Meaning(
        "no route to host|network is unreachable|host is down",
        _K.HOST_UNREACHABLE,
        "there is no route to the host: is it up, and in the same network or VPN?",
        is_lasting=False,
    ),
    _Meaning(
        "connect to .*connection refused",
        _K.HOST_UNREACHABLE,
        "no sshd answers at the port: start it (systemctl start ssh), or correct the port",
        is_lasting=False,
    ),
    _Meaning(
        "kex_exchange_identification|connection (?:closed|reset) by|broken pipe|connection reset|closed by remote",
        _K.HOST_UNREACHABLE,
        "the host closed the connection: the log of its sshd says why (MaxStartups, or it refuses this address)",
        is_lasting=False,
        is_busy=True,
    ),
    _Meaning(
        r"bad configuration option|bad owner or permissions|terminating, \d+ bad",
        _K.CLIENT_USAGE,
        "ssh cannot read its configuration: {last}",
    ),
    _Meaning(
        "could not request local forwarding|cannot listen to port",
        _K.CLIENT_USAGE,
        "a forward cannot be opened; does ssh_config have a LocalForward for {host} whose port is in use? ({last})",
    ),
    _Meaning(
        "remote port forwarding failed",
        _K.LOGIN_DENIED,
        "the host's sshd forbids forwards from there to here: set AllowTcpForwarding yes there, without PermitListen",
    ),
    _Meaning(
        "administratively prohibited",
        _K.LOGIN_DENIED,
        "the host's sshd forbids forwards: set AllowStreamLocalForwarding yes and AllowTcpForwarding yes there",
    ),
)


def problem_of(lines: Sequence[str], target: SshTarget) -> SshProblem:
    """Say what the error messages of ssh mean. A message that is not known is repeated, as one safe line."""
    text = "\n".join(lines).lower()
    told = [line for line in lines if not _IGNORED.search(line)]
    last = clean(told[-1] if told else "it ended without a message", _LONGEST)
    for meaning in _MEANINGS:
        if re.search(meaning.pattern, text):
            words = meaning.words.format(host=target.host, known=target.known_name, login=target.login, last=last)
            return SshProblem(meaning.kind, f"ssh: {words}", meaning.is_lasting, meaning.is_busy)
    return SshProblem(FailureKind.HOST_UNREACHABLE, f"ssh: {last}", is_lasting=False, is_advised=False)
