"""Observers: told everything, able to break nothing."""

from puller.events import Event, RunStarted, fan_out, ignore

EVENT = RunStarted(1, "engine")


def test_every_observer_is_told_in_order() -> None:
    """Observers see each event, in the order in which they were given."""
    seen: list[tuple[str, Event]] = []
    emit = fan_out(lambda event: seen.append(("first", event)), ignore, lambda event: seen.append(("last", event)))
    emit(EVENT)
    assert seen == [("first", EVENT), ("last", EVENT)]


def test_a_broken_observer_costs_nobody_anything() -> None:
    """One that raises keeps neither the caller nor the next observer from going on."""
    seen: list[Event] = []

    def broken(_event: Event) -> None:
        raise RuntimeError("the display is gone")

    fan_out(broken, seen.append)(EVENT)
    assert seen == [EVENT]


def test_nobody_need_observe() -> None:
    """No observer at all is fine."""
    fan_out()(EVENT)
