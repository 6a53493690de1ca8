"""Metrics of the last run, for the textfile collector of node_exporter.

All metrics are gauges, because each run is a sample, and have no timestamp, which the collector rejects.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from puller.model import PullOutcome, Report
from puller.model.hosts import HostState
from puller.report.words import is_bad_line
from puller.text import clean

_LAST_SUCCESS = "puller_last_success_timestamp_seconds"
_IMAGE_LAST_SUCCESS = "puller_image_last_success_timestamp_seconds"
_LABELS = ("image", "platform", "host")
"""Those of an image; the last only in a run over several hosts."""
_UNFINISHED = (HostState.RUNNING, HostState.DEFERRED)
"""States that no host has when a run has ended."""
_Series = tuple[str, str, str]


def render(report: Report, *, name: str = "", before: str = "") -> str:
    """Return the metrics, each with the label `list`, so that the series of two files in one directory differ.

    `name` is the value of that label. `before` is the previous content of the file: a failed image or run keeps its
    last success from there.
    """
    ended = round(report.started.timestamp() + report.seconds, 3)
    return generate_latest(_Collector([*_metrics(report, ended, clean(name), _samples(before, ended))])).decode()


def render_fleet(
    connected: bool,  # noqa: FBT001 - one of four values
    totals: Mapping[str, int],
    hosts: Mapping[tuple[str, str], float],
    pulls: Mapping[tuple[str, str], float],
) -> str:
    """Return the metrics of a controller: whether it has a broker, what it did, and its runs by state and status.

    `totals` has the tasks and results since its start, the others numbers by run and state.
    """
    up = GaugeMetricFamily("puller_controller_connected", "1 if the controller is connected to the broker, else 0.")
    up.add_metric((), float(connected))
    done = CounterMetricFamily(
        "puller_controller_messages", "Messages since the start, by what became of them.", labels=("kind",)
    )
    for kind, number in totals.items():
        done.add_metric((kind,), float(number))
    families: list[Metric] = [up, done]
    for name, words, label, values in (
        ("puller_run_hosts", "Hosts of a run, by state.", "state", hosts),
        ("puller_run_pulls", "Images of a run on its hosts, by status.", "status", pulls),
    ):
        family = GaugeMetricFamily(name, words, labels=("run", label))
        for (run, state), value in values.items():
            family.add_metric((run, state), value)
        families.append(family)
    return generate_latest(_Collector(families)).decode()


class _Collector(Collector):
    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Sequence[Metric]:
        return self._metrics


def _metrics(
    report: Report, ended: float, name: str, before: Mapping[tuple[str, str, str, str], float]
) -> Iterator[Metric]:
    success = ended if report.ok else before.get((_LAST_SUCCESS, "", "", ""), 0)
    images = {
        series: ended if ok else before.get((_IMAGE_LAST_SUCCESS, *series), 0)
        for series, ok in _images_of(report).items()
    }
    fleet = report.fleet
    labels = _LABELS if fleet else _LABELS[:-1]
    counts = {state: len(fleet.in_state(state)) for state in HostState} if fleet else {}
    hosts = {(state.value,): number for state, number in counts.items() if number or state not in _UNFINISHED}
    kinds = Counter((outcome.failure.kind.value,) for outcome in report.outcomes if outcome.failure)
    rows: tuple[tuple[str, str, tuple[str, ...], Mapping[Any, float]], ...] = (
        ("puller_last_run_timestamp_seconds", "End of the last run, in seconds since 1970.", (), {(): ended}),
        ("puller_last_run_success", "1 if no image failed in the last run, else 0.", (), {(): report.ok}),
        (_LAST_SUCCESS, "End of the last run in which no image failed; 0 if there was none.", (),
         {(): success}),
        ("puller_last_run_duration_seconds", "Seconds from the start to the end of the last run.", (),
         {(): report.seconds}),
        ("puller_last_run_downloaded_bytes", "Compressed bytes downloaded by the last run, each byte once.",
         (), {(): report.bytes}),
        ("puller_last_run_images", "Images of the last run, by status.", ("status",),
         {(status.value,): number for status, number in report.counts.items()}),
        ("puller_last_run_failures", "Images that failed in the last run, by kind of failure.", ("kind",),
         dict(sorted(kinds.items()))),
        ("puller_last_run_warnings", "Images of the last run that are present with a warning.", (),
         {(): sum(bool(outcome.warning) for outcome in report.outcomes)}),
        (_IMAGE_LAST_SUCCESS, "End of the last run in which this image did not fail; 0 if there was none.", labels,
         {series[: len(labels)]: moment for series, moment in images.items()}),
        ("puller_last_run_hosts", "Hosts of the last run, by state.", ("state",), hosts),
    )  # fmt: skip
    for metric, description, names, values in rows if fleet else rows[:-1]:
        family = GaugeMetricFamily(metric, description, labels=("list", *names))
        for label_values, value in values.items():
            family.add_metric((name, *label_values), float(value))
        yield family


def _images_of(report: Report) -> dict[_Series, bool]:
    """Return for each series whether all of its images are present: images that differ only in the digest share one."""
    found: dict[_Series, bool] = {}
    for outcome in report.outcomes:
        if not is_bad_line(outcome):
            series = _series(outcome)
            found[series] = found.get(series, True) and outcome.ok
    return found


def _series(outcome: PullOutcome) -> _Series:
    """Return the labels of an image, without its digest: otherwise every new lock file would add a series."""
    return clean(outcome.reference.partition("@")[0]), clean(str(outcome.platform or "")), clean(outcome.host or "")


def _samples(text: str, now: float) -> dict[tuple[str, str, str, str], float]:
    """Parse the metrics of the previous run; invalid ones are ignored, and no time is later than `now`."""
    try:
        return {
            (sample.name, *(sample.labels.get(label, "") for label in _LABELS)): min(sample.value, now)  # type: ignore[misc]
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
    except (ValueError, KeyError, IndexError):
        return {}
