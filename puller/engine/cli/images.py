"""The images of an engine, by its command."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

from puller.engine.model import Container, EngineInfo, ImageContents, LocalImages
from puller.engine.responses import platform_of, read_content, read_images, read_info, read_layer_sizes, read_rows
from puller.errors import EngineError
from puller.image.reference import ImageReference, Platform

_ABSENT = re.compile(r"no such (?:image|object)|image not known|platform", re.IGNORECASE)
"""Messages about a missing image, a missing platform of it, or (older programs) an unknown option `--platform`."""
_MOST_TRIES = 3
"""Tries at a list of containers; a container may go away between `ps` and `inspect`."""
_REMOVE_SECONDS = 600.0
"""Deleting a large image, with some hundred thousand files, takes minutes."""


class CliImageStore:
    """`ImageStore` by `docker image …` and its like."""

    def __init__(self, run: Callable[..., str], program: str, *, local: bool) -> None:
        """`run` runs the program with arguments and returns its output, or raises EngineError."""
        self._run = run
        self._podman = program == "podman"
        self._lock = Lock()
        self._facts: EngineInfo | None = None
        self._local = local

    def holdings(self) -> LocalImages:
        form = "json" if self._podman else "{{json .}}"
        output = self._run("image", "ls", "--no-trunc", "--digests", "--format", form)
        with _readable("list of images"):
            return read_images(json.loads(output)) if self._podman else read_rows(output.splitlines())

    def facts(self) -> EngineInfo:
        with self._lock, _readable("description of the engine"):
            if self._facts is None:
                output = self._run("info", "--format", "json" if self._podman else "{{json .}}")
                self._facts = read_info(json.loads(output), local=self._local)
            return self._facts

    def platforms(self, identities: Sequence[str], asked: Platform | None = None) -> Mapping[str, Platform]:
        option = ("--platform", str(asked)) if asked else ()
        with _readable("description of an image"):
            found = self._inspect(identities, *option)
            return {identity: platform for identity, image in found.items() if (platform := platform_of(image))}

    def contents(self, identities: Sequence[str]) -> tuple[ImageContents, ...]:
        with _readable("description of an image"):
            return tuple(map(read_content, self._inspect(identities).values()))

    def layer_sizes(self, identity: str) -> tuple[int, ...]:
        form = ("--format", "json") if self._podman else ("--no-trunc", "--human=false", "--format", "{{json .}}")
        output = self._run("history", *form, identity)
        try:
            return read_layer_sizes(json.loads(output) if self._podman else map(json.loads, output.splitlines()))
        except (ValueError, AttributeError, TypeError):  # nerdctl prints sizes with units
            return ()

    def containers(self) -> tuple[Container, ...]:
        for left in reversed(range(_MOST_TRIES)):
            identities = self._run("ps", "--all", "--quiet", "--no-trunc").split()
            if not identities:
                break
            try:
                output = self._run("container", "inspect", *identities)
            except EngineError:
                if not left:
                    raise
                continue
            with _readable("list of containers"):
                found = json.loads(output)
                return tuple(Container(str(each["Name"]).lstrip("/"), str(each["Image"])) for each in found)
        return ()

    def tag(self, source: str, target: ImageReference) -> None:
        self._run("tag", source, f"{target.name}:{target.tag or 'latest'}")

    def untag(self, name: str) -> None:
        self._run("rmi", name, seconds=_REMOVE_SECONDS)

    def _inspect(self, identities: Sequence[str], *options: str) -> Mapping[str, Any]:
        """Return the description of each image by its ID: by one command, or if an image is missing by one for each."""
        if not identities:
            return {}
        try:
            images = json.loads(self._run("image", "inspect", *options, *identities))
        except EngineError as error:
            if not _ABSENT.search(error.message):
                raise
            if len(identities) == 1:
                return {}
            return {key: value for each in identities for key, value in self._inspect((each,), *options).items()}
        return dict(zip(identities, images, strict=True))


@contextmanager
def _readable(what: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, LookupError, AttributeError, TypeError):
        raise EngineError(f"cannot read the {what} in the command's output") from None
