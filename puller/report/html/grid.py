"""The grid of the page: a row for each host, a column for each image."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from puller.model import PullOutcome, Report
from puller.report.hosts import host_rows, spread
from puller.report.words import bare_name, status_words
from puller.text import clean


class GridCell(NamedTuple):
    """One image on one host."""

    status: str
    title: str
    """The host, the image and what became of it."""
    number: int
    """That of its row; 0 if it has none."""


class GridRow(NamedTuple):
    """One host."""

    host: str
    state: str
    state_words: str
    title: str
    images: str
    cells: list[GridCell]


class Grid:
    """The hosts of a run, problems first, and its images in the order of the list."""

    def __init__(self, report: Report, numbers: Mapping[int, int]) -> None:
        """`numbers` are those of the page's rows, by the `id` of their outcomes."""
        found = spread([each for each in report.outcomes if each.host])
        failed = Counter((each.reference, each.platform) for each in report.failed)
        self.columns = [(image, failed[image.reference, image.platform]) for image, _ in found]
        """Each image, with the number of hosts that failed to pull it."""
        cells = {(each.host, each.reference, each.platform): each for each in report.outcomes}
        self.rows = []
        for host, (state, name, present, _, _, why) in host_rows(report):
            mine = [cells.get((host.name, each.reference, each.platform)) for each, _ in self.columns]
            row = [_cell(name, each, numbers) for each in mine if each]
            self.rows.append(GridRow(name, host.state.value, state, clean(f"{host.url} {why}").strip(), present, row))


def _cell(host: str, outcome: PullOutcome, numbers: Mapping[int, int]) -> GridCell:
    why = outcome.failure.title if outcome.failure else status_words(outcome.status, of_hosts=True)
    return GridCell(outcome.status.value, f"{host}: {bare_name(outcome)}: {why}", numbers.get(id(outcome), 0))
