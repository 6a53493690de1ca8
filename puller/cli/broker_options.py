"""The options that name the broker of a fleet, and the modules that need the extra `fleet`."""

import ssl
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

import click

from puller.cli.options import complete_files
from puller.cli.sections import section
from puller.errors import UsageError
from puller.fleet.queue.address import BrokerAddress
from puller.fleet.queue.broker import Broker
from puller.system import files
from puller.text import clean

_EXTRA = ("celery", "kombu", "amqp", "billiard", "vine", "sqlalchemy")

tls_options = (
    click.option(
        "--broker-ca", metavar="FILE", shell_complete=complete_files,
        help="The authorities that the broker's certificate is checked with; default: those of the system.",
    ),
    click.option(
        "--broker-cert", metavar="FILE", shell_complete=complete_files,
        help="The certificate of this account, for a broker that asks for one.",
    ),
    click.option("--broker-key", metavar="FILE", shell_complete=complete_files, help="The key of the certificate."),
)  # fmt: skip
broker_options = section(
    "Broker",
    click.option(
        "--broker", metavar="URL",
        help="The broker, amqps://USER[:PASSWORD]@HOST:5671/puller; better in the environment as PULLER_BROKER: the "
        "command line is public.",
    ),
    *tls_options,
)  # fmt: skip
"""The options `broker`, `broker_ca`, `broker_cert` and `broker_key`."""


def address_of(options: Mapping[str, Any], url: str | None = None) -> BrokerAddress:
    """Return the broker that `broker_options` name, or that of a URL with their certificates; raises UsageError.

    The files are tried now: whoever connects would try them again and again, and could not name the one that is wrong.
    """
    if not (url := url or options["broker"]):
        raise click.UsageError("no broker given: set PULLER_BROKER, or pass --broker URL")
    ca, certificate, key = (options[f"broker_{name}"] for name in ("ca", "cert", "key"))
    address = BrokerAddress.parse(url, ca=ca, certificate=certificate, key=key)
    _try_file("ca", ca, lambda context: context.load_verify_locations(ca))
    _try_file("key", key, lambda _: None)
    # With an empty password a locked key is refused; without one, OpenSSL asks for it on the terminal.
    _try_file("cert", certificate, lambda context: context.load_cert_chain(certificate, key, ""))
    return address


def _try_file(option: str, file: str | None, load: Callable[[ssl.SSLContext], object]) -> None:
    if file is None:
        return
    try:
        files.open_regular(file).close()
        load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    except ssl.SSLError as error:
        why = (error.reason or "").replace("_", " ").lower() or "not PEM, or a key with a password"
    except OSError as error:
        why = error.strerror or str(error)
    else:
        return
    raise UsageError(clean(f"--broker-{option} {file} cannot be used: {why}"))


def connect_broker(options: Mapping[str, Any]) -> Broker:
    """Connect to the broker that the options name; raises BrokerError, and UsageError, also for a missing extra."""
    address = address_of(options)
    broker: Broker = extra_module("puller.fleet.queue.rabbitmq").RabbitBroker(address)
    return broker


def extra_module(name: str) -> ModuleType:
    """Import a module of puller that needs the extra `fleet`; raises UsageError if that is not installed."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if (package := (error.name or "").partition(".")[0]) not in _EXTRA:
            raise
        words = "in a checkout of puller, pip install '.[fleet]'"
        raise UsageError(f"this command needs the package {package}: {words}") from None
