"""The page itself: `page.html` filled in, with style and script inside and a policy that lets in nothing else."""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup, escape

from puller.model import Report
from puller.report.html.timeline import WORDS, story
from puller.report.html.view import OUTLOOK, View
from puller.text import clean, format_bytes, format_seconds, timestamp

_ASSETS = files("puller.report.html")
_MANY = 200
"""More rows are laid out when they come into sight; a few are there for everybody, screenshots of a whole page too."""


def render(report: Report) -> str:
    """Fill in the page. Whatever comes from outside is escaped by the template engine and never part of a script."""
    return _template().render(view=View(report), report=report)


@cache
def _template() -> "Template":
    style, script = _asset("page.css"), _asset("page.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "clean": clean,
        "code": _code,
        "bytes": _bytes,
        "seconds": format_seconds,
        "time": timestamp,
    }
    environment.globals |= {
        "style": Markup(style),  # noqa: S704 - a file of ours
        "script": Markup(script),  # noqa: S704 - likewise
        "style_hash": _hash(style),
        "script_hash": _hash(script),
        "legend": WORDS,
        "outlook": OUTLOOK,
        "story": story,
        "many": _MANY,
    }
    return environment.from_string(_asset("page.html"))


def _code(text: str) -> Markup:
    """Show what stands between backticks as what to type."""
    pieces = text.split("`")
    shown = (Markup("<code>{}</code>").format(piece) if at % 2 else escape(piece) for at, piece in enumerate(pieces))
    return Markup().join(shown) if len(pieces) % 2 else escape(text)


def _bytes(count: int) -> str:
    """Write a number of bytes; an engine that tells none has not fetched none."""
    return format_bytes(count) if count else "–"  # noqa: RUF001 - an empty cell


def _asset(name: str) -> str:
    return _ASSETS.joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    """Name an inline script or style the way a Content-Security-Policy lets it in."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
