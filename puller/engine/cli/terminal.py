"""The output of docker, podman and nerdctl during a pull; docker prints byte counts only to a terminal."""

import re
from typing import NamedTuple

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
_DRAWING = re.compile(r"\x1b\[\d*[AK]")
"""Cursor up, or erase the line."""
_LAYER = re.compile(r"([0-9a-f]{12}): (.+)")
_AMOUNT = r"(\d{1,15}(?:\.\d{1,15})?)([kMGTP]?)B"
_PROGRESS = re.compile(
    # A progress bar, an amount with or without a total, or the seconds that unpacking has taken so far.
    rf"\s{{1,9}}(?:\[[=> ]{{0,99}}\]\s{{0,9}})?(?:{_AMOUNT}(?:/{_AMOUNT})?|\d{{1,15}}(?:/\d{{1,15}})? s)(?:\s|$)"
)
_BLOB = re.compile(r"(?:Copying blob (?:sha256:)?|layer-sha256:)([0-9a-f]{12})")
_ELAPSED = re.compile(r"\s*elapsed:")
_LONGEST = 4096
"""Characters of a line that are read."""
_UNITS = {unit: 1000**power for power, unit in enumerate(("", "k", "M", "G", "T", "P"))}


class Message(NamedTuple):
    """One line of a program: about a layer where it has an ID, else about the image."""

    status: str
    layer: str = ""
    current: int = 0
    total: int = 0


def is_drawing(line: str) -> bool:
    """Tell whether a line moves the cursor: a program that does so prints byte counts."""
    return "\x1b" in line and _DRAWING.search(line) is not None


def plain(text: str) -> str:
    """Remove terminal escape sequences."""
    return _ESCAPE.sub("", text) if "\x1b" in text else text


def read(line: str) -> Message | None:
    """Read a line of docker, podman or nerdctl; None where it says nothing."""
    line = plain(line[:_LONGEST]).strip()
    if not line or _ELAPSED.match(line):  # nerdctl prints the time even when nothing happens
        return None
    if match := _LAYER.fullmatch(line):
        layer, rest = match.groups()
        if progress := _PROGRESS.search(rest):
            done, done_unit, whole, whole_unit = progress.groups()
            return Message(rest[: progress.start()], layer, _bytes(done, done_unit), _bytes(whole, whole_unit))
        return Message(rest, layer)
    if match := _BLOB.match(line):
        return Message("Already exists" if "exists" in line else "Copying blob", match.group(1))
    return Message(line)


def last_words(text: str) -> str:
    """Return the lines of an output that are about no layer; an error message is among them."""
    messages = map(read, re.split(r"[\r\n]+", text))
    return "\n".join(message.status for message in messages if message and not message.layer)


def _bytes(number: str | None, unit: str | None) -> int:
    return round(float(number) * _UNITS[unit or ""]) if number else 0
