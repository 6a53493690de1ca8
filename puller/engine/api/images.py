"""The images of an engine, by its API."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from threading import Lock
from typing import Any

from puller.engine.api.client import ApiClient
from puller.engine.model import Container, EngineInfo, ImageContents, LocalImages
from puller.engine.responses import platform_of, read_content, read_images, read_info, read_layer_sizes
from puller.errors import EngineError
from puller.image.reference import ImageReference, Platform

UNREADABLE = (AttributeError, LookupError, TypeError, ValueError)
"""The exceptions of reading JSON that has an unexpected structure."""
_REMOVE_SECONDS = 600.0
"""Deleting a large image, with some hundred thousand files, takes minutes."""


class ApiImageStore:
    """`ImageStore` by the Engine API."""

    def __init__(self, client: ApiClient, *, local: bool) -> None:
        self._client = client
        self._local = local
        self._lock = Lock()
        self._facts: EngineInfo | None = None

    def holdings(self) -> LocalImages:
        with _readable():  # since API 1.47 the containerd store lists the platforms of each image
            return read_images(self._client.get("images", "json", manifests="1"))

    def facts(self) -> EngineInfo:
        with self._lock, _readable():
            self._facts = self._facts or read_info(self._client.get("info"), local=self._local)
            return self._facts

    def platforms(self, identities: Sequence[str], asked: Platform | None = None) -> Mapping[str, Platform]:
        # Engines before API 1.49 ignore the platform.
        parts = {"os": asked.os, "architecture": asked.architecture, "variant": asked.variant} if asked else {}
        parameters = {"platform": json.dumps({key: part for key, part in parts.items() if part})} if asked else {}
        with _readable():
            found = self._inspect(identities, **parameters)
            return {identity: platform for identity, image in found.items() if (platform := platform_of(image))}

    def contents(self, identities: Sequence[str]) -> tuple[ImageContents, ...]:
        with _readable():
            return tuple(map(read_content, self._inspect(identities).values()))

    def layer_sizes(self, identity: str) -> tuple[int, ...]:
        with _readable():
            return read_layer_sizes(self._client.get("images", identity, "history"))

    def containers(self) -> tuple[Container, ...]:
        with _readable():
            return tuple(
                Container((each.get("Names") or [each["Id"]])[0].lstrip("/"), each["ImageID"])
                for each in self._client.get("containers", "json", all="1")
            )

    def tag(self, source: str, target: ImageReference) -> None:
        self._client.post("images", source, "tag", repo=target.name, tag=target.tag or "latest")

    def untag(self, name: str) -> None:
        self._client.delete("images", name, seconds=_REMOVE_SECONDS)

    def _inspect(self, identities: Sequence[str], **parameters: str) -> Mapping[str, Any]:
        """Return the description of each image by its ID, without images that have been removed meanwhile."""
        found = {}
        for identity in identities:
            try:
                found[identity] = self._client.get("images", identity, "json", **parameters)
            except EngineError as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise
        return found


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        raise EngineError(f"the engine's response cannot be read: {error}") from None
