"""The order of the list: puller pulls in it, so a list in another order shows what another order would bring."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from scripts.benchmark.contender import OTHER
from scripts.benchmark.content import MB, shop
from scripts.benchmark.scenario import Scenario, Trial

if TYPE_CHECKING:
    from scripts.benchmark.contender import Contender
    from scripts.benchmark.place import Place
    from scripts.benchmark.sample import Sample


def scenarios() -> tuple[Scenario, ...]:
    """All of them."""
    return tuple(
        Scenario(
            f"order-{count}-{'slow' if megabytes else 'fast'}",
            f"{count} images of real sizes, {size} MB, "
            f"{f'{megabytes} MB/s a connection' if megabytes else 'a fast registry'}: orders of the list",
            partial(_order, count, size * MB, megabytes * MB),
            rounds=3 if count == 20 else 2,
        )
        for count, size in ((20, 340), (200, 340))
        for megabytes in (2, 0)
    )


def _order(count: int, size: int, rate: int, place: Place) -> Trial:
    address = place.wire(rate).address if rate else place.registry.address
    orders = shop(place, 20 if place.quick else count, size).orders()
    names = {name: place.names([image.at(address) for image in images]) for name, images in orders.items()}
    contenders = tuple(place.contenders.puller("-j8", name=name) for name in orders)

    def run(contender: Contender) -> Sample:
        place.clear(contender)
        listed = names[contender.name.removesuffix(OTHER)]
        sample = place.run(contender, listed)
        place.see_all(contender, listed)
        return sample

    return Trial(contenders, run, count, warm_up=False)
