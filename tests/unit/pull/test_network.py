"""The network of this host is down: it is waited for, as an engine is, and costs no image."""

import time

import pytest

from puller.cancellation import Cancellation
from puller.errors import EngineError
from puller.model import EngineResult, Status
from puller.settings import RetryPolicy, Settings, Timeouts
from tests.lab.fakes import PULLED, FakeBackend, pull_all
from tests.lab.samples import request

OUTAGE = 2.0
"""Seconds."""


@pytest.mark.parametrize("words", ["connect: network is unreachable", "connect: no route to host"])
def test_an_outage_of_all_registries_is_waited_for(words: str) -> None:
    """Neither the retries nor the breaker are used up by it."""
    back = time.monotonic() + OUTAGE

    def pull(cancel: Cancellation) -> EngineResult:
        cancel.check()
        if time.monotonic() < back:
            raise EngineError(f'Get "http://127.0.0.1:5000/v2/": dial tcp 127.0.0.1:5000: {words}')
        return PULLED

    requests = [request(f"127.0.0.1:{port}/app{number}:v1") for port in (5000, 5001) for number in range(10)]
    settings = Settings(jobs=4, retry=RetryPolicy(1, 0.1, second_pass=False), timeouts=Timeouts(stall=8))
    report = pull_all(requests, FakeBackend(otherwise=pull), settings)
    assert {outcome.status for outcome in report.outcomes} == {Status.PULLED}
    assert report.seconds < OUTAGE + 5


def test_one_registry_of_two_that_is_down_is_not_waited_for() -> None:
    """That is the registry's trouble, and no reason to keep the other images waiting."""
    down = EngineError('Get "http://a.io/v2/": dial tcp 10.0.0.1:80: connect: connection refused')
    requests = [request(f"{name}.io/app{number}:v1") for name in "ab" for number in range(4)]
    script = {each.reference.text: down for each in requests[:4]}
    settings = Settings(jobs=4, retry=RetryPolicy(0, 0.1, second_pass=False))
    report = pull_all(requests, FakeBackend(script), settings)
    assert [outcome.status for outcome in report.outcomes] == [Status.FAILED] * 4 + [Status.PULLED] * 4
    assert report.seconds < 5
