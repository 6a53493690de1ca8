"""Cold: the engine has none of the images, and what counts is how fast they come."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from scripts.benchmark.content import KIB, MB, bulk, weight
from scripts.benchmark.process import killed_when
from scripts.benchmark.sample import Sample, Wanted
from scripts.benchmark.scenario import Scenario, Trial
from scripts.benchmark.watch import PullWatch
from tests.lab import family, layer, push_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.benchmark.contender import Contender
    from scripts.benchmark.place import Names, Place
    from tests.lab import PushedImage

JOBS = "-j8"
SLOW = ("always",)
NEVER, ALWAYS = "puller --prefetch=never", "puller --prefetch=always"
_FAST = (Wanted(1.0), Wanted(0.98, than=NEVER))
_LITTLE = (Wanted(1.15, "disk"), Wanted(0.0, "left_mib"))
_ONCE = (Wanted(5.0, "twice"), Wanted(1.0, "twice", ALWAYS))


def scenarios() -> tuple[Scenario, ...]:
    """All of them."""
    return (
        Scenario("cold-fast", "20 images, 340 MB, a fast registry", _fast, 7, _FAST),
        Scenario("cold-8", "20 images, 340 MB, 8 MB/s a connection", partial(_slow, 8), wanted=(Wanted(2.0),)),
        Scenario("cold-2", "20 images, 340 MB, 2 MB/s a connection", partial(_slow, 2), wanted=(Wanted(6.0),)),
        Scenario("disk", "20 images, 340 MB, 2 MB/s a connection, and the disk", _disk, wanted=(Wanted(6.0), *_LITTLE)),
        Scenario("layer", "one layer of 300 MB, 8 MB/s a connection", _layer, wanted=(Wanted(7.0),)),
        Scenario("latency", "20 images of 14 small layers, 30 ms of latency", partial(_late, 0.03), 7, (Wanted(1.15),)),
        Scenario("latency-150", "20 images of 14 small layers, 150 ms of latency", partial(_late, 0.15), 3),
        Scenario("loss", "10 images, 270 MB, 30 ms of latency, 0.1 % of the packets lost", _lossy, 3),
        Scenario("tiny", "200 tiny images, a fast registry", _tiny, wanted=(Wanted(1.05),)),
        Scenario(
            "first",
            "from the start to the first pull that the engine is asked for, 20 images",
            _first,
            9,
            (Wanted(0.15, "seconds"),),
        ),
        Scenario("files", "20 images, 340 MB, a fast registry, into an OCI layout", _files, 9, (Wanted(4.0),), True),
        Scenario("killed", "20 images, 340 MB, 8 MB/s a connection, SIGKILL at half, and again", _killed, 3, _ONCE),
        Scenario("pools", "40 tiny images, 30 ms of latency: serial, threads, processes", _pools, 3),
    )


def _pull(place: Place, names: Names, contender: Contender) -> Sample:
    """Empty the engine, pull, and see that all is there."""
    place.clear(contender)
    sample = place.run(contender, names)
    place.see_all(contender, names)
    return sample


def pull_trial(
    place: Place, images: Sequence[PushedImage], address: str, *contenders: Contender, warm_up: bool = True
) -> Trial:
    """Have each contender pull images from an address of the registry into an empty engine."""
    names = place.names([image.at(address) for image in images])
    return Trial(contenders, partial(_pull, place, names), len(images), warm_up)


def _fast(place: Place) -> Trial:
    who = place.contenders
    everybody = (*who.peers(3, 8, 16), *who.ansible(8), *who.pullers(3, 8))
    return pull_trial(place, bulk(place), place.registry.address, *everybody)


def _slow(megabytes: int, place: Place) -> Trial:
    """Peers get 8 processes: more gain nothing where the engine downloads three layers at a time, nor does `never`."""
    who = place.contenders
    tuned = [each.tuned for each in (*who.xargs(20), who.puller(JOBS))]
    everybody = (*who.peers(8), *who.pullers(8, modes=SLOW), *tuned)
    return pull_trial(place, bulk(place), place.wire(megabytes * MB).address, *everybody, warm_up=False)


def _disk(place: Place) -> Trial:
    who = place.contenders
    wire = place.wire(2 * MB)
    trial = pull_trial(place, bulk(place), wire.address, *who.xargs(8), *who.pullers(8, modes=()), warm_up=False)

    def run(contender: Contender) -> Sample:
        place.clear(contender)
        return place.watched(contender, lambda: trial.run(contender))

    return replace(trial, run=run)


def _layer(place: Place) -> Trial:
    who, size = place.contenders, (30 if place.quick else 300) * MB
    image = push_image(place.registry, "bulk/layer", layers=[layer("large", size)])
    return pull_trial(
        place, [image], place.wire(8 * MB).address, *who.xargs(1), *who.pullers(8, modes=SLOW), warm_up=False
    )


def _late(seconds: float, place: Place) -> Trial:
    who = place.contenders
    images = family(
        place.registry, 4 if place.quick else 20, prefix="many/app", bases=3, base_layers=13, base_size=8 * KIB
    )
    everybody = (*who.peers(8, 16), *who.ansible(8), *who.pullers(8, 16, modes=()))
    return pull_trial(place, images, place.wire(latency=seconds).address, *everybody)


def _lossy(place: Place) -> Trial:
    who = place.contenders
    wire = place.wire(latency=0.03, loss=0.001)
    return pull_trial(place, bulk(place, 10), wire.address, *who.xargs(8), *who.pullers(8, modes=SLOW), warm_up=False)


def _tiny(place: Place) -> Trial:
    who = place.contenders
    images = family(place.registry, 20 if place.quick else 200, prefix="tiny/app", base_size=4 * KIB, own_size=KIB)
    return pull_trial(place, images, place.registry.address, *who.xargs(3, 8), *who.pullers(8, modes=()))


def _first(place: Place) -> Trial:
    """Note when the engine is asked for a pull, and end the run then."""
    who = place.contenders
    names = place.names([image.at(place.registry.address) for image in bulk(place)])

    def run(contender: Contender) -> Sample:
        place.clear(contender)
        with PullWatch(place.engine(contender).host, place.folder / "watched.sock") as watch:
            running = place.start(contender, names, watch.host)
            began = monotonic()
            sample = killed_when(running, watch.seen.is_set)
        return replace(sample, seconds=watch.at - began)

    return Trial((*who.xargs(8), who.puller(JOBS)), run, 1)


def _files(place: Place) -> Trial:
    who, images = place.contenders, bulk(place)
    names = place.names([image.at(place.registry.address) for image in images])
    layout, copies = place.folder / "layout", place.folder / "copies"

    def run(contender: Contender) -> Sample:
        for folder in (layout, copies, place.cache):
            shutil.rmtree(folder, ignore_errors=True)
        copies.mkdir()
        return place.run(contender, names)

    return Trial((*who.skopeo(copies, 8), who.puller("--to", f"oci:{layout}")), run, len(images))


def _pools(place: Place) -> Trial:
    who = place.contenders
    images = family(place.registry, 8 if place.quick else 40, prefix="pools/app", base_size=4 * KIB, own_size=KIB)
    contenders = (
        who.puller("-j1", name="serial"),
        who.puller(JOBS, "--backend", "api", name="threads"),
        who.puller(JOBS, "--backend", "cli", name="a docker each"),
        who.by_process(8),
    )
    return pull_trial(place, images, place.wire(latency=0.03).address, *contenders)


def _killed(place: Place) -> Trial:
    """Kill each contender when half of the bytes have come, run it again, and count the bytes of both runs."""
    who, images = place.contenders, bulk(place)
    wire, whole = place.wire(8 * MB), weight(images)
    names = place.names([image.at(wire.address) for image in images])

    def both(contender: Contender) -> Sample:
        before = wire.sent
        first = killed_when(place.start(contender, names), lambda: wire.sent - before >= whole / 2)
        second = place.start(contender, names).ended()
        twice = 100 * max(0.0, (wire.sent - before) / whole - 1)
        return Sample(
            first.seconds + second.seconds, first.cpu + second.cpu, max(first.peak_mib, second.peak_mib), twice
        )

    def run(contender: Contender) -> Sample:
        place.clear(contender)
        sample = place.metered(contender, lambda: both(contender))
        place.see_all(contender, names)
        return sample

    return Trial((*who.xargs(8), *who.pullers(8, modes=SLOW)), run, len(images), warm_up=False)
