"""An engine's images through its API."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from threading import Lock

from puller.engine.api.client import ApiClient
from puller.engine.model import Container, EngineInfo, ImageContents, LocalImages
from puller.engine.responses import platform_of, read_content, read_images, read_info, read_layer_sizes
from puller.errors import EngineError
from puller.image.reference import ImageReference, Platform

NONSENSE = (AttributeError, LookupError, TypeError, ValueError)
"""What is raised on the way through JSON that is not what it should be."""
_REMOVE_SECONDS = 600.0
"""A large image has a hundred thousand files, and the engine answers when the last one is gone."""


class SdkImageStore:
    """Fulfils `ImageStore` by the Engine API."""

    def __init__(self, client: ApiClient, *, local: bool) -> None:
        """`local` is whether the engine runs on this machine."""
        self._client = client
        self._local = local
        self._lock = Lock()
        self._facts: EngineInfo | None = None

    def holdings(self) -> LocalImages:
        """Ask `GET /images/json` once; the containerd store tells the platforms of each image since API 1.47."""
        with _sense():
            return read_images(self._client.get("images", "json", manifests="1"))

    def facts(self) -> EngineInfo:
        """Ask `GET /info` once: some engines start other programs to answer it."""
        with self._lock, _sense():
            self._facts = self._facts or read_info(self._client.get("info"), local=self._local)
            return self._facts

    def platforms(self, identities: Sequence[str], asked: Platform | None = None) -> Mapping[str, Platform]:
        """Ask `GET /images/ID/json` for each; engines before API 1.49 do not hear which platform was asked for."""
        parts = {"os": asked.os, "architecture": asked.architecture, "variant": asked.variant} if asked else {}
        parameters = {"platform": json.dumps({key: part for key, part in parts.items() if part})} if asked else {}
        found = {}
        for identity in identities:
            with _unless_gone(), _sense():
                found[identity] = platform_of(self._client.get("images", identity, "json", **parameters))
        return {identity: platform for identity, platform in found.items() if platform}

    def contents(self, identities: Sequence[str]) -> tuple[ImageContents, ...]:
        """Ask `GET /images/ID/json` for each."""
        found = []
        for identity in identities:
            with _unless_gone(), _sense():
                found.append(read_content(self._client.get("images", identity, "json")))
        return tuple(found)

    def layer_sizes(self, identity: str) -> tuple[int, ...]:
        """Ask `GET /images/ID/history`."""
        with _sense():
            return read_layer_sizes(self._client.get("images", identity, "history"))

    def containers(self) -> tuple[Container, ...]:
        """Ask `GET /containers/json` for all, running or not."""
        with _sense():
            return tuple(
                Container((each.get("Names") or [each["Id"]])[0].lstrip("/"), each["ImageID"])
                for each in self._client.get("containers", "json", all="1")
            )

    def tag(self, source: str, target: ImageReference) -> None:
        """`POST /images/SOURCE/tag`."""
        self._client.post("images", source, "tag", repo=target.name, tag=target.tag or "latest")

    def untag(self, name: str) -> None:
        """`DELETE /images/NAME`, without force."""
        self._client.delete("images", name, seconds=_REMOVE_SECONDS)


@contextmanager
def _unless_gone() -> Iterator[None]:
    """Leave out an image that has gone meanwhile."""
    try:
        yield
    except EngineError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise


@contextmanager
def _sense() -> Iterator[None]:
    try:
        yield
    except NONSENSE as error:
        raise EngineError(f"the engine's answer makes no sense: {error}") from None
