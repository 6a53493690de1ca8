"""What the images consist of that scenarios pull."""

from __future__ import annotations

import functools
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tests.lab import family, layer, layer_of, push_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scripts.benchmark.place import Place
    from tests.lab import Layer, PushedImage

KIB, MIB, MB = 1 << 10, 1 << 20, 1_000_000
_SLICE = 16 * KIB
_SEED = 18
_BASES = (3.0, 12.0, 30.0, 45.0, 90.0)
"""Weights of bases, from a bare one to one of a compiler."""
_POPULARITY = (1.0, 1 / 2, 1 / 3, 1 / 4, 1 / 5)


def bulk(place: Place, count: int = 20) -> Sequence[PushedImage]:
    """Push images on three base stacks which they share: with 20 of them 340 MB, or a tenth of that."""
    size = MIB // 10 if place.quick else MIB
    return family(
        place.registry, count, prefix="bulk/app", bases=3, base_layers=4, base_size=16 * size, own_size=7 * size
    )


def weight(images: Sequence[PushedImage]) -> int:
    """Count the bytes of all layers, shared ones once."""
    return sum({each.digest: len(each.data) for image in images for each in image.layers}.values())


@dataclass(frozen=True, slots=True)
class Shop:
    """Images as a company has them: few large ones, many small ones, on bases of which some are used by most."""

    images: tuple[PushedImage, ...]

    def orders(self) -> dict[str, tuple[PushedImage, ...]]:
        """Give the list as it is, which is mixed, and in other orders."""
        bases = [image.layers[0].digest for image in self.images]
        sizes = {image.repository: sum(len(each.data) for each in image.layers) for image in self.images}
        by_size = tuple(sorted(self.images, key=lambda image: sizes[image.repository]))
        first = {digest: bases.index(digest) for digest in sorted(bases, key=bases.count, reverse=True)}.values()
        rest = [place for place in range(len(bases)) if place not in first]
        return {
            "list order": self.images,
            "largest first": by_size[::-1],
            "smallest first": by_size,
            "shared bases first": tuple(self.images[place] for place in (*first, *rest)),
        }


def shop(place: Place, count: int, size: int) -> Shop:
    """Push `count` images of so many bytes in all, or a tenth of that; the same every time."""
    random = Random(_SEED)  # noqa: S311 - nothing secret
    kinds = random.choices(range(len(_BASES)), _POPULARITY, k=count)
    own = [[random.lognormvariate(0, 1.5) for _ in range(random.randint(1, 4))] for _ in range(count)]
    used = sum(_BASES[kind] for kind in set(kinds))
    base_unit = size * 0.4 / used / (10 if place.quick else 1)
    own_unit = size * 0.6 / sum(map(sum, own)) / (10 if place.quick else 1)

    def layers(number: int) -> Iterator[Layer]:
        kind = kinds[number]
        for step, share in enumerate((0.6, 0.3, 0.1)):
            yield layer(f"{count}-base{kind}-{step}", round(_BASES[kind] * share * base_unit))
        for step, part in enumerate(own[number]):
            yield layer(f"{count}-own{number}-{step}", round(part * own_unit))

    return Shop(tuple(push_image(place.registry, f"shop{count}/app{n}", layers=tuple(layers(n))) for n in range(count)))


def programs(place: Place) -> Sequence[PushedImage]:
    """Push ten images whose layers are compressed as those of real ones are: 400 MB unpacked, or a tenth."""
    size = (4 if place.quick else 40) * MB
    return [push_image(place.registry, f"real/app{n}", layers=(_compressible(f"base{n}", size),)) for n in range(10)]


@functools.lru_cache(maxsize=64)
def _compressible(seed: str, size: int) -> Layer:
    """Put pieces of this Python's own files together: programs, text and data."""
    random, files = Random(seed), _files()  # noqa: S311 - nothing secret
    pieces = []
    for _ in range(size // _SLICE):
        data = files[random.randrange(len(files))]
        at = random.randrange(max(1, len(data) - _SLICE))
        pieces.append(data[at : at + _SLICE].ljust(_SLICE, b"\0"))
    return layer_of(f"opt/{seed}.bin", b"".join(pieces))


@functools.cache
def _files() -> list[bytes]:
    found = Path(sysconfig.get_paths()["stdlib"]).rglob("*")
    large = sorted(path for path in found if path.is_file() and path.stat().st_size > _SLICE)
    return [path.read_bytes() for path in large if path.suffix in {".py", ".pyc", ".so"}]
