"""An engine's images through its command."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from threading import Lock

from puller.engine.model import Container, EngineInfo, ImageContents, LocalImages
from puller.engine.responses import platform_of, read_content, read_images, read_info, read_layer_sizes, read_rows
from puller.errors import EngineError
from puller.image.reference import ImageReference, Platform

_ABSENT = re.compile(r"no such (?:image|object)|image not known|platform", re.IGNORECASE)
"""What programs say of an image, or a platform of it, that is not there; older ones know no `--platform` here."""
_LOOKS = 3
"""Tries at a list of containers, which come and go meanwhile."""
_REMOVE_SECONDS = 600.0
"""A large image has a hundred thousand files, and the engine answers when the last one is gone."""


class CliImageStore:
    """Fulfils `ImageStore` by `docker image …` and its like."""

    def __init__(self, run: Callable[..., str], program: str, *, local: bool) -> None:
        """`run` runs the program with arguments and returns its output, or raises EngineError."""
        self._run = run
        self._podman = program == "podman"
        self._lock = Lock()
        self._facts: EngineInfo | None = None
        self._local = local

    def holdings(self) -> LocalImages:
        """Run one `image ls`."""
        form = "json" if self._podman else "{{json .}}"
        output = self._run("image", "ls", "--no-trunc", "--digests", "--format", form)
        try:
            return read_images(json.loads(output)) if self._podman else read_rows(output.splitlines())
        except (ValueError, LookupError, AttributeError, TypeError):
            raise EngineError("the list of images cannot be read") from None

    def facts(self) -> EngineInfo:
        """Run one `info`."""
        with self._lock:
            if self._facts is None:
                output = self._run("info", "--format", "json" if self._podman else "{{json .}}")
                try:
                    self._facts = read_info(json.loads(output), local=self._local)
                except (ValueError, AttributeError, TypeError):
                    raise EngineError("what the engine says of itself cannot be read") from None
            return self._facts

    def platforms(self, identities: Sequence[str], asked: Platform | None = None) -> Mapping[str, Platform]:
        """Run one `image inspect` for all, and one for each where that fails: an image may have gone meanwhile."""
        option = ("--platform", str(asked)) if asked else ()
        try:
            images = json.loads(self._run("image", "inspect", *option, *identities))
            found = {identity: platform_of(image) for identity, image in zip(identities, images, strict=True)}
        except EngineError as error:
            if not _ABSENT.search(error.message):
                raise
            if len(identities) == 1:
                return {}
            return {key: value for each in identities for key, value in self.platforms((each,), asked).items()}
        except (ValueError, AttributeError, TypeError):
            raise EngineError("what the engine says of its images cannot be read") from None
        return {identity: platform for identity, platform in found.items() if platform}

    def contents(self, identities: Sequence[str]) -> tuple[ImageContents, ...]:
        """Run one `image inspect`; where one image has gone meanwhile, one for each."""
        if not identities:
            return ()
        try:
            return tuple(map(read_content, json.loads(self._run("image", "inspect", *identities))))
        except EngineError:
            if len(identities) == 1:
                return ()
            return tuple(content for identity in identities for content in self.contents((identity,)))
        except (ValueError, AttributeError, TypeError):
            raise EngineError("what the engine says of an image cannot be read") from None

    def layer_sizes(self, identity: str) -> tuple[int, ...]:
        """Run one `history`; nerdctl writes sizes for people only."""
        form = ("--format", "json") if self._podman else ("--no-trunc", "--human=false", "--format", "{{json .}}")
        output = self._run("history", *form, identity)
        try:
            return read_layer_sizes(json.loads(output) if self._podman else map(json.loads, output.splitlines()))
        except (ValueError, AttributeError, TypeError):
            return ()

    def containers(self) -> tuple[Container, ...]:
        """Run one `ps` and one `inspect` for all, again where a container has gone in between."""
        for left in reversed(range(_LOOKS)):
            identities = self._run("ps", "--all", "--quiet", "--no-trunc").split()
            if not identities:
                break
            try:
                found = json.loads(self._run("container", "inspect", *identities))
                return tuple(Container(str(each["Name"]).lstrip("/"), str(each["Image"])) for each in found)
            except EngineError:
                if not left:
                    raise
            except (ValueError, LookupError, TypeError):
                raise EngineError("what the engine says of its containers cannot be read") from None
        return ()

    def tag(self, source: str, target: ImageReference) -> None:
        """Run `tag`."""
        self._run("tag", source, f"{target.name}:{target.tag or 'latest'}")

    def untag(self, name: str) -> None:
        """Run `rmi`, without force."""
        self._run("rmi", name, seconds=_REMOVE_SECONDS)
