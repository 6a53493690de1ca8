"""The metrics of the last run, as Prometheus' own parser reads them."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from puller.errors import FailureKind
from puller.failure import failure
from puller.model import Attempt, PullOutcome, Report, Status
from puller.report import prometheus
from tests.lab.samples import DIGEST, STARTED, outcome, report

Samples = dict[tuple[str, tuple[str, ...]], float]
LAST = "puller_image_last_success_timestamp_seconds"
NGINX = "docker.io/library/nginx:1.27"


def samples(text: str) -> Samples:
    """Read metrics: by name and the values of the labels."""
    return {
        (sample.name, tuple(value for label, value in sample.labels.items() if label != "list")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def later(made: Report, days: int) -> Report:
    """Run again after some days."""
    return made._replace(started=made.started.replace(day=made.started.day + days))


def ended(made: Report) -> float:
    """Say when a run ended."""
    return round(made.started.timestamp() + made.seconds, 3)


def test_a_run_is_told_in_numbers() -> None:
    """When, how long, whether, how many of each, and what was in the way."""
    made = report(seconds=12.5)
    found = samples(prometheus.render(made))
    assert found["puller_last_run_timestamp_seconds", ()] == STARTED.timestamp() + 12.5
    assert found["puller_last_run_duration_seconds", ()] == 12.5
    assert found["puller_last_run_success", ()] == 0
    ends = [status for status in Status if status is not Status.PENDING]
    assert [found["puller_last_run_images", (status.value,)] for status in ends] == [1, 1, 1, 1, 1]
    assert found["puller_last_run_failures", ("not_found",)] == 1
    assert found["puller_last_run_failures", ("cancelled",)] == 1
    assert samples(prometheus.render(report(outcome())))["puller_last_run_success", ()] == 1


def test_bytes_are_summed() -> None:
    """All tries of all images."""
    one = outcome()._replace(attempts=(Attempt(0, 1, None, bytes=1000), Attempt(1, 1, None, bytes=20)))
    assert samples(prometheus.render(report(one, one)))["puller_last_run_downloaded_bytes", ()] == 2040


def test_every_metric_is_explained_and_a_gauge() -> None:
    """A person reads the help; names have a base unit and a type."""
    families = list(text_string_to_metric_families(prometheus.render(report())))
    assert len(families) == 9
    for family in families:
        assert family.name.startswith("puller_")
        assert family.type == "gauge"
        assert family.documentation.endswith(".")
        assert all(sample.timestamp is None for sample in family.samples)


def test_the_last_success_survives_a_run_in_which_the_image_fails() -> None:
    """Monday it was pulled, Tuesday it failed: Tuesday's file says Monday."""
    monday = report(outcome("nginx:1.27"), outcome("redis:7"))
    tuesday = later(report(outcome("nginx:1.27", Status.FAILED), outcome("redis:7")), 1)
    found = samples(prometheus.render(tuesday, before=prometheus.render(monday)))
    assert found[LAST, (NGINX, "")] == ended(monday)
    assert found[LAST, ("docker.io/library/redis:7", "")] == ended(tuesday)
    assert found["puller_last_success_timestamp_seconds", ()] == ended(monday)

    wednesday = later(tuesday, 1)
    again = samples(prometheus.render(wednesday, before=prometheus.render(tuesday, before=prometheus.render(monday))))
    assert again[LAST, (NGINX, "")] == ended(monday)


def test_never_is_zero_and_what_left_the_list_is_forgotten() -> None:
    """An image that never came has a series to alert on; one that nobody wants any more has none."""
    before = prometheus.render(report(outcome("nginx:1.27")))
    found = samples(prometheus.render(later(report(outcome("nope", Status.CANCELLED)), 1), before=before))
    assert found[LAST, ("docker.io/library/nope:latest", "")] == 0
    assert (LAST, (NGINX, "")) not in found


def test_a_digest_makes_no_series() -> None:
    """A lock that is renewed keeps its series; what differs in the digest alone is there when all of it is."""
    pinned = outcome(f"nginx:1.27@{DIGEST}")
    other = outcome(f"nginx:1.27@{DIGEST[:-1]}0", Status.FAILED)
    one, both = report(pinned), report(pinned, other)
    assert samples(prometheus.render(one))[LAST, (NGINX, "")] == ended(one)
    assert samples(prometheus.render(both))[LAST, (NGINX, "")] == 0
    assert "sha256" not in prometheus.render(both)


def test_a_platform_is_a_series_of_its_own() -> None:
    """One may fail while the other is there."""
    made = report(outcome(platform="linux/arm64"), outcome(status=Status.FAILED))
    found = samples(prometheus.render(made))
    assert (found[LAST, (NGINX, "linux/arm64")], found[LAST, (NGINX, "")]) == (ended(made), 0)


def test_a_bad_line_is_counted_and_is_no_image() -> None:
    """It has no name that a series could have."""
    bad = PullOutcome("x y", ("x y",), Status.FAILED, failure=failure(FailureKind.BAD_REFERENCE, "a.txt:1: no"))
    found = samples(prometheus.render(report(bad)))
    assert found["puller_last_run_failures", ("bad_reference",)] == 1
    assert not [name for name, _ in found if name == LAST]


def test_every_series_names_its_list() -> None:
    """node_exporter refuses two files that say the same thing of the same series: two lists differ in a label."""
    families = [*text_string_to_metric_families(prometheus.render(report(), name='night "ly"'))]
    assert {sample.labels["list"] for family in families for sample in family.samples} == {'night "ly"'}
    monday, tuesday = report(outcome()), later(report(outcome(status=Status.FAILED)), 1)
    before = prometheus.render(monday, name="nightly")
    assert samples(prometheus.render(tuesday, name="nightly", before=before))[LAST, (NGINX, "")] == ended(monday)


def test_no_success_is_of_the_future() -> None:
    """A clock that was ahead must not hide later failures from an alert on the age of the last success."""
    before = prometheus.render(later(report(outcome("nginx:1.27")), 5))
    failed = report(outcome("nginx:1.27", Status.FAILED))
    found = samples(prometheus.render(failed, before=before))
    assert found[LAST, (NGINX, "")] == found["puller_last_success_timestamp_seconds", ()] == ended(failed)


@pytest.mark.parametrize("before", ["", "{", 'a{b="c', "\x00", LAST, f'{LAST}{{image="x"}} one\n', "<html>"])
def test_a_file_that_is_none_of_ours_costs_nothing(before: str) -> None:
    """Whatever stood there, this run's numbers are written."""
    assert samples(prometheus.render(report(), before=before))["puller_last_run_success", ()] == 0
