"""The metrics of the last run, as a file for the textfile collector of node_exporter.

A run is a sample, not a counter: all metrics are gauges, and none has a time of its own, which that collector refuses.
"""

from typing import TYPE_CHECKING

from prometheus_client.core import CollectorRegistry, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from puller.reports.groups import is_bad_line
from puller.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from puller.model import PullOutcome, Report

_LAST_SUCCESS = "puller_last_success_timestamp_seconds"
_IMAGE_LAST_SUCCESS = "puller_image_last_success_timestamp_seconds"
_LABELS = ("image", "platform")
_Series = tuple[str, str]


def render(report: "Report", *, before: str = "") -> str:
    """Write the metrics; `before` is what the file held, for what a failed image and a failed run know of last time."""
    registry = CollectorRegistry()
    registry.register(_Metrics(report, before))
    return generate_latest(registry).decode()


class _Metrics:
    def __init__(self, report: "Report", before: str) -> None:
        self._report = report
        self._ended = report.started.timestamp() + report.seconds
        self._before = _samples(before)

    def collect(self) -> "Iterator[Metric]":
        """Give every metric: what prometheus-client asks of a collector."""
        report, ended = self._report, round(self._ended, 3)
        yield _gauge("puller_last_run_timestamp_seconds", "When the last run ended, since 1970.", ended)
        yield _gauge("puller_last_run_success", "1 when every image was there after the last run, else 0.", report.ok)
        last = ended if report.ok else self._before.get((_LAST_SUCCESS, "", ""), 0)
        yield _gauge(_LAST_SUCCESS, "When a run last ended with every image there; 0 for never.", last)
        yield _gauge("puller_last_run_duration_seconds", "How long the last run took.", report.seconds)
        yield _gauge(
            "puller_last_run_downloaded_bytes",
            "Compressed bytes that the last run fetched, as far as the engine told.",
            sum(outcome.bytes for outcome in report.outcomes),
        )
        yield self._images()
        yield self._failures()
        yield self._last_successes()

    def _images(self) -> "Metric":
        family = GaugeMetricFamily(
            "puller_last_run_images", "Images of the last run, by how they ended.", labels=["status"]
        )
        for status, number in self._report.counts.items():
            family.add_metric([status.value], number)
        return family

    def _failures(self) -> "Metric":
        family = GaugeMetricFamily(
            "puller_last_run_failures",
            "Images that were not there after the last run, by the kind of what was in the way.",
            labels=["kind"],
        )
        kinds: dict[str, int] = {}
        for outcome in self._report.outcomes:
            if why := outcome.failure:
                kinds[why.kind.value] = kinds.get(why.kind.value, 0) + 1
        for kind, number in sorted(kinds.items()):
            family.add_metric([kind], number)
        return family

    def _last_successes(self) -> "Metric":
        family = GaugeMetricFamily(
            _IMAGE_LAST_SUCCESS,
            "When a run last ended with this image of its list there; 0 for never.",
            labels=_LABELS,
        )
        for series, ok in _images_of(self._report).items():
            last = round(self._ended, 3) if ok else self._before.get((_IMAGE_LAST_SUCCESS, *series), 0)
            family.add_metric(series, last)
        return family


def _gauge(name: str, words: str, value: float) -> "Metric":
    return GaugeMetricFamily(name, words, value=float(value))


def _images_of(report: "Report") -> dict[_Series, bool]:
    """Say of each series whether all that it stands for is there: images that differ in the digest alone share one."""
    found: dict[_Series, bool] = {}
    for outcome in report.outcomes:
        if not is_bad_line(outcome):
            series = _series(outcome)
            found[series] = found.get(series, True) and outcome.ok
    return found


def _series(outcome: "PullOutcome") -> _Series:
    """Name an image without its digest: a lock that is renewed must not leave a dead series behind each time."""
    return clean(outcome.reference.partition("@")[0]), clean(str(outcome.platform or ""))


def _samples(text: str) -> dict[tuple[str, str, str], float]:
    """Read the metrics of last time; whatever cannot be read is no reason to lose those of this time."""
    try:
        return {
            (sample.name, *(sample.labels.get(label, "") for label in _LABELS)): sample.value  # type: ignore[misc]
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
    except (ValueError, KeyError, IndexError):
        return {}
