"""What ssh and a host say when a host cannot be reached, in one line with what to do."""

import pytest

from puller.errors import FailureKind as Kind
from puller.fleet.connection import socket_problem
from puller.fleet.ssh import problem_of
from puller.fleet.url import SshTarget
from puller.system.process import Completed

TARGET = SshTarget("web1", "build", 2222)
CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
Host key for web1 has changed and you have requested strict checking.
Host key verification failed."""


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (CHANGED, Kind.HOST_KEY, "ssh-keygen -R '[web1]:2222' && ssh -p 2222 build@web1"),
        ("No ED25519 host key is known for web1 and you have requested strict checking.\nHost key verification failed.",
         Kind.HOST_KEY, "is not known: log in once by hand"),
        ("build@web1: Permission denied (publickey,password).", Kind.LOGIN_DENIED, "ssh-copy-id -p 2222 build@web1"),
        ("Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures", Kind.LOGIN_DENIED, "denied"),
        ("ssh: Could not resolve hostname web1: Name or service not known", Kind.HOST_UNREACHABLE, "web1 is unknown"),
        ("ssh: connect to host web1 port 22: Connection timed out", Kind.HOST_UNREACHABLE, "does not answer in time"),
        ("Connection timed out during banner exchange", Kind.HOST_UNREACHABLE, "does not answer in time"),
        ("Timeout, server web1 not responding.", Kind.HOST_UNREACHABLE, "does not answer in time"),
        ("ssh: connect to host web1 port 22: No route to host", Kind.HOST_UNREACHABLE, "no route"),
        ("ssh: connect to host web1 port 22: Connection refused", Kind.HOST_UNREACHABLE, "no sshd answers"),
        ("kex_exchange_identification: Connection closed by remote host", Kind.HOST_UNREACHABLE, "MaxStartups"),
        ("Connection to web1 closed by remote host.", Kind.HOST_UNREACHABLE, "closed the connection"),
        ("/home/a/.ssh/config: line 3: Bad configuration option: foo", Kind.CLIENT_USAGE, "Bad configuration option"),
        ("bind [127.0.0.1]:80: Address already in use\nCould not request local forwarding.", Kind.CLIENT_USAGE,
         "LocalForward for web1"),
        ("channel 1: open failed: administratively prohibited: open failed", Kind.LOGIN_DENIED, "AllowStreamLocal"),
        ("something new \x1b[31m happened", Kind.HOST_UNREACHABLE, "ssh: something new happened"),
        ("", Kind.HOST_UNREACHABLE, "without a message"),
    ],
)  # fmt: skip
def test_words_of_ssh_have_a_kind_and_advice(text: str, kind: Kind, words: str) -> None:
    """One safe line each."""
    found = problem_of(text.splitlines(), TARGET)
    assert found.kind is kind
    assert words in found.words
    assert found.words.isprintable()


@pytest.mark.parametrize(
    ("look", "kind", "words"),
    [
        (None, Kind.DAEMON_UNREACHABLE, "cannot be used"),
        (Completed(1, "This account is currently not available.\n", ""), Kind.DAEMON_UNREACHABLE, "cannot be used"),
        (Completed(1, "", "ls: cannot access"), Kind.DAEMON_UNREACHABLE, "no engine's socket"),
        (Completed(0, "-rw-r--r-- 1 root root 0 x\n", ""), Kind.DAEMON_UNREACHABLE, "no engine's socket"),
        (Completed(1, "srw-rw---- 1 root docker 0 x\n", ""), Kind.SOCKET_PERMISSION, "usermod -aG docker"),
        (Completed(1, "Welcome!\nsrw-rw---- 1 root docker 0 x\n", ""), Kind.SOCKET_PERMISSION, "usermod -aG docker"),
        (Completed(0, "srw-rw---- 1 root docker 0 x\n", ""), Kind.DAEMON_UNREACHABLE, "nothing answers"),
    ],
)
def test_a_socket_is_looked_at(look: Completed | None, kind: Kind, words: str) -> None:
    """Sshd does not say why it does not connect; the socket itself does."""
    found = socket_problem(TARGET, look)
    assert (found.kind, words in found.words) == (kind, True)
