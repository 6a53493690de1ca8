"""How many connections downloads open: as many as bring more bytes a second."""

import threading
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median

import pytest

from puller.blobs import partial
from puller.blobs.connections import FIRST, ConnectionControl
from puller.blobs.download_pool import DownloadPool
from puller.blobs.store import BlobStore
from puller.image.manifest import Descriptor
from puller.image.reference import ImageReference
from puller.registry.client import RegistryClient
from puller.settings import PrefetchSettings
from tests.lab import Proxy, Registry, Rule, layer, push_image
from tests.lab.exchange import Exchange
from tests.lab.process import wait_until
from tests.lab.wire import SlowWire

MB = 1_000_000
STEP, ENDING = 0.01, 3
SEGMENT = 256 << 10
BLOB = layer("connections", 64 * SEGMENT)
Rate = Callable[[float, int], float]
"""Bytes a second of a wire, by the time and the number of connections."""


class Simulation:
    """Downloads without end over a wire that is only a formula."""

    def __init__(self, rate: Rate, *, ceiling: int = 48, delay: float = 0.03, blob: int = 4 << 20) -> None:
        self.control = ConnectionControl(ceiling)
        self.active = self.control.wanted
        self.now, self.seen = 0.0, list[int]()
        self._rate, self._delay, self._blob, self._received = rate, delay, blob, 0.0

    def run(self, until: float) -> int:
        """Go on until this time; return the number of connections then."""
        while self.now < until:
            self.now += STEP
            self._received += self._rate(self.now, self.active) * STEP
            received = int(self._received)
            responses = received // self._blob
            wanted = self.control.update(1000 + self.now, received, self.active, self._delay, responses)
            self.active = max(wanted, self.active - ENDING)  # a connection is closed after its segment
            self.seen.append(wanted)
        return self.control.wanted

    def refuse(self, *, reset: bool = False) -> None:
        """Let the registry refuse one request."""
        self.control.refused(1000 + self.now, self.active, reset=reset)


def limited_each(_: float, active: int) -> float:
    """Limit each connection."""
    return 2 * MB * active


def limited_together(_: float, _active: int) -> float:
    """Limit all connections together, as a shared wire, a disk or a processor does."""
    return 100 * MB


def test_a_wire_that_limits_each_connection_gets_all_connections_soon() -> None:
    """On a wire of 2 MB/s a connection a run has its 48 connections within three seconds, and keeps them."""
    simulation = Simulation(limited_each)
    assert simulation.run(3) == 48
    assert (simulation.run(60), min(simulation.seen[300:])) == (48, 48)


@pytest.mark.parametrize("seed", range(30))
def test_a_start_that_was_disturbed_is_made_good(seed: int) -> None:
    """Other work takes the processors for seconds, and more connections bring nothing; later each brings its share."""
    chance = Random(seed)
    cap, end = chance.uniform(10, 40) * MB, chance.uniform(1, 3)
    loads = [chance.uniform(0.8, 1.1) for _ in range(200)]

    def rate(now: float, active: int) -> float:
        return min(2 * MB * active, cap if now < end else 48 * 2 * MB) * loads[int(now * 10)]

    simulation = Simulation(rate)
    simulation.run(end + 12)
    assert max(simulation.seen) == 48


def test_long_round_trips_only_take_longer() -> None:
    """Bytes that come late after a request do not look like a wire that has no more to give."""
    simulation = Simulation(limited_each, delay=0.5)
    assert simulation.run(6) == 48


def test_small_blobs_over_a_long_way_get_all_connections_soon() -> None:
    """Each connection brings 8 KiB in a round trip of 150 ms; where all of them share a wire, few are enough."""
    blob = 8 << 10
    assert Simulation(lambda _, active: active * blob / 0.15, delay=0.15, blob=blob).run(4) == 48
    shared = Simulation(lambda _, _active: FIRST * blob / 0.15, delay=0.15, blob=blob)
    shared.run(60)
    assert median(shared.seen) == FIRST


def test_a_shared_wire_gets_few_connections() -> None:
    """More connections are taken back if they bring nothing, and tried ever more rarely."""
    simulation = Simulation(limited_together)
    assert simulation.run(60) == FIRST
    later = simulation.seen[2000:]
    assert max(later) <= FIRST * 5 // 4
    assert later.count(FIRST) > 0.9 * len(later)


def test_the_number_follows_the_wire() -> None:
    """From 2 to 50 MB/s a connection, where the processor is the limit, and back."""
    simulation = Simulation(lambda now, active: min((50 if 10 < now < 30 else 2) * MB * active, 400 * MB))
    assert [simulation.run(until) for until in (10, 20, 40)] == [48, FIRST, 48]


def test_connections_that_a_busy_start_brought_are_given_up() -> None:
    """Bytes that came because other work was over, and not because of more connections, do not count for ever."""
    simulation = Simulation(lambda now, _: (60 if now < 1 else 150) * MB)
    simulation.run(1.5)
    assert max(simulation.seen) > FIRST
    assert simulation.run(30) <= FIRST * 5 // 4


def test_too_little_to_download_is_no_measurement() -> None:
    """A registry that waits for the engine is not taken for a slow one."""
    simulation = Simulation(lambda now, active: 0 if now > 3 else 2 * MB * active)
    simulation.run(3)
    simulation.active = 1
    simulation.control.update(1005, 0, 1)
    assert simulation.control.wanted == 48


def test_a_refusal_halves_the_number() -> None:
    """Refusals of the same moment count once, and the number that was refused is not tried again soon."""
    simulation = Simulation(limited_each)
    simulation.run(5)
    for _ in range(10):
        simulation.refuse()
    assert simulation.control.wanted == 24
    assert 24 < simulation.run(50) < 48
    assert simulation.run(120) == 48


def test_resets_halve_the_number_and_a_single_one_does_not() -> None:
    """One connection of many breaks now and then; many at once are a registry's way to say no."""
    simulation = Simulation(limited_each)
    simulation.run(5)
    simulation.refuse(reset=True)
    assert simulation.control.wanted == 48
    for _ in range(10):
        simulation.refuse(reset=True)
    assert simulation.control.wanted == 24


def test_refusals_leave_one_connection() -> None:
    """A registry that refuses everything is asked one thing at a time."""
    simulation = Simulation(limited_each)
    for until in range(1, 20, 2):
        simulation.run(until)
        simulation.refuse()
    assert simulation.control.wanted == 1


@pytest.mark.parametrize("ceiling", [1, 3, 20])
def test_the_options_are_ceilings(ceiling: int) -> None:
    """No wire gets more connections than `--connections` and `--registry-connections` allow."""
    simulation = Simulation(limited_each, ceiling=ceiling)
    assert simulation.run(30) == max(simulation.seen) == ceiling


def open_connections(address: str) -> int:
    """Count the connections to a port of this machine."""
    end = f"0100007F:{int(address.rpartition(':')[2]):04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum((local, state) == (end, "01") for _, local, _, state, *_ in lines)


def fetch(store: BlobStore, address: str, settings: PrefetchSettings) -> list[int]:
    """Fetch the blob in many segments; return how many connections there were, from time to time."""
    seen = list[int]()
    client = RegistryClient(read=10, connections=48)
    pool = DownloadPool(client, store, settings)
    try:
        reference = ImageReference.parse(f"{address}/prefetch/connections:v1")
        (blob,) = pool.fetch([Descriptor(BLOB.digest, len(BLOB.data))], reference, 0)

        def done() -> bool:
            seen.append(open_connections(address))
            return blob.done

        assert wait_until(done, 60)
        assert not blob.failure
        assert store.path(BLOB.digest).read_bytes() == BLOB.data
    finally:
        pool.close()
        client.close()
    return seen


@pytest.fixture(scope="module", autouse=True)
def image(registry: Registry) -> None:
    """Push the blob."""
    push_image(registry, "prefetch/connections", layers=[BLOB])


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a small blob as good as a large one."""
    monkeypatch.setattr(partial, "SEGMENT", SEGMENT)


def test_a_slow_registry_sees_more_and_more_connections(store: BlobStore, registry: Registry) -> None:
    """With 400 kB/s for each connection, the first few are followed by more, as many as may be opened."""
    with SlowWire(registry.address, 400_000) as wire:
        seen = fetch(store, wire.address, PrefetchSettings(connections=24))
    assert seen[0] <= FIRST
    assert 2 * FIRST <= max(seen) < 32


def test_a_shared_bandwidth_is_used_by_few_connections(store: BlobStore, proxy: Proxy) -> None:
    """What is limited for all connections together needs no more than the first few, and trials of more."""
    assert median(fetch(store, proxy.address, PrefetchSettings(bandwidth=4 * MB))) < 3 * FIRST


def test_a_registry_that_takes_only_few_connections_gets_few(store: BlobStore, proxy: Proxy) -> None:
    """It says 429 to more than four at once: then fewer come, and with them all of the blob."""
    lock, refused, peaks = threading.Lock(), 0, list[int]()
    now = 0

    def few(exchange: Exchange) -> None:
        nonlocal now, refused
        with lock:
            now += 1
            taken = now <= 4
            refused += not taken
            peaks.append(now)
        try:
            exchange.pause(0.1)
            if taken:
                exchange.forward()
            else:
                exchange.reply(429, {"Retry-After": "1"}, b"")
        finally:
            with lock:
                now -= 1

    proxy.use(Rule("/blobs/", few))
    fetch(store, proxy.address, PrefetchSettings())
    assert max(peaks[-24:]) < max(peaks) <= FIRST
    assert refused <= 2 * FIRST
