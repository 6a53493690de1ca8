"""The files in a directory that may be lists."""

import os
from collections.abc import Iterator

from puller.imagelist.compose_cli import OVERRIDES
from puller.imagelist.detect import DOCKERFILE_NAME
from puller.imagelist.entry import BadLine, Source

_DATA = (".yaml", ".yml", ".json")
_TEXT = (".txt", ".list", ".lock")
_CHART = "Chart.yaml"


def files(path: str, list_format: str | None = None) -> Iterator[str | BadLine]:
    """Yield the files below a directory that may be lists, in order, without hidden ones.

    A Helm chart is a bad line, as it has to be rendered first.
    """
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        if _CHART in names and list_format in (None, "kubernetes"):
            chart = os.path.join(folder, _CHART)  # noqa: PTH118 - Path would change the text the user typed
            yield BadLine(Source(chart), "", f"a Helm chart: render it first: helm template {folder} | puller list -")
            folders[:] = []
            continue
        for name in sorted(names):
            if _may_be_a_list(name, list_format) and not name.startswith(".") and name not in OVERRIDES:
                yield os.path.join(folder, name)  # noqa: PTH118


def _may_be_a_list(name: str, list_format: str | None) -> bool:
    if list_format == "dockerfile":
        return bool(DOCKERFILE_NAME.fullmatch(name))
    return name.lower().endswith(_TEXT if list_format == "text" else _DATA)
