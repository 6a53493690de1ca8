"""Reports: a finished run as text. Renderers are pure, so that stdout, a file and a test see the same characters."""

from typing import TYPE_CHECKING

from puller.reports import as_json, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from puller.model import Report

RENDERERS: "dict[str, Callable[[Report], str]]" = {
    "text": text.render,
    "json": as_json.render,
}
"""Every kind of report by the name that `--format` and `--report` know it by."""
