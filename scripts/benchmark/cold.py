"""Cold: the engine has none of the images, and what counts is how fast they come."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from scripts.benchmark.process import killed_when
from scripts.benchmark.sample import Sample
from scripts.benchmark.scenario import Scenario, Trial
from scripts.benchmark.watch import PullWatch
from tests.lab import family, layer, push_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.benchmark.contender import Contender
    from scripts.benchmark.place import Names, Place
    from tests.lab import PushedImage

KIB, MIB, MB = 1 << 10, 1 << 20, 1_000_000
JOBS = "-j8"


def scenarios() -> tuple[Scenario, ...]:
    """All of them."""
    return (
        Scenario("cold-fast", "20 images, 340 MB, a fast registry", _fast),
        Scenario("cold-8", "20 images, 340 MB, 8 MB/s a connection", partial(_slow, rate=8 * MB)),
        Scenario("cold-2", "20 images, 340 MB, 2 MB/s a connection", partial(_slow, rate=2 * MB)),
        Scenario("layer", "one layer of 300 MB, 8 MB/s a connection", _layer),
        Scenario("latency", "20 images of 14 small layers, 30 ms of latency", _latency),
        Scenario("tiny", "200 tiny images, a fast registry", _tiny),
        Scenario("first", "from the start to the first pull that the engine is asked for, 20 images", _first),
        Scenario("files", "20 images, 340 MB, a fast registry, into an OCI layout", _files),
        Scenario("killed", "20 images, 340 MB, 8 MB/s a connection, SIGKILL at half, and again", _killed),
        Scenario("pools", "40 tiny images, 30 ms of latency: serial, threads, processes", _pools),
    )


def _bulk(place: Place) -> Sequence[PushedImage]:
    """Push 20 images on three base stacks which they share: 340 MB, or a tenth of that."""
    size = MIB // 10 if place.quick else MIB
    return family(place.registry, 20, prefix="bulk/app", bases=3, base_layers=4, base_size=16 * size, own_size=7 * size)


def _weight(images: Sequence[PushedImage]) -> int:
    """Count the bytes of all layers, shared ones once."""
    return sum({each.digest: len(each.data) for image in images for each in image.layers}.values())


def _pull(place: Place, names: Names, contender: Contender) -> Sample:
    """Empty the engine, pull, and see that all is there."""
    place.clear(contender)
    sample = place.run(contender, names)
    place.see_all(contender, names)
    return sample


def _trial(
    place: Place, images: Sequence[PushedImage], address: str, *contenders: Contender, warm_up: bool = True
) -> Trial:
    names = place.names([image.at(address) for image in images])
    return Trial(contenders, partial(_pull, place, names), len(images), warm_up)


def _fast(place: Place) -> Trial:
    who = place.contenders
    return _trial(place, _bulk(place), place.registry.address, *who.peers(3, 8), *who.pullers(3, 8))


def _slow(place: Place, rate: int) -> Trial:
    """Peers get 8 processes: more gain nothing where the engine downloads three layers at a time."""
    who = place.contenders
    tuned = [each.tuned for each in (*who.xargs(20), *who.prefetching(JOBS))]
    everybody = (*who.peers(8), *who.pullers(8), *tuned)
    return _trial(place, _bulk(place), place.wire(rate).address, *everybody, warm_up=False)


def _layer(place: Place) -> Trial:
    who, size = place.contenders, (30 if place.quick else 300) * MB
    image = push_image(place.registry, "bulk/layer", layers=[layer("large", size)])
    mine = (who.puller(), *who.prefetching())
    return _trial(place, [image], place.wire(8 * MB).address, *who.xargs(1), *mine, warm_up=False)


def _latency(place: Place) -> Trial:
    who = place.contenders
    images = family(
        place.registry, 4 if place.quick else 20, prefix="many/app", bases=3, base_layers=13, base_size=8 * KIB
    )
    return _trial(place, images, place.wire(latency=0.03).address, *who.peers(8, 16), *who.pullers(8, 16))


def _tiny(place: Place) -> Trial:
    who = place.contenders
    images = family(place.registry, 20 if place.quick else 200, prefix="tiny/app", base_size=4 * KIB, own_size=KIB)
    mine = who.pullers(3, 8, modes=("--prefetch=auto",))
    return _trial(place, images, place.registry.address, *who.peers(3, 8), *mine)


def _first(place: Place) -> Trial:
    """Note when the engine is asked for a pull, and end the run then."""
    who = place.contenders
    names = place.names([image.at(place.registry.address) for image in _bulk(place)])

    def run(contender: Contender) -> Sample:
        place.clear(contender)
        with PullWatch(place.engine(contender.downloads).host, place.folder / "watched.sock") as watch:
            running = place.start(contender, names, watch.host)
            began = monotonic()
            sample = killed_when(running, watch.seen.is_set)
        return replace(sample, seconds=watch.at - began)

    return Trial((*who.xargs(8), who.puller(JOBS)), run, 1)


def _files(place: Place) -> Trial:
    who, images = place.contenders, _bulk(place)
    names = place.names([image.at(place.registry.address) for image in images])
    layout = place.folder / "layout"

    def run(contender: Contender) -> Sample:
        shutil.rmtree(layout, ignore_errors=True)
        shutil.rmtree(place.cache, ignore_errors=True)
        return place.run(contender, names)

    return Trial((who.puller("--to", f"oci:{layout}"),), run, len(images))


def _pools(place: Place) -> Trial:
    who = place.contenders
    images = family(place.registry, 8 if place.quick else 40, prefix="pools/app", base_size=4 * KIB, own_size=KIB)
    contenders = (
        who.puller("-j1", name="serial"),
        who.puller(JOBS, "--backend", "api", name="threads"),
        who.puller(JOBS, "--backend", "cli", name="a docker each"),
        who.by_process(8),
    )
    return _trial(place, images, place.wire(latency=0.03).address, *contenders)


def _killed(place: Place) -> Trial:
    """Kill each contender when half of the bytes have come, run it again, and count the bytes of both runs."""
    who, images = place.contenders, _bulk(place)
    wire, weight = place.wire(8 * MB), _weight(images)
    names = place.names([image.at(wire.address) for image in images])

    def run(contender: Contender) -> Sample:
        place.clear(contender)
        before = wire.sent
        first = killed_when(place.start(contender, names), lambda: wire.sent - before >= weight / 2)
        second = place.run(contender, names)
        place.see_all(contender, names)
        twice = 100 * max(0.0, (wire.sent - before) / weight - 1)
        return Sample(
            first.seconds + second.seconds, first.cpu + second.cpu, max(first.peak_mib, second.peak_mib), twice
        )

    return Trial((*who.xargs(8), who.puller(JOBS), *who.prefetching(JOBS)), run, len(images), warm_up=False)
