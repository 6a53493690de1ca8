"""What a list means, one string for each item, so that a test reads like the list."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from puller.errors import ListError
from puller.imagelist import BadLine, Entry, read
from puller.imagelist.formats import parse
from puller.imagelist.source import ListSource, Selection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from puller.imagelist import Item
    from puller.imagelist.compose_cli import Compose


def shown(items: Iterable[Item]) -> list[str]:
    """Write `SOURCE [PLATFORM] REFERENCE` for an image, `bad SOURCE: …` and `note SOURCE: …` for the others."""
    found = []
    for item in items:
        if isinstance(item, Entry):
            found.append(" ".join(filter(None, (str(item.source), str(item.platform or ""), item.reference.text))))
        else:
            found.append(f"{'bad' if isinstance(item, BadLine) else 'note'} {item}")
    return found


def listed(
    *lists: str,
    list_format: str | None = None,
    profiles: tuple[str, ...] = (),
    stdin: str | bytes = b"",
    ask: Compose | None = None,
    **selected: Any,
) -> list[str]:
    """Read lists as the program does, by default with no compose to ask; an error is shown as its lines."""
    found: list[str] = []
    try:
        for item in read(
            lists,
            list_format=list_format,
            selection=Selection(profiles=profiles, **selected),
            ask_compose=ask,
            stdin=io.BytesIO(stdin.encode() if isinstance(stdin, str) else stdin),
        ):
            found += shown([item])
    except ListError as error:
        found += [f"error {line}" for line in error.problems]
    return found


def structured(text: str, list_format: str | None = None, name: str = "f") -> list[str]:
    """Read a structured text that can name no other file."""
    return shown(parse(text.encode(), ListSource(name), list_format))
