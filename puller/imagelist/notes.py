"""The notes of lists for people: one line for each kind of note."""

from collections.abc import Iterator, Sequence

from puller.imagelist.entry import Note
from puller.text import clean, counted

_MOST = 10
"""Subjects or lines that a summary names."""


def summary(notes: Sequence[Note], lists: Sequence[str], *, verbose: bool = False) -> Iterator[str]:
    """Yield the lines for the notes of `lists`: notes with the same text are one line, unless `verbose`."""
    if verbose:
        yield from map(str, dict.fromkeys(notes))
        return
    groups: dict[tuple[str, str], dict[Note, None]] = {}
    for note in notes:
        if not note.is_detail:
            groups.setdefault((_list_of(note.source.name, lists), note.text), {})[note] = None
    for (name, text), group in groups.items():
        yield str(next(iter(group))) if len(group) == 1 else _together(name, text, [*group])


def _list_of(name: str, lists: Sequence[str]) -> str:
    """Return the list that a file belongs to."""
    return next((each for each in lists if name.startswith(each.rstrip("/") + "/")), name)


def _together(name: str, text: str, notes: Sequence[Note]) -> str:
    """Describe several notes with the same text: each by its subject or its line, or all by their number."""
    where = {note.source.name for note in notes}
    alone = where == {name}
    labels = [*dict.fromkeys(_label(note, alone=alone) for note in notes)]
    shown, more = labels[:_MOST], f" and {len(labels) - _MOST} more (-v names them)" if len(labels) > _MOST else ""
    if any(note.subject for note in notes):
        return f"{clean(name)}: {text}: {', '.join(shown)}{more}"
    if alone:
        return f"{clean(name)}: {text} ({', '.join(shown)}{more})"
    what = (
        counted(len(where), "file")
        if len(where) == len(notes)
        else f"{len(notes)} times in {counted(len(where), 'file')}"
    )
    return f"{clean(name)}: {what}{' ' if text.startswith('left out') else ': '}{text} (-v names them)"


def _label(note: Note, *, alone: bool) -> str:
    if note.subject and not alone:
        return note.subject
    return f"{note.subject} (line {note.source.line})" if note.subject else f"line {note.source.line}"
