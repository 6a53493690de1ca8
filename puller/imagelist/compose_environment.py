"""What the variables of a Compose project are filled in with, beside the environment.

https://docs.docker.com/compose/how-tos/environment-variables/ and …/project-name/
"""

import re
from typing import TYPE_CHECKING

from puller.imagelist import dotenv
from puller.imagelist.variables import expand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from puller.imagelist.nodes import Node


_PROJECT_NAME = "COMPOSE_PROJECT_NAME"
_NOT_IN_A_NAME = re.compile(r"[^-_a-z0-9]")


def with_dotenv(folder: "Path | None", environment: "Mapping[str, str]") -> "Mapping[str, str]":
    """Add the `.env` of a folder; what the environment says already wins."""
    return {**dotenv.read(folder / ".env", environment), **environment} if folder is not None else environment


def with_name(
    documents: "Sequence[Node]", folder: "Path | None", environment: "Mapping[str, str]"
) -> "Mapping[str, str]":
    """Add the project's name, by which images may be called: as it is written, or else that of the folder."""
    names = (root.get("name") for root in documents)
    written = next((name.text for name in names if name and name.text), "")
    try:
        name = expand(written, environment).text
    except ValueError:
        name = ""
    if not name and folder is not None:
        name = _NOT_IN_A_NAME.sub("", folder.absolute().name.lower()).lstrip("_-")
    return {_PROJECT_NAME: name, **environment} if name else environment
