"""Fifty images over three registries: one is well, one answers 503 to every third request, one dies half-way."""

import contextlib
import json
import subprocess
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from tests.engine.conftest import Puller
from tests.faults.scene import Lab
from tests.lab import Proxy, PushedImage, Rule, layer, push_image
from tests.lab.exchange import Exchange

SHARES = (17, 17, 16)
LIVES = 8
"""So many images arrive from the registry that dies, before it does."""
OPTIONS = ("-j", "6", "--retries", "8", "--retry-delay", "0.1s")
MOST = 1.5
ENGINE_WAITS = 4.0
"""So many seconds between two requests for one blob say that the engine has waited for a retry of its own."""

Event = dict[str, Any]
"""As puller tells it, and `at`: when that was, in seconds of time.monotonic()."""
Span = tuple[float, float]


@dataclass(frozen=True)
class Run:
    """How a run ended, and what its events told meanwhile."""

    code: int
    seconds: float
    images: dict[str, dict[str, Any]]
    events: list[Event]

    @property
    def waits(self) -> list[Span]:
        """From when to when something waited before a retry, or a registry was left alone."""
        told = [event for event in self.events if event["event"] in {"retry", "paused"}]
        return [(event["at"], event["at"] + event["seconds"]) for event in told]


class Flaky:
    """Answers 503 to a third of all requests; to which ones, path and number decide, and so not the hour."""

    def __init__(self) -> None:
        self._asked: Counter[str] = Counter()
        self._lock = Lock()

    def __call__(self, exchange: Exchange) -> None:
        """Answer one request, or pass it on."""
        key = f"{exchange.command} {exchange.path}"
        with self._lock:
            self._asked[key] += 1
            draw = zlib.crc32(f"{key} {self._asked[key]}".encode())
        if draw % 3 == 0:
            exchange.reply(503, {}, b"")
        else:
            exchange.forward()


@pytest.fixture
def proxies(lab: Lab) -> Iterator[tuple[Proxy, ...]]:
    """Stand in for three registries."""
    with contextlib.ExitStack() as stack:
        yield tuple(stack.enter_context(Proxy(lab.registry)) for _ in SHARES)


@pytest.fixture(scope="module")
def images(lab: Lab) -> list[list[PushedImage]]:
    """Push fifty images of which none shares a byte with another."""
    names = [[f"three/{place}/app{number}" for number in range(share)] for place, share in enumerate(SHARES)]
    return [[push_image(lab.registry, name, layers=[layer(name, 20_000)]) for name in share] for share in names]


def pull(
    puller: Puller, backend: str, shares: Sequence[Sequence[str]], see: Callable[[Event], None] = lambda _: None
) -> Run:
    """Pull all of them, one of each registry in turn, and see the events as they come."""
    names = [name for turn in zip_longest(*shares) for name in turn if name]
    report, events = puller.folder / "report.json", []
    options = ("--backend", backend, "--progress", "json", "--report", f"json={report}", *OPTIONS)
    started = time.monotonic()
    with subprocess.Popen(
        puller.argv("pull", puller.list(*names), *options),
        env=puller.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr
            for line in process.stderr:
                event = json.loads(line) | {"at": time.monotonic()}
                events.append(event)
                see(event)
            code = process.wait()
        finally:
            process.kill()
    images = {image["requested"][0]: image for image in json.loads(report.read_text())["images"]}
    return Run(code, time.monotonic() - started, images, events)


def engine_waits(proxy: Proxy) -> list[Span]:
    """From when to when the engine waited for retries of its own, which no event tells."""
    asked: dict[str, list[float]] = {}
    for request in proxy.log:
        asked.setdefault(request.path, []).append(request.started)
    pauses = (pause for times in asked.values() for pause in pairwise(times))
    return [(earlier, later) for earlier, later in pauses if later - earlier > ENGINE_WAITS]


def covered(spans: Sequence[Span]) -> float:
    """Measure how long at least one of the spans lasted."""
    total, reached = 0.0, 0.0
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Play with the first backend of this run; retries and waits are the same with each."""
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", metafunc.config.getoption("--backends").split(",")[:1])


def test_fifty_images_over_three_registries(
    lab: Lab,
    images: list[list[PushedImage]],
    proxies: tuple[Proxy, ...],
    backend: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What can arrive does, what cannot fails fast, and the trouble costs little more than the waits it asks for."""
    puller, at = Puller(lab.engine.host, tmp_path), [proxy.address for proxy in proxies]
    well, flaky, dying = ([image.at(address) for image in share] for address, share in zip(at, images, strict=True))
    lab.engine.wipe()
    healthy = pull(puller, backend, [well, flaky, dying])
    assert (healthy.code, len(healthy.images)) == (0, 50)
    lab.engine.wipe()
    for proxy in proxies:
        proxy.forget()
    proxies[1].use(Rule("", Flaky()))
    arrived = 0

    def see(event: Event) -> None:
        nonlocal arrived
        arrived += event["event"] == "finished" and event["id"].startswith(f"{at[2]}/") and event["status"] == "Done"
        if arrived == LIVES:
            proxies[2].close()

    ill = pull(puller, backend, [well, flaky, dying], see)
    waits = covered([*ill.waits, *engine_waits(proxies[1])])
    ratio = (ill.seconds - waits) / healthy.seconds
    with capsys.disabled():
        print(  # noqa: T201 - a figure that somebody wants to see
            f"\n50 images over three registries, {lab.binary.label}, {backend}: {healthy.seconds:.1f} s when all are "
            f"well, {ill.seconds:.1f} s in trouble, {waits:.1f} s of them with something waiting: ratio {ratio:.2f}"
        )
    statuses = {name: image["status"] for name, image in ill.images.items()}
    assert {name: statuses[name] for name in (*well, *flaky) if statuses[name] != "pulled"} == {}
    failed = [ill.images[name] for name in dying if statuses[name] != "pulled"]
    assert LIVES <= len(dying) - len(failed) < len(dying)
    assert {image["error"]["kind"] for image in failed} <= {"registry_unavailable", "connection_refused"}
    assert ill.code == 75
    assert ratio <= MOST
