"""The network of this host is down: it is waited for, as an engine is, and costs no image."""

from puller.errors import EngineError
from puller.model import Status
from puller.settings import RetryPolicy, Settings
from tests.lab.fakes import FakeBackend, pull_all
from tests.lab.samples import request


def test_one_registry_of_two_that_is_down_is_not_waited_for() -> None:
    """That is the registry's trouble, and no reason to keep the other images waiting."""
    down = EngineError('Get "http://a.io/v2/": dial tcp 10.0.0.1:80: connect: connection refused')
    requests = [request(f"{name}.io/app{number}:v1") for name in "ab" for number in range(4)]
    script = {each.reference.text: down for each in requests[:4]}
    settings = Settings(jobs=4, retry=RetryPolicy(0, 0.1, second_pass=False))
    report = pull_all(requests, FakeBackend(script), settings)
    assert [outcome.status for outcome in report.outcomes] == [Status.FAILED] * 4 + [Status.PULLED] * 4
    assert report.seconds < 5
