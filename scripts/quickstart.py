"""The part of scripts/quickstart that is easier in Python: the engine, the registry, the list and the runs.

It takes one word: `probe` tells (exit code 0) whether the user's own engine can be used, `own` and `temporary` run
the demonstration on that engine or on one started for it. Everything it starts ends with it, also on Ctrl-C.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import requests
from docker.errors import DockerException

from puller.engine.endpoint import resolve
from puller.errors import PullerError
from scripts import demo
from tests.lab import Engine, Proxy, Registry, Rule, layer, push_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.exchange import Exchange
    from tests.lab.faults import Action

LIST = "images.txt"
COMMAND = ("pull", LIST, "-j", "3")
IMAGES = (
    "shop/web:1.4", "shop/api:2.0", "shop/search:2.0", "shop/mail:0.9", "shop/jobs:2.0",
    "tools/backup:7", "tools/lint:3.1", "base/python:3.11", "base/node:22",
)  # fmt: skip
BUSY = "tools/backup"
"""The registry refuses this image twice with a 503; a retry succeeds."""
MISSPELT = ("shop/mail:0.8", "shop/mail:0.9")
"""The wrong line of the list, and the right one."""
BASE_BYTES, OWN_BYTES = 4 << 20, 1 << 20
ANSWER_SECONDS = 10
FAILED = 1


def main() -> None:
    """Do what the one argument says."""
    if sys.argv[1:] == ["probe"]:
        sys.exit(0 if _own_engine_serves() else FAILED)
    page = Path(tempfile.mkdtemp(prefix="puller-quickstart-")) / "report.html"
    with ExitStack() as stack:
        stack.callback(_remove_if_empty, page.parent)
        _demonstrate(stack, page, own=sys.argv[1:] == ["own"])
    print(f"\nEverything temporary is stopped and removed, except the HTML report of the first run: {page}")
    print(f"Now your own list: {os.path.relpath(demo.program())} pull YOUR-LIST", flush=True)


def _demonstrate(stack: ExitStack, page: Path, *, own: bool) -> None:
    """Pull the made-up images twice; raises WorldError if a run does not end as it should."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="puller-")))
    registry = stack.enter_context(Registry())
    proxy = stack.enter_context(Proxy(registry, [Rule(f"/{BUSY}/manifests/", _refuse_twice())]))
    images = _fill(registry, proxy)
    environment = _environment()
    if own:
        client = _own_engine()
        print(f"Engine: yours, {client.version()['Version']}")
        stack.enter_context(_removed_afterwards(client, images))
    else:
        engine = stack.enter_context(Engine())
        print(f"Engine: a temporary one, {engine.version()}")
        # The user's credentials and contexts have nothing to do with it.
        environment = {name: value for name, value in environment.items() if not name.startswith("DOCKER_")}
        environment |= {"DOCKER_HOST": engine.host, "DOCKER_CONFIG": str(folder)}
    environment["XDG_STATE_HOME"] = str(folder)  # the history and the records of the user stay as they are
    print(f"Registry: a temporary one, {proxy.address}. It has no {MISSPELT[0]}, and refuses {BUSY} twice (503).")
    wrong, right = MISSPELT
    text = "# the images of our shop\n" + "\n".join(images) + "\n"
    (folder / LIST).write_text(text.replace(right, wrong))
    demo.show("cat", LIST)
    print((folder / LIST).read_text(), end="")
    demo.run(folder, environment, FAILED, *COMMAND, "--report", str(page))
    print("\nOne tag is wrong. The list is corrected; what is up to date is not pulled again:")
    demo.show("sed", "-i", f"s|{wrong}|{right}|", LIST)
    (folder / LIST).write_text(text)
    demo.run(folder, environment, 0, *COMMAND)


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _refuse_twice() -> Action:
    """Answer an engine, but not puller, with a 503, twice."""
    left = iter(range(2))

    def act(exchange: Exchange) -> None:
        if exchange.headers.get("User-Agent", "").startswith("docker/") and next(left, None) is not None:
            exchange.reply(503, {}, b"")
        else:
            exchange.forward()

    return act


def _fill(registry: Registry, proxy: Proxy) -> list[str]:
    """Push the made-up images, which share two bases, and return how an engine asks for them."""
    bases = [layer(f"quickstart base {number}", BASE_BYTES) for number in range(2)]
    references = []
    for number, name in enumerate(IMAGES):
        repository, _, tag = name.partition(":")
        own = layer(f"quickstart {name}", OWN_BYTES)
        references.append(push_image(registry, repository, tag, (bases[number % 2], own)).at(proxy.address))
    return references


def _environment() -> dict[str, str]:
    """Return the environment for puller: without its settings and proxies, so that the command is what it seems."""
    drop = ("PULLER_", "PYTHONPATH")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(drop) and not name.lower().endswith("_proxy")
    }


def _own_engine() -> docker.APIClient:
    """Connect to the engine the user's settings name; raises DockerException or PullerError without one."""
    address = resolve(None, os.environ)
    if address.tls:
        raise PullerError("an engine behind TLS is on another machine")
    return docker.APIClient(base_url=address.url, version="auto", timeout=ANSWER_SECONDS)


def _own_engine_serves() -> bool:
    """Tell whether there is one, and whether it sees this machine's loopback: many run in a virtual machine."""
    try:
        client = _own_engine()
        with Registry() as registry:
            image = push_image(registry, "probe")
            client.inspect_distribution(image.reference)  # type: ignore[no-untyped-call]
    except (DockerException, requests.RequestException, PullerError, OSError):
        return False
    return True


@contextmanager
def _removed_afterwards(client: docker.APIClient, images: list[str]) -> Iterator[None]:
    """Leave the user's engine without the images of the demonstration, however the block ends."""
    try:
        yield
    finally:
        for image in images:
            with suppress(DockerException, requests.RequestException):
                client.remove_image(image)


if __name__ == "__main__":
    sys.exit(demo.main("quickstart", main))
