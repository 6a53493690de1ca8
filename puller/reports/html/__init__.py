"""The report as one page that needs nothing else: no network, no file beside it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from puller.model import Report


def render(report: "Report") -> str:
    """Write the report as a page: what failed first, then the run as a waterfall."""
    from puller.reports.html.page import write  # noqa: PLC0415 - most runs write no page, and jinja2 takes 50 ms

    return write(report)
