"""The lines of a Dockerfile as instructions: continued lines put together, comments and here-documents left out."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


_DIRECTIVE = re.compile(r"#\s*(\w+)\s*=\s*(.*?)\s*")
_HEREDOC = re.compile(r"(?<![<\w$(])\d*<<(-?)(['\"]?)([A-Za-z_][\w.]*)\2")
_MOST_HEREDOCS = 20
_WITH_HEREDOC = {"RUN", "COPY", "ADD"}


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, on one line."""

    keyword: str
    """In capitals."""
    rest: str
    line: int
    """Where it begins, counted from 1."""


def instructions(text: str) -> "Iterator[Instruction]":
    """Yield the instructions of a Dockerfile, as its reference reads lines."""
    lines = text.replace("\r\n", "\n").split("\n")
    continued = re.compile(rf"{re.escape(_escape(lines))}[ \t]*$")
    number = 0
    while number < len(lines):
        start = number
        parts: list[str] = []
        more = True
        while more and number < len(lines):
            line = lines[number]
            number += 1
            if line.lstrip().startswith("#") or (parts and not line.strip()):
                continue  # both may stand between the parts of a continued line
            if not parts:
                start = number
            more = bool(continued.search(line))
            parts.append(continued.sub("", line))
            if not line.strip():
                break
        keyword, _, rest = "".join(parts).strip().partition(" ")
        keyword, tabbed, behind = keyword.partition("\t")
        if not keyword:
            continue
        rest = f"{behind} {rest}" if tabbed else rest
        if keyword.upper() in _WITH_HEREDOC:
            number = _behind(rest, lines, number)
        yield Instruction(keyword.upper(), rest.strip(), start)


def _escape(lines: "Sequence[str]") -> str:
    """Find the escape character: directives stand at the very top, and end at the first line that is none."""
    for line in lines:
        match = _DIRECTIVE.fullmatch(line.strip())
        if not match:
            break
        if match[1].lower() == "escape" and match[2] in ("\\", "`"):
            return match[2]
    return "\\"


def _behind(rest: str, lines: "Sequence[str]", number: int) -> int:
    """Say which line comes after the here-documents of an instruction; one that never ends is none."""
    for dash, _, word in _HEREDOC.findall(rest)[:_MOST_HEREDOCS]:
        for end in range(number, len(lines)):
            if (lines[end].lstrip("\t") if dash else lines[end]) == word:
                number = end + 1
                break
    return number
