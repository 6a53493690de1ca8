"""A pull through the Engine API by our own HTTP client."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from typing import Any

from puller.engine.api.client import LONGEST_MESSAGE, ApiClient, engine_errors
from puller.errors import EngineError, FailureKind
from puller.http import HttpResponse, RequestGroup
from puller.model import PullRequest


class StreamCall:
    """One pull, which starts when its messages are read."""

    def __init__(self, client: ApiClient, request: PullRequest, account: Mapping[str, str]) -> None:
        self._client = client
        self._request = request
        self._account = account
        self._group = RequestGroup()
        self._response: HttpResponse | None = None

    def messages(self) -> Iterator[dict[str, Any]]:
        """Pull, and yield each message of the engine; raises EngineError when the pull fails."""
        reference, platform = self._request.reference, self._request.platform
        options = {"platform": str(platform)} if platform else {}
        options |= {"fromImage": reference.name, "tag": reference.digest or reference.tag or "latest"}
        headers = {"X-Registry-Auth": urlsafe_b64encode(json.dumps(self._account).encode()).decode()}
        self._response = self._client.stream(self._group, headers, "images", "create", **options)
        for line in _lines(self._response):
            if line.strip() and isinstance(message := _parse(line), dict):
                yield message

    def abort(self) -> None:
        """Shut the connection down, from any thread: the engine stops pulling, and the reading thread wakes up."""
        self._client.cancel(self._group)

    def close(self) -> None:
        """Close the response; with an open one the engine would continue the pull."""
        if self._response:
            self._response.close()


def _lines(response: HttpResponse) -> Iterator[bytearray]:
    rest = bytearray()
    with engine_errors():
        while data := response.next():
            rest += data
            if b"\n" in data:
                *lines, rest = rest.split(b"\n")
                yield from lines
            if len(rest) > LONGEST_MESSAGE:
                raise _unreadable()
    yield rest


def _parse(line: bytearray) -> Any:
    try:
        return json.loads(line.decode(errors="replace"))
    except (ValueError, RecursionError):
        raise _unreadable() from None


def _unreadable() -> EngineError:
    # It may be the part of a message that came before the connection was cut.
    words = "the engine's messages about the pull cannot be read"
    return EngineError(words, kind=FailureKind.ENGINE_DISCONNECTED)
