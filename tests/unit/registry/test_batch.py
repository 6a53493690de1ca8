"""Asking many registries at once."""

import threading

from puller.errors import RegistryError
from puller.registry.batch import ask_all


def test_answers_come_in_order_and_no_registry_waits_for_another() -> None:
    """One that is slow holds up its own questions only."""
    release = threading.Event()

    def ask(item: int) -> int:
        if item == 0:
            assert release.wait(60)
        if item == 9:
            release.set()
        return item * 2

    assert ask_all([("slow", 0), *(("quick", n) for n in range(1, 10))], ask) == [n * 2 for n in range(10)]


def test_trouble_is_an_answer() -> None:
    """It takes the place of what was asked for."""

    def ask(item: int) -> int:
        if item % 2:
            raise RegistryError("no such thing", status=404)
        return item

    answers = ask_all([("x", n) for n in range(20)], ask)
    assert [isinstance(each, RegistryError) for each in answers] == [bool(n % 2) for n in range(20)]


def test_a_registry_that_is_silent_is_asked_no_more() -> None:
    """A list of hundreds must not wait for hundreds of time limits; others are asked on."""
    asked: list[str] = []

    def ask(item: str) -> str:
        asked.append(item)
        if item == "dead":
            raise RegistryError("nobody answers")
        return item

    answers = ask_all([("dead", "dead")] * 100 + [("well", "well")] * 5, ask)
    assert asked.count("dead") < 10
    assert len([each for each in answers if isinstance(each, RegistryError)]) == 100
    assert answers[-5:] == ["well"] * 5
