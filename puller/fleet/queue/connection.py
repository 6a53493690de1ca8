"""Connections to RabbitMQ: an address in the words of kombu and Celery, and what a lost or refused one raises."""

import ssl
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from amqp.exceptions import AccessRefused, AMQPError, NotFound
from kombu.connection import Connection
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.pyamqp import Transport as AmqpTransport

from puller.fleet.queue.address import BrokerAddress
from puller.fleet.queue.broker import BrokerError
from puller.text import clean

HEARTBEAT = 30
"""Seconds; the broker gives up a silent connection after two of them."""
CONFIRM_SECONDS = 60.0
_CONNECT_SECONDS = 10.0
_SCHEME = "puller-amqp"
_UNTRUSTED = (18, 19, 20)
"""What OpenSSL says of a certificate of an authority that it does not know (X509_verify_cert_error_string(3))."""
LOST = (OSError, AMQPError)
"""What an operation on a lost or refused connection raises; the refusals are AMQPError too."""


class Transport(AmqpTransport):
    """AMQP with a prefetch limit for each consumer: Celery asks for one for a channel, which RabbitMQ 4.3 refuses."""

    def qos_semantics_matches_spec(self, connection: Any) -> bool:  # noqa: ARG002 - kombu's signature
        return True


TRANSPORT_ALIASES[_SCHEME] = f"{__name__}:Transport"


def tls_options(address: BrokerAddress) -> dict[str, Any] | None:
    """Return how TLS is spoken with a broker, in the words of py-amqp; None without TLS."""
    if not address.tls:
        return None
    options = {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": address.host, "ca_certs": address.ca}
    return options | {
        "certfile": address.certificate,
        "keyfile": address.key,
        "tls_minimum_version": ssl.TLSVersion.TLSv1_2,
    }


def login_method(address: BrokerAddress) -> str:
    """Return the SASL mechanism."""
    return "EXTERNAL" if address.external else "PLAIN"


def celery_url(address: BrokerAddress) -> str:
    """Return the address for Celery, with the password."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    account = f"{quote(address.user, safe='')}:{quote(address.password, safe='')}"
    return f"{_SCHEME}://{account}@{host}:{address.port}/{quote(address.vhost, safe='')}"


def open_connection(address: BrokerAddress, heartbeat: int = 0) -> Any:
    """Connect; the caller closes the connection. Raises BrokerError, with what to do about a refusal."""
    connection = Connection(
        transport=_SCHEME, hostname=address.host, port=address.port, virtual_host=address.vhost, userid=address.user,
        password=address.password, ssl=tls_options(address) or False, login_method=login_method(address),
        connect_timeout=_CONNECT_SECONDS, heartbeat=heartbeat,
        transport_options={"read_timeout": CONFIRM_SECONDS, "write_timeout": _CONNECT_SECONDS},
    )  # fmt: skip
    try:
        connection.connect()
    except LOST as error:
        with suppress(*LOST):
            connection.release()
        raise BrokerError(f"the broker {address} cannot be reached: {words_of(error)}") from error
    return connection


def is_refusal(error: Exception) -> bool:
    """Whether trying again does not help."""
    cause = error.__cause__ if isinstance(error, BrokerError) else error
    return isinstance(cause, AccessRefused | NotFound | ssl.SSLCertVerificationError)


def words_of(error: BaseException) -> str:
    """Return what is wrong, and what to do where the broker says no."""
    if isinstance(error, AccessRefused):
        return f"it refuses this account ({clean(str(error), 150)}); see `puller broker init`"
    if isinstance(error, NotFound):
        return "it does not exist; create it with `puller broker init`"
    if isinstance(error, ssl.SSLCertVerificationError):
        advice = "; is its authority that of --broker-ca?" if error.verify_code in _UNTRUSTED else ""
        return f"certificate verify failed: {clean(error.verify_message, 150)}{advice}"
    return clean(str(error) or type(error).__name__, 200)
