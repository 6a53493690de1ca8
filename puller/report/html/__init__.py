"""The report as one page that needs nothing else: no network, no file beside it."""

from puller.report.html.page import render

__all__ = ["render"]
