"""What a run that was killed leaves in the engine: every later run removes it."""

import re
import signal
import socket
from contextlib import closing

import pytest

from tests.engine.conftest import Puller
from tests.lab import Engine, Proxy, Registry, faults, layer, push_image, wait_until
from tests.lab.exchange import Exchange
from tests.lab.faults import Rule
from tests.lab.program import SECONDS

_LOOPBACK = re.compile(r"127\.0\.0\.1:(\d+)/[0-9a-f]{32}/")


def hold_engines(exchange: Exchange) -> None:
    """Serve puller, and keep an engine waiting."""
    if not exchange.headers.get("User-Agent", "").startswith("puller"):
        exchange.pause(60)
    exchange.forward()


def ports(engine: Engine) -> set[int]:
    """Find the ports in names of puller's registry on loopback that the engine has."""
    names = [name for image in engine.images() for name in (*(image["RepoDigests"] or ()), *(image["RepoTags"] or ()))]
    return {int(match[1]) for name in names if (match := _LOOPBACK.match(name))}


@pytest.mark.parametrize("verb", ["pull", "prune", "pull --prefetch"])
def test_names_of_a_killed_run_are_removed(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, verb: str
) -> None:
    """Also while another program listens on the port that they name."""
    image = push_image(registry, "leftovers/app", layers=[layer("leftovers")])
    other = push_image(registry, "leftovers/other")
    proxy.use(Rule("/manifests/", hold_engines))
    process = puller.start_pull("--prefetch=always", "--image", image.at(proxy.address))
    try:
        assert wait_until(lambda: bool(ports(engine)), SECONDS)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    proxy.use(Rule("", faults.forward))
    (port,) = ports(engine)
    listed = puller.list(other.reference)
    with closing(socket.create_server(("127.0.0.1", port))):
        name, *options = verb.split()
        run = puller.run(name, *options, *(["--yes"] if name == "prune" else []), listed)
    assert (run.code, ports(engine)) == (0, set())
