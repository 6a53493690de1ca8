"""What an engine's API tells of itself and of all its images, each in one answer, whoever carries the question."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from threading import Lock
from typing import Any, Protocol

from puller.engine.api.connection import StoppableClient
from puller.engine.model import Container, EngineInfo, ImageContents, LocalImages
from puller.engine.responses import platform_of, read_content, read_images, read_info, read_layer_sizes
from puller.errors import EngineError
from puller.image.reference import ImageReference, Platform

NONSENSE = (AttributeError, LookupError, TypeError, ValueError)
"""What is raised on the way through JSON that is not what it should be."""


class Ask(Protocol):
    """Ask `GET /WORD/…`, and return what the answer's JSON says; raises EngineError."""

    def __call__(self, *words: str, **parameters: str) -> Any:
        """Ask."""


class Asked:
    """The part of `ImageStore` that most runs need."""

    def __init__(self, ask: Ask, *, local: bool) -> None:
        """`local` is whether the engine runs on this machine."""
        self._ask = ask
        self._local = local
        self._lock = Lock()
        self._facts: EngineInfo | None = None

    def holdings(self) -> LocalImages:
        """Ask `GET /images/json` once; the containerd store tells the platforms of each image since API 1.47."""
        with _sense():
            return read_images(self._ask("images", "json", manifests="1"))

    def facts(self) -> EngineInfo:
        """Ask `GET /info` once: some engines start other programs to answer it."""
        with self._lock, _sense():
            self._facts = self._facts or read_info(self._ask("info"), local=self._local)
            return self._facts


@contextmanager
def _sense() -> Iterator[None]:
    try:
        yield
    except NONSENSE as error:
        raise EngineError(f"the engine's answer makes no sense: {error}") from None


_REMOVE_SECONDS = 600
"""A large image has a hundred thousand files, and the engine answers when the last one is gone."""


class SdkImageStore(Asked):
    """Fulfils `ImageStore` by docker-py's low-level client."""

    def __init__(
        self,
        client: StoppableClient,
        *,
        local: bool,
        trouble: tuple[type[Exception], ...],
        translate: Callable[[Exception], EngineError],
    ) -> None:
        """Use a client that is shared; `translate` turns what it raises (`trouble`) into the engine's words."""
        super().__init__(self._get, local=local)
        self._client: Any = client
        self._trouble: tuple[type[Exception], ...] = (*trouble, *NONSENSE)
        self._translate = translate

    def platforms(self, identities: Sequence[str], asked: Platform | None = None) -> Mapping[str, Platform]:
        """Ask `GET /images/ID/json` for each; engines before API 1.49 do not hear which platform was asked for."""
        found = {identity: self._platform(identity, asked) for identity in identities}
        return {identity: platform for identity, platform in found.items() if platform}

    def _platform(self, identity: str, asked: Platform | None) -> Platform | None:
        parts = {"os": asked.os, "architecture": asked.architecture, "variant": asked.variant} if asked else {}
        parameters = {"platform": json.dumps({key: part for key, part in parts.items() if part})} if asked else {}
        with self._translated():
            # docker-py's own inspect_image takes no platform.
            url = self._client._url("/images/{0}/json", identity)  # noqa: SLF001
            response = self._client._get(url, params=parameters)  # noqa: SLF001
            if response.status_code == HTTPStatus.NOT_FOUND:
                return None
            return platform_of(self._client._result(response, json=True))  # noqa: SLF001

    def contents(self, identities: Sequence[str]) -> tuple[ImageContents, ...]:
        """Ask `GET /images/ID/json` for each."""
        found = []
        for identity in identities:
            try:
                with self._translated():
                    found.append(read_content(self._client.inspect_image(identity)))
            except EngineError as error:
                if error.status != HTTPStatus.NOT_FOUND:  # it may have gone meanwhile
                    raise
        return tuple(found)

    def layer_sizes(self, identity: str) -> tuple[int, ...]:
        """Ask `GET /images/ID/history`."""
        with self._translated():
            return read_layer_sizes(self._client.history(identity))

    def containers(self) -> tuple[Container, ...]:
        """Ask `GET /containers/json` for all, running or not."""
        with self._translated():
            found = self._client.containers(all=True)
            return tuple(
                Container((each.get("Names") or [each["Id"]])[0].lstrip("/"), each["ImageID"]) for each in found
            )

    def tag(self, source: str, target: ImageReference) -> None:
        """`POST /images/SOURCE/tag`."""
        with self._translated():
            self._client.tag(source, target.name, target.tag or "latest")

    def untag(self, name: str) -> None:
        """`DELETE /images/NAME`, without force."""
        client = self._client
        with self._translated():
            # docker-py's own remove_image waits no longer than for any other answer.
            answer = client._delete(client._url("/images/{0}", name), timeout=_REMOVE_SECONDS)  # noqa: SLF001
            client._raise_for_status(answer)  # noqa: SLF001

    def _get(self, *words: str, **parameters: str) -> Any:
        client = self._client
        with self._translated():
            # docker-py's own images() cannot ask for manifests.
            answer = client._get(client._url("/" + "/".join(words)), params=parameters)  # noqa: SLF001
            return client._result(answer, json=True)  # noqa: SLF001

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._trouble as error:
            raise self._translate(error) from None
