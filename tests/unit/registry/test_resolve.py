"""Many questions at once: eight to a registry, patience where it helps, one answer or one failure for each."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from puller.errors import FailureKind, RegistryError
from puller.failure import Failure
from puller.image.manifest import Manifest
from puller.image.reference import ImageReference, Platform
from puller.model import PullRequest
from puller.registry.batch import WIDTH, digest_of, digest_with_platform, resolve
from puller.registry.health import RegistryHealth
from puller.registry.manifests import NoPlatformError
from puller.registry.responses import Described
from puller.settings import RetryPolicy
from tests.lab import OCI

DIGEST = "sha256:" + "d" * 64
QUICK = RetryPolicy(retries=2, delay=0.001)


def requests(*texts: str) -> list[PullRequest]:
    """Make requests."""
    return [PullRequest(ImageReference.parse(text)) for text in texts]


class Script:
    """Raises, or answers, what it is told, in turn; the last one for ever."""

    def __init__(self, *steps: str | Exception) -> None:
        self._steps = list(steps)
        self._lock = threading.Lock()
        self.asked = 0

    def __call__(self, _request: PullRequest) -> str:
        """Give the next answer."""
        with self._lock:
            step = self._steps[min(self.asked, len(self._steps) - 1)]
            self.asked += 1
        if isinstance(step, Exception):
            raise step
        return step


def only(ask: Callable[[PullRequest], str], policy: RetryPolicy = QUICK) -> str | Failure:
    """Resolve one reference."""
    (answer,) = resolve(requests("a.example/x"), ask, policy=policy).values()
    return answer


def test_every_request_has_its_answer_in_order() -> None:
    """Each is asked once, however often it is named."""
    asked = requests("a", "b.example/c:1", "a", "docker.io/library/a")
    script = Script(DIGEST)
    answers = resolve(asked, script)
    assert [str(request) for request in answers] == ["a", "b.example/c:1"]
    assert (set(answers.values()), script.asked) == ({DIGEST}, 2)
    assert resolve([], script) == {}


def test_eight_at_a_time_for_each_registry() -> None:
    """Sixteen are in flight when two registries are asked, and never more than eight at one."""
    lock, together = threading.Lock(), threading.Barrier(2 * WIDTH)
    now: dict[str, int] = {}
    most: dict[str, int] = {}

    def ask(request: PullRequest) -> str:
        name = request.reference.registry
        with lock:
            now[name] = now.get(name, 0) + 1
            most[name] = max(most.get(name, 0), now[name])
        together.wait(60)
        with lock:
            now[name] -= 1
        return DIGEST

    names = [f"{host}.example/app{number}" for number in range(2 * WIDTH) for host in ("one", "two")]
    assert set(resolve(requests(*names), ask).values()) == {DIGEST}
    assert most == {"one.example": WIDTH, "two.example": WIDTH}


def test_what_may_pass_is_asked_again() -> None:
    """Within the policy, and then it is a failure of that kind."""
    trouble = RegistryError("a.example: status 503", status=503)
    assert only(Script(trouble, trouble, DIGEST)) == DIGEST
    script = Script(trouble)
    answer = only(script)
    assert isinstance(answer, Failure)
    assert (answer.kind, script.asked) == (FailureKind.REGISTRY_5XX, 3)


def test_what_will_not_pass_is_asked_once() -> None:
    """A tag that is not there will not be there in a second."""
    script = Script(RegistryError("a.example: status 404, manifest_unknown: manifest unknown", status=404))
    answer = only(script)
    assert isinstance(answer, Failure)
    assert (answer.kind, script.asked) == (FailureKind.NOT_FOUND, 1)


@pytest.mark.parametrize("words", ["no answer in time", "no connection in time"])
def test_our_clients_own_words_are_understood(words: str) -> None:
    """Its time limits are a kind of their own."""
    answer = only(Script(RegistryError(f"a.example: {words}")))
    assert isinstance(answer, Failure)
    assert answer.kind is FailureKind.TIMEOUT


def test_a_short_wait_is_waited_for_and_a_long_one_is_said() -> None:
    """By all questions to that registry; until when is part of the failure."""
    assert only(Script(RegistryError("a.example: status 429", status=429, wait=0.01), DIGEST)) == DIGEST
    script = Script(RegistryError("a.example: status 429", status=429, wait=3600))
    answers = resolve(requests(*(f"a.example/{n}" for n in range(40))), script, policy=RetryPolicy(max_wait=1))
    failures = [answer for answer in answers.values() if isinstance(answer, Failure)]
    assert len(failures) == 40
    assert {failure.kind for failure in failures} == {FailureKind.RATE_LIMITED}
    assert script.asked <= WIDTH
    assert all(failure.until for failure in failures)


def test_a_registry_that_is_down_is_not_asked_for_ever() -> None:
    """Five connection failures in a row, and a look that finds nobody, speak for all that is left."""
    script = Script(RegistryError("a.example: Connection refused"))
    names = requests(*(f"a.example/{n}" for n in range(200)))
    down = RegistryHealth("a.example", probe=lambda: False)
    answers = resolve(names, script, policy=RetryPolicy(retries=0), health=lambda _: down)
    kinds = {answer.kind for answer in answers.values() if isinstance(answer, Failure)}
    assert kinds == {FailureKind.CONNECTION_REFUSED, FailureKind.REGISTRY_UNAVAILABLE}
    assert script.asked <= 5 + WIDTH


def test_a_fault_of_ours_costs_one_answer() -> None:
    """The others are not lost with it."""
    answer = only(Script(ValueError("no address")))
    assert isinstance(answer, Failure)
    assert (answer.kind, answer.message) == (FailureKind.INTERNAL, "ValueError: no address")


class Shelf:
    """One manifest, its config, and what was asked."""

    def __init__(self, document: Mapping[str, object], config: bytes = b"{}") -> None:
        self._raw = json.dumps(document).encode()
        self._config = config
        self.fetched = 0

    def head(self, reference: ImageReference) -> Described:
        """Say its digest."""
        return Described(DIGEST, OCI.manifest, len(self._raw))

    def manifest(self, reference: ImageReference, digest_or_tag: str | None = None) -> Manifest:
        """Give it out."""
        assert digest_or_tag == DIGEST
        self.fetched += 1
        return Manifest(self._raw, OCI.manifest, DIGEST)

    @contextmanager
    def blob(self, reference: ImageReference, digest: str) -> Iterator[Any]:
        """Give out the config."""
        yield SimpleNamespace(read=lambda _: self._config)


ENTRY = {"digest": DIGEST, "size": 2}
ARM = {"os": "linux", "architecture": "arm", "variant": "v6"}
INDEX = {"manifests": [ENTRY | {"platform": ARM}]}
IMAGE = {"config": ENTRY, "layers": []}


@pytest.mark.parametrize(
    ("shelf", "platform", "fetched"),
    [
        (Shelf(INDEX), None, 0),
        (Shelf(INDEX), "linux/arm/v7", 1),
        (Shelf({"manifests": [ENTRY]}), "linux/arm64", 1),
        (Shelf(IMAGE, json.dumps(ARM).encode()), "linux/arm/v6", 1),
        (Shelf(IMAGE), "linux/arm64", 1),
    ],
)
def test_an_image_is_looked_into_only_for_a_platform(shelf: Shelf, platform: str | None, fetched: int) -> None:
    """All else is one HEAD; an older variant, one that is not said and an artifact's will do, as for engines."""
    request = PullRequest(ImageReference.parse("a"), Platform.parse(platform) if platform else None)
    assert digest_with_platform(request, shelf) == digest_of(request, shelf) == DIGEST
    assert shelf.fetched == fetched


NOTE = {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}


@pytest.mark.parametrize(
    "shelf",
    [
        Shelf(INDEX),
        Shelf({"manifests": [ENTRY | NOTE, ENTRY | {"artifactType": "application/spdx+json"}]}),
        Shelf({"manifests": [ENTRY | {"mediaType": "application/vnd.example.thing+json"}]}),
        Shelf(IMAGE, json.dumps(ARM).encode()),
    ],
)
def test_an_image_without_the_platform_is_no_answer(shelf: Shelf) -> None:
    """It is said now, and not by the engine on the day of the pull; attestations and artifacts are no images."""
    request = PullRequest(ImageReference.parse("a"), Platform.parse("linux/s390x"))
    with pytest.raises(NoPlatformError, match="linux/s390x"):
        digest_with_platform(request, shelf)
