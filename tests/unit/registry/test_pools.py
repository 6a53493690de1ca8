"""Registry pools: how many pulls are in flight, and who waits for whom."""

import threading
from concurrent.futures import wait

import pytest

from puller.registry.pools import RegistryPools, SharedLimits

REGISTRIES = ("a.io", "b.io", "c.io")


class Crowd:
    """Counts how many calls are inside at once; a call leaves when `leave` is set."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.leave = threading.Event()
        self.inside: dict[str, int] = dict.fromkeys(REGISTRIES, 0)
        self.most: dict[str, int] = dict.fromkeys((*REGISTRIES, ""), 0)

    def enter(self, registry: str, pools: RegistryPools) -> None:
        """Take a slot, be counted, stay until everybody may leave."""
        with pools.slots:
            with self.changed:
                self.inside[registry] += 1
                self.most[registry] = max(self.most[registry], self.inside[registry])
                self.most[""] = max(self.most[""], sum(self.inside.values()))
                self.changed.notify_all()
            assert self.leave.wait(60)
            with self.changed:
                self.inside[registry] -= 1

    def await_inside(self, number: int) -> None:
        """Wait until that many are inside."""
        with self.changed:
            assert self.changed.wait_for(lambda: sum(self.inside.values()) >= number, 60)


@pytest.mark.parametrize(
    ("jobs", "per_registry", "total", "each"),
    [(1, None, 1, 1), (4, None, 4, 4), (9, 2, 6, 2), (4, 2, 4, 2), (2, 5, 2, 2)],
)
def test_as_many_are_in_flight_as_was_asked_for(jobs: int, per_registry: int | None, total: int, each: int) -> None:
    """`--jobs` bounds all registries together, `--per-registry` each one; and the slots are really used."""
    pools, crowd = RegistryPools(jobs, per_registry), Crowd()
    futures = [pools.pulls.submit(name, crowd.enter, name, pools) for _ in range(5) for name in REGISTRIES]
    crowd.await_inside(total)
    crowd.leave.set()
    done, _ = wait(futures, 60)
    pools.close()
    assert len(done) == 15
    assert [future.exception() for future in futures] == [None] * 15
    assert crowd.most[""] == total
    assert max(crowd.most[name] for name in REGISTRIES) <= each


def test_a_slow_registry_holds_nobody_else() -> None:
    """With one registry that answers never and a bound of one each, all images of another go through."""
    pools, never = RegistryPools(2, per_registry=1), threading.Event()

    def pull(gate: threading.Event | None) -> str:
        with pools.slots:
            if gate:
                gate.wait(60)
            return "here"

    slow = [pools.pulls.submit("slow.io", pull, never) for _ in range(20)]
    quick = [pools.pulls.submit("quick.io", pull, None) for _ in range(20)]
    assert [future.result(60) for future in quick] == ["here"] * 20
    assert not any(future.done() for future in slow)
    never.set()
    wait(slow, 60)
    pools.close()


def test_a_shared_limit_holds_over_sessions_and_keeps_no_slot_of_a_session_busy() -> None:
    """While another session uses the limited registry, this one's only slot is free for another registry."""
    limits = SharedLimits({"A.io": 1})
    other, mine = (RegistryPools(1, limits=limits) for _ in range(2))
    leave, inside = threading.Event(), threading.Event()

    def hold() -> None:
        with other.slot("a.io"):
            inside.set()
            assert leave.wait(60)

    def pull(pools: RegistryPools, registry: str) -> str:
        with pools.slot(registry):
            return registry

    held = other.pulls.submit("a.io", hold)
    assert inside.wait(60)
    limited = [mine.pulls.submit("a.io", pull, mine, "a.io") for _ in range(3)]
    free = [mine.pulls.submit("b.io", pull, mine, "b.io") for _ in range(3)]
    assert [future.result(60) for future in free] == ["b.io"] * 3
    assert not any(future.done() for future in limited)
    leave.set()
    assert held.result(60) is None
    assert [future.result(60) for future in limited] == ["a.io"] * 3
    mine.close()
    other.close()


def test_a_lane_keeps_its_order() -> None:
    """Images of one registry begin in list order."""
    pools, seen = RegistryPools(1), list[int]()
    wait([pools.pulls.submit("a.io", seen.append, number) for number in range(50)], 60)
    pools.close()
    assert seen == list(range(50))


def test_closing_starts_nothing_more() -> None:
    """What is queued when the pools close is cancelled; what is in flight ends by itself."""
    pools, crowd = RegistryPools(1), Crowd()
    first, second = (pools.pulls.submit("a.io", crowd.enter, "a.io", pools) for _ in range(2))
    crowd.await_inside(1)
    pools.close()
    assert second.cancelled()
    crowd.leave.set()
    assert first.result(60) is None


def test_threads_are_few_whatever_the_list() -> None:
    """3000 images of 300 registries, none of which answers."""
    pools, leave, before = RegistryPools(jobs=3), threading.Event(), threading.active_count()
    futures = []
    for number in range(3000):
        name = f"r{number % 300}.io"
        futures += [pools.checks.submit(name, leave.wait, 60), pools.pulls.submit(name, leave.wait, 60)]
    assert threading.active_count() - before < 350
    leave.set()
    wait(futures, 60)
    pools.close()
