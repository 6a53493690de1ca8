"""The HTML report: `page.html` with style and script inside, and a policy that allows nothing else."""

from base64 import b64encode
from functools import cache, partial
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup, escape

from puller.model import Report
from puller.report.hosts import fleet_stops, hosts_verdict
from puller.report.html.timeline import LABELS, describe
from puller.report.html.view import OUTLOOK, View, amount
from puller.report.words import KEPT, cancelled, lacking, retry_time, saved_bytes, status_words, warnings
from puller.text import clean, counted, format_seconds, stop_words, timestamp

_ASSETS = files("puller.report.html")
_MANY = 100
"""With more rows, registries are folded, and browsers lay out only the visible rows."""
_LONGEST_TAG = 24
"""Characters of a tag that are never cut; the policy allows no style of a single row."""


def render(report: Report, *, run: str = "") -> str:
    """Return the page. The template engine escapes untrusted text, and none of it is part of the script.

    For `run`, see `next_commands`.
    """
    outcomes = report.outcomes
    return _template().render(
        view=View(report, run), report=report, cancelled=cancelled(outcomes), warnings=warnings(outcomes)
    )


@cache
def _template() -> Template:
    style, script = _asset("page.css"), _asset("page.js")
    style += "\n".join(f".t{width} {{ --tag: {width}ch; }}" for width in range(_LONGEST_TAG + 1))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "clean": clean,
        "code": _code,
        "bytes": partial(amount, seconds=0),
        "counted": counted,
        "seconds": format_seconds,
        "stop_words": stop_words,
        "time": timestamp,
    }
    environment.globals |= {
        "style": Markup(style),  # noqa: S704 - a file of this package
        "script": Markup(script),  # noqa: S704 - likewise
        "style_hash": _hash(style),
        "script_hash": _hash(script),
        "kept": KEPT,
        "lacking": lacking,
        "hosts_verdict": hosts_verdict,
        "fleet_stops": fleet_stops,
        "legend": LABELS,
        "outlook": OUTLOOK,
        "amount": amount,
        "describe": describe,
        "retry_time": retry_time,
        "status_words": status_words,
        "saved_bytes": saved_bytes,
        "many": _MANY,
        "longest_tag": _LONGEST_TAG,
    }
    return environment.from_string(_asset("page.html"))


def _code(text: str) -> Markup:
    """Format text between backticks as code."""
    pieces = text.split("`")
    shown = (Markup("<code>{}</code>").format(piece) if at % 2 else escape(piece) for at, piece in enumerate(pieces))
    return Markup().join(shown) if len(pieces) % 2 else escape(text)


def _asset(name: str) -> str:
    return _ASSETS.joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    """Return the hash of an inline script or style for the Content-Security-Policy."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
