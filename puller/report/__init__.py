"""Renders a finished run. Renderers are pure functions from a report to text."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from puller.model import Report
from puller.report import json as as_json, text

LARGEST_SUMMARY = 1024 * 1024
"""Largest summary of a step in bytes; GitHub shows nothing of a larger one."""


def _lazy(module: str) -> Callable[..., str]:
    """Return a renderer whose module is imported at its first use: few runs need more than one or two of them."""

    def render(report: Report, **options: Any) -> str:
        rendered: str = import_module(f"puller.report.{module}").render(report, **options)
        return rendered

    return render


RENDERERS: dict[str, Callable[..., str]] = {
    "text": text.render,
    "json": as_json.render,
    "junit": _lazy("junit"),
    "markdown": _lazy("markdown"),
    "prometheus": _lazy("prometheus"),
    "failed": _lazy("failed_list"),
    "html": _lazy("html"),
}
"""Renderers by the names that `--format` and `--report` use. Options are keyword arguments with defaults."""
