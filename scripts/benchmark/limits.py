"""The engine's own limits: what unpacks its layers, and how many it downloads at a time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from scripts.benchmark.cold import pull_trial
from scripts.benchmark.content import MB, bulk, programs
from scripts.benchmark.programs import CACHE
from scripts.benchmark.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.benchmark.contender import Contender
    from scripts.benchmark.place import Place
    from scripts.benchmark.scenario import Trial

UNPACKERS = ("unpigz", "igzip")
DOWNLOADS = (None, 10, 24)


def scenarios() -> tuple[Scenario, ...]:
    """All of them."""
    return (
        Scenario("unpack", "10 images, 400 MB unpacked, a fast registry: unpackers on the engine's PATH", _unpack, 2),
        Scenario("downloads", "20 images, 340 MB, 8 MB/s: 3, 10, 24 downloads at a time", partial(_downloads, 8), 2),
        Scenario(
            "downloads-fast",
            "20 images, 340 MB, a fast registry: 3, 10, 24 downloads at a time",
            partial(_downloads, 0),
            2,
        ),
    )


def _plain(place: Place) -> Contender:
    """Take `docker pull`, which is no peer here: it is compared with itself."""
    return replace(next(place.contenders.xargs(8)), name="3 downloads", peer=False)


def _unpack(place: Place) -> Trial:
    """Of the unpackers, take those whose names the engine's programs contain."""
    plain = replace(_plain(place), name="the engine alone")
    return pull_trial(place, programs(place), place.registry.address, plain, *_helped(place, plain))


def _helped(place: Place, plain: Contender) -> Iterator[Contender]:
    engine = place.engine().binary.dockerd
    known = b"".join(path.read_bytes() for path in (engine, engine.parents[1] / "bin/containerd") if path.is_file())
    for name in UNPACKERS:
        if name.encode() not in known:
            print(f"without {name}: this engine does not look for it")
        elif program := place.contenders.programs.find(name):
            if not program.is_relative_to(CACHE):
                print(f"{program} is on every engine's PATH: the engine alone uses it, too")
            yield from (
                replace(
                    plain, name=f"{name}, {downloads or 3} downloads", helpers=(program.parent,), downloads=downloads
                )
                for downloads in (DOWNLOADS[0], DOWNLOADS[-1])
            )


def _downloads(megabytes: int, place: Place) -> Trial:
    address = place.wire(megabytes * MB).address if megabytes else place.registry.address
    plain = _plain(place)
    more = (replace(plain, name=f"{number} downloads", downloads=number) for number in DOWNLOADS if number)
    return pull_trial(place, bulk(place), address, *chain([plain], more), warm_up=not megabytes)
