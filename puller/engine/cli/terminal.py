"""A terminal for the docker command, which tells bytes to nobody else, and the reading of what it draws there."""

import re
from dataclasses import dataclass

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
_DRAWING = re.compile(r"\x1b\[\d*[AK]")
"""Cursor up, or erase the line."""
_LAYER = re.compile(r"([0-9a-f]{12}): (.+)")
_AMOUNT = r"(\d{1,15}(?:\.\d{1,15})?)([kMGTP]?)B"
_PROGRESS = re.compile(
    # A bar, an amount that has a whole or has none, or the seconds that unpacking has taken so far.
    rf"\s{{1,9}}(?:\[[=> ]{{0,99}}\]\s{{0,9}})?(?:{_AMOUNT}(?:/{_AMOUNT})?|\d{{1,15}}(?:/\d{{1,15}})? s)(?:\s|$)"
)
_BLOB = re.compile(r"(?:Copying blob (?:sha256:)?|layer-sha256:)([0-9a-f]{12})")
_ELAPSED = re.compile(r"\s*elapsed:")
_LONGEST = 4096
"""Characters of a line that are looked at."""
_UNITS = {unit: 1000**power for power, unit in enumerate(("", "k", "M", "G", "T", "P"))}


@dataclass(frozen=True, slots=True)
class Message:
    """What one line of a program says: of a layer where it has an ID, else of the image."""

    status: str
    layer: str = ""
    current: int = 0
    total: int = 0


def is_drawing(line: str) -> bool:
    """Say whether a program moves the cursor about, so that it tells bytes."""
    return "\x1b" in line and _DRAWING.search(line) is not None


def plain(text: str) -> str:
    """Take out what steers a terminal."""
    return _ESCAPE.sub("", text) if "\x1b" in text else text


def read(line: str) -> Message | None:
    """Understand a line of docker, podman or nerdctl; None where it says nothing."""
    line = plain(line[:_LONGEST]).strip()
    if not line or _ELAPSED.match(line):  # nerdctl's clock goes on, whatever else does
        return None
    if match := _LAYER.fullmatch(line):
        layer, rest = match.groups()
        if progress := _PROGRESS.search(rest):
            done, done_unit, whole, whole_unit = progress.groups()
            return Message(rest[: progress.start()], layer, _bytes(done, done_unit), _bytes(whole, whole_unit))
        return Message(rest, layer)
    if match := _BLOB.match(line):
        return Message("Copying blob", match.group(1))
    return Message(line)


def last_words(text: str) -> str:
    """Find in all that was printed what is about no layer: where a program has put its reason, if anywhere."""
    messages = map(read, re.split(r"[\r\n]+", text))
    return "\n".join(message.status for message in messages if message and not message.layer)


def _bytes(number: str | None, unit: str | None) -> int:
    return round(float(number) * _UNITS[unit or ""]) if number else 0
