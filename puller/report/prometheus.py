"""The metrics of the last run, as a file for the textfile collector of node_exporter.

A run is a sample, not a counter: all metrics are gauges, and none has a time of its own, which that collector refuses.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import CollectorRegistry, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from puller.model import PullOutcome, Report
from puller.report.words import is_bad_line
from puller.text import clean

_LAST_SUCCESS = "puller_last_success_timestamp_seconds"
_IMAGE_LAST_SUCCESS = "puller_image_last_success_timestamp_seconds"
_LABELS = ("image", "platform")
_Series = tuple[str, str]


def render(report: Report, *, name: str = "", before: str = "") -> str:
    """Write the metrics, each with the label `list`: two files in one directory must not say the same thing twice.

    `name` is the label's value, by which people tell one list's runs from another's; `before` is what the file held,
    for what a failed image and a failed run know of last time.
    """
    registry = CollectorRegistry()
    registry.register(_Metrics(report, clean(name), _samples(before)))
    return generate_latest(registry).decode()


class _Metrics:
    """What prometheus-client calls a collector."""

    def __init__(self, report: Report, name: str, before: dict[tuple[str, str, str], float]) -> None:
        self._report = report
        self._name = name
        self._before = before
        self._ended = round(report.started.timestamp() + report.seconds, 3)

    def collect(self) -> "Iterator[Metric]":
        """Give every metric."""
        report = self._report
        last = self._ended if report.ok else self._before.get((_LAST_SUCCESS, "", ""), 0)
        fetched = sum(outcome.bytes for outcome in report.outcomes)
        for metric, words, value in (
            ("puller_last_run_timestamp_seconds", "When the last run ended, since 1970.", self._ended),
            ("puller_last_run_success", "1 when every image was there after the last run, else 0.", report.ok),
            (_LAST_SUCCESS, "When a run last ended with every image there; 0 for never.", last),
            ("puller_last_run_duration_seconds", "How long the last run took.", report.seconds),
            (
                "puller_last_run_downloaded_bytes",
                "Compressed bytes that the last run fetched, as far as the engine told.",
                fetched,
            ),
        ):
            yield self._gauge(metric, words, (), {(): value})
        yield self._gauge(
            "puller_last_run_images",
            "Images of the last run, by how they ended.",
            ("status",),
            {(status.value,): number for status, number in report.counts.items()},
        )
        yield self._gauge(
            "puller_last_run_failures",
            "Images that were not there after the last run, by the kind of what was in the way.",
            ("kind",),
            _kinds(report),
        )
        yield self._gauge(
            _IMAGE_LAST_SUCCESS,
            "When a run last ended with this image of its list there; 0 for never.",
            _LABELS,
            {series: self._last(series, ok=ok) for series, ok in _images_of(report).items()},
        )

    def _last(self, series: _Series, *, ok: bool) -> float:
        return self._ended if ok else self._before.get((_IMAGE_LAST_SUCCESS, *series), 0)

    def _gauge(self, metric: str, words: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> "Metric":
        family = GaugeMetricFamily(metric, words, labels=("list", *labels))
        for of, value in values.items():
            family.add_metric((self._name, *of), float(value))
        return family


def _kinds(report: Report) -> Mapping[tuple[str], int]:
    kinds = Counter((outcome.failure.kind.value,) for outcome in report.outcomes if outcome.failure)
    return dict(sorted(kinds.items()))


def _images_of(report: Report) -> dict[_Series, bool]:
    """Say of each series whether all that it stands for is there: images that differ in the digest alone share one."""
    found: dict[_Series, bool] = {}
    for outcome in report.outcomes:
        if not is_bad_line(outcome):
            series = _series(outcome)
            found[series] = found.get(series, True) and outcome.ok
    return found


def _series(outcome: PullOutcome) -> _Series:
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
