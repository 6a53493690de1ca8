"""An engine's images through its command."""

import json
from threading import Lock
from typing import TYPE_CHECKING

from puller.backends.store import read_images, read_info, read_rows
from puller.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from puller.holdings import EngineFacts, Holdings
    from puller.reference import ImageReference


class CliImageStore:
    """Fulfils `ImageStore` by `docker image …` and its like."""

    def __init__(self, run: "Callable[..., str]", program: str, *, local: bool) -> None:
        """`run` runs the program with arguments and returns its output, or raises EngineError."""
        self._run = run
        self._podman = program == "podman"
        self._lock = Lock()
        self._facts: EngineFacts | None = None
        self._local = local

    def holdings(self) -> "Holdings":
        """Run one `image ls`."""
        form = "json" if self._podman else "{{json .}}"
        output = self._run("image", "ls", "--no-trunc", "--digests", "--format", form)
        try:
            return read_images(json.loads(output)) if self._podman else read_rows(output.splitlines())
        except (ValueError, LookupError, AttributeError, TypeError):
            raise EngineError("the list of images cannot be read") from None

    def facts(self) -> "EngineFacts":
        """Run one `info`."""
        with self._lock:
            if self._facts is None:
                output = self._run("info", "--format", "json" if self._podman else "{{json .}}")
                try:
                    self._facts = read_info(json.loads(output), local=self._local)
                except (ValueError, AttributeError, TypeError):
                    raise EngineError("what the engine says of itself cannot be read") from None
            return self._facts

    def tag(self, source: str, target: "ImageReference") -> None:
        """Run `tag`."""
        self._run("tag", source, f"{target.name}:{target.tag or 'latest'}")

    def untag(self, name: str) -> None:
        """Run `rmi`."""
        self._run("rmi", name)
