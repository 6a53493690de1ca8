"""The circuit breaker: when a registry counts as down, and what it takes to be asked again."""

import threading

import pytest

from puller.errors import FailureKind as Kind
from puller.failure import Failure, failure
from puller.registry.health import CircuitBreaker

REFUSED = failure(Kind.CONNECTION_REFUSED, "connection refused")


class Probe:
    """Counts how often it is asked, and answers as it is told."""

    def __init__(self, *, answer: bool) -> None:
        self.asked = 0
        self.answer = answer

    def __call__(self) -> bool:
        """Answer."""
        self.asked += 1
        return self.answer


def broken(probe: Probe, *failures: Failure | None, limit: int = 3) -> CircuitBreaker:
    """Make a breaker that has seen these attempts."""
    breaker = CircuitBreaker(limit, probe)
    for each in failures:
        breaker.record(each)
    return breaker


def test_a_registry_that_answers_is_never_probed() -> None:
    """Failures below the limit cost no probe."""
    probe = Probe(answer=False)
    assert broken(probe, REFUSED, REFUSED).admits()
    assert probe.asked == 0


@pytest.mark.parametrize("kind", [Kind.CONNECTION_REFUSED, Kind.DNS_FAILURE, Kind.STALLED, Kind.CONNECTION_RESET])
def test_failures_in_a_row_open_it(kind: Kind) -> None:
    """After the limit a try is worth making only when a probe finds the registry."""
    probe = Probe(answer=False)
    breaker = broken(probe, *[failure(kind, "words")] * 3)
    assert not breaker.admits()
    assert (probe.asked, breaker.last) == (1, failure(kind, "words"))


@pytest.mark.parametrize("between", [None, failure(Kind.NOT_FOUND, "x"), failure(Kind.REGISTRY_5XX, "503")])
def test_any_answer_starts_the_count_anew(between: Failure | None) -> None:
    """A success, a refusal, an error of the registry: somebody is there."""
    probe = Probe(answer=False)
    assert broken(probe, REFUSED, REFUSED, between, REFUSED, REFUSED).admits()
    assert probe.asked == 0


def test_each_further_try_is_preceded_by_a_probe() -> None:
    """A probe that finds the registry lets one try through, and does not close the breaker."""
    probe = Probe(answer=True)
    breaker = broken(probe, *[REFUSED] * 3)
    assert [breaker.admits() for _ in range(4)] == [True] * 4
    assert probe.asked == 4
    breaker.record(None)
    assert breaker.admits()
    assert probe.asked == 4


def test_many_images_share_one_probe_that_found_nobody() -> None:
    """Hundreds of images that are left fail at once, and not after a probe each."""
    probe = Probe(answer=False)
    breaker = broken(probe, *[REFUSED] * 3)
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda: answers.append(breaker.admits())) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [False] * 20
    assert probe.asked == 1
