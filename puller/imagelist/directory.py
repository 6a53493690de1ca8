"""A directory as a list: what every file in it means that looks like one."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from puller.errors import ListError
from puller.imagelist import kinds
from puller.imagelist.compose_project import DEFAULT_NAMES, OVERRIDES
from puller.imagelist.entry import BadLine, Item, Note, Source
from puller.imagelist.origin import of_path, read_whole
from puller.imagelist.sniff import DOCKERFILE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from puller.imagelist.origin import ComposeWay


_DATA = (".yaml", ".yml", ".json")
_TEXT = (".txt", ".list", ".lock")
_CHART = "Chart.yaml"


def files(path: str, kind: str | None = None) -> "Iterator[tuple[str, Item | None]]":
    """Yield the files below a directory that may be lists, in order; hidden ones are passed over.

    Beside a path there is what to say instead of reading it: a chart has to be rendered first.
    """
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        if _CHART in names and kind in (None, "kubernetes"):
            chart = os.path.join(folder, _CHART)  # noqa: PTH118 - Path would rewrite what the user typed
            yield chart, BadLine(Source(chart), "", f"a chart: render it first: helm template {folder} | puller list -")
            folders[:] = []
            continue
        for name in sorted(names):
            if _may_be_a_list(name, kind) and not name.startswith(".") and name not in OVERRIDES:
                yield os.path.join(folder, name), None  # noqa: PTH118


def _may_be_a_list(name: str, kind: str | None) -> bool:
    if kind == "dockerfile":
        return bool(DOCKERFILE_NAME.fullmatch(name))
    return name.lower().endswith(_TEXT if kind == "text" else _DATA)


def parse(path: str, kind: str | None, compose: "ComposeWay") -> "Iterator[Item]":
    """Yield what a structured file of a directory means; one that is no list is left out, and said."""
    # Of other names there are parts of a project, which compose refuses.
    whole = os.path.basename(path) in DEFAULT_NAMES  # noqa: PTH119 - as typed
    origin = of_path(path, compose if whole else compose.alone)
    try:
        data = read_whole(Path(path), path)
    except ListError as error:
        yield BadLine(Source(path), "", str(error).removeprefix(f"{path}: "))
        return
    parsed = kinds.load(data, origin)
    if kind is None and parsed.problem is None and kinds.recognise(parsed, origin) is None:
        yield Note(Source(path), "left out: no kind of list that puller knows")
        return
    yield from kinds.parse(parsed, origin, kind)
