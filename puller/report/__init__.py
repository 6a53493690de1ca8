"""Reports: a finished run as text. Renderers are pure, so that stdout, a file and a test see the same characters."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from puller.model import Report
from puller.report import json as as_json, text


def _at_need(module: str) -> Callable[..., str]:
    """Give the renderer of a module that is imported when it renders: few runs want more than one or two kinds."""

    def render(report: Report, **options: Any) -> str:
        written: str = import_module(f"puller.report.{module}").render(report, **options)
        return written

    return render


RENDERERS: dict[str, Callable[..., str]] = {
    "text": text.render,
    "json": as_json.render,
    "junit": _at_need("junit"),
    "markdown": _at_need("markdown"),
    "prometheus": _at_need("prometheus"),
    "failed": _at_need("failed_list"),
    "html": _at_need("html"),
}
"""Every kind of report by the name that `--format` and `--report` know it by.

Each takes the report; what else it may be told are keyword arguments with defaults."""
