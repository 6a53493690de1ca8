"""The address of a broker, and the names of what it has for puller."""

from typing import NamedTuple, Self
from urllib.parse import unquote, urlsplit

from puller.errors import UsageError
from puller.system.addresses import is_loopback
from puller.text import clean

TASKS, RESULTS = "puller.tasks", "puller.results"
"""The exchanges; the queue of the results has the name of its exchange."""
VHOST = "puller"
_PORTS = {"amqp": 5672, "amqps": 5671}


def host_queue(host: str) -> str:
    """Return the name of a host's queue."""
    return f"puller.host.{host}"


def token_queue(registry: str) -> str:
    """Return the name of the queue with the tokens for pulls from a registry."""
    return f"puller.tokens.{registry.lower()}"


class BrokerAddress(NamedTuple):
    """A broker, and the account for it."""

    host: str
    port: int
    user: str
    password: str
    vhost: str
    tls: bool
    ca: str | None = None
    """A file of the authorities that the broker's certificate is checked with; None for those of the system."""
    certificate: str | None = None
    key: str | None = None

    @classmethod
    def parse(cls, url: str, *, ca: str | None = None, certificate: str | None = None, key: str | None = None) -> Self:
        """Read `amqps://USER[:PASSWORD]@HOST[:PORT][/VHOST]`; raises UsageError.

        Plain `amqp://` is refused for any other machine than this one: it would show the password to the network.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS[parts.scheme]
            host, user, password = parts.hostname or "", unquote(parts.username or ""), unquote(parts.password or "")
        except (ValueError, KeyError):
            raise UsageError("the broker has an address such as amqps://USER@HOST:5671/puller") from None
        if not host or not user or parts.query or parts.fragment:
            raise UsageError("the broker has an address such as amqps://USER@HOST:5671/puller, with a user")
        tls, place = parts.scheme == "amqps", clean(f"{host}:{port}")
        if not tls and not is_loopback(host):
            raise UsageError(f"the broker {place} is not on this machine: use amqps://, plain amqp:// shows passwords")
        if not tls and (ca or certificate or key):
            raise UsageError(f"certificates need amqps://, and the broker {place} is named with amqp://")
        if bool(certificate) != bool(key):
            raise UsageError("a client certificate has two files: --broker-cert and --broker-key")
        if not (password or certificate):
            raise UsageError(f"the broker {place} needs a password in the address, or --broker-cert and --broker-key")
        return cls(host, port, user, password, unquote(parts.path[1:]) or VHOST, tls, ca, certificate, key)

    @property
    def external(self) -> bool:
        """Whether the certificate alone says who the user is (SASL EXTERNAL)."""
        return self.certificate is not None and not self.password

    def __str__(self) -> str:
        """Return the address without the password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return clean(f"{'amqps' if self.tls else 'amqp'}://{host}:{self.port}/{self.vhost}")
