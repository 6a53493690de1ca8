"""Both backends by the API on a made-up engine: what no real one can be made to do."""

import base64
import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from urllib3.connectionpool import HTTPConnectionPool

from puller.cancellation import Cancellation
from puller.engine.api import engine as api
from puller.engine.api.docker_py import SdkEngine
from puller.engine.api.engine import ApiEngine
from puller.engine.endpoint import resolve
from puller.engine.interface import InspectedImage
from puller.errors import CancelledError, EngineError, EngineUnreachableError, FailureKind
from puller.http.client import HttpClient
from puller.http.sockets import Sockets
from puller.image.reference import Platform
from puller.model import EngineResult, PullRequest
from puller.settings import Timeouts
from tests.lab.fakes import EngineAnswer, FakeEngine, Script
from tests.lab.samples import DIGEST, request

Way = type[ApiEngine]


@pytest.fixture(params=[ApiEngine, SdkEngine], ids=["api", "sdk"])
def way(request: pytest.FixtureRequest) -> Way:
    """Choose what pulls: our own client, or docker-py."""
    made: Way = request.param
    return made


def reach(way: Way = ApiEngine) -> ApiEngine:
    """Reach the engine of the environment."""
    return way(resolve(None, os.environ))


LAYER = "0123456789ab"
IDENTITY = "sha256:" + "1" * 64
Start = Callable[..., FakeEngine]


@pytest.fixture(autouse=True)
def _no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing of this machine's docker reach the tests."""
    for name in [name for name in os.environ if name.startswith("DOCKER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker-config"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")


def streaming(*messages: dict[str, object], then: Script = EngineAnswer.message) -> Script:
    """Answer with these messages, and end the stream in good order or otherwise."""

    def script(answer: EngineAnswer) -> None:
        answer.begin(Transfer_Encoding="chunked")
        for message in messages:
            answer.message(**message)
        then(answer)

    return script


def silence(answer: EngineAnswer) -> None:
    """Say nothing until the client leaves; if it has not read everything, that is a reset."""
    with suppress(ConnectionResetError):
        answer.connection.recv(1)


def downloading(current: int) -> dict[str, object]:
    """Tell how far a layer has come."""
    return {"status": "Downloading", "id": LAYER, "progressDetail": {"current": current, "total": 9_000_000}}


def repeat(message: dict[str, object], *, pause: float = 0.02) -> Script:
    """Say the same for ever."""

    def script(answer: EngineAnswer) -> None:
        while True:
            answer.message(**message)
            time.sleep(pause)

    return script


DIGEST_LINE: dict[str, object] = {"status": f"Digest: {DIGEST}"}
STATUS_LINE: dict[str, object] = {"status": "Status: Downloaded newer image for x"}


def pull(way: Way, clocks: Timeouts, *, cancel: Cancellation | None = None) -> EngineResult:
    """Pull one image from the engine."""
    backend = reach(way)
    try:
        return backend.pull(request(), cancel=cancel or Cancellation(), clocks=clocks, progress=lambda _: None)
    finally:
        backend.close()


def failure_of(way: Way, clocks: Timeouts) -> EngineError:
    """Pull one image, which fails."""
    with pytest.raises(EngineError) as caught:
        pull(way, clocks)
    return caught.value


SHORT = Timeouts(attempt=60, stall=0.4, unpack=60)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (silence, "resolving"),
        (streaming(then=silence), "resolving"),
        (streaming({"status": "Pulling fs layer", "id": LAYER}, then=silence), "downloading"),
        (streaming({"status": "Waiting", "id": LAYER}, then=silence), "waiting"),
        (streaming(downloading(3_400_000), then=silence), "downloading (3.4MB/9.0MB)"),
        (streaming(then=repeat(downloading(3_400_000))), "downloading (3.4MB/9.0MB)"),
        (streaming(then=repeat({"status": "Pulling from x", "id": "latest"})), "resolving"),
    ],
)
def test_nothing_new_is_a_stall(tmp_path: Path, way: Way, script: Script, words: str) -> None:
    """Before the answer, in the middle, and while the engine repeats itself ten times a second."""
    with FakeEngine(tmp_path, {"/images/create": script}):
        error = failure_of(way, SHORT)
    assert (error.kind, error.message) == (FailureKind.STALLED, f"stalled: no progress for 0.4s while {words}")


def test_a_trickle_of_half_a_message_is_a_stall(tmp_path: Path, way: Way) -> None:
    """Bytes that make up no message would put off any limit on the socket."""

    def trickle(answer: EngineAnswer) -> None:
        while True:
            answer.wfile.write(b"1\r\n \r\n")
            answer.wfile.flush()
            time.sleep(0.02)

    with FakeEngine(tmp_path, {"/images/create": streaming(then=trickle)}):
        assert failure_of(way, SHORT).kind is FailureKind.STALLED


def test_the_clock_of_unpacking_is_not_wound_by_its_own_ticking(tmp_path: Path, way: Way) -> None:
    """Engine 28 counts the seconds that unpacking takes: that is no progress, but unpacking has its own limit."""

    def tick(answer: EngineAnswer) -> None:
        for second in range(10_000):
            detail = {"current": second, "units": "s"}
            answer.message(status="Extracting", id=LAYER, progressDetail=detail)
            time.sleep(0.02)

    with FakeEngine(tmp_path, {"/images/create": streaming({"status": "Download complete", "id": LAYER}, then=tick)}):
        error = failure_of(way, Timeouts(attempt=60, stall=0.2, unpack=0.8))
    assert error.message == "stalled: no progress for 0.8s while extracting"


def test_an_attempt_has_an_end(tmp_path: Path, way: Way) -> None:
    """Although bytes come and come."""

    def flow(answer: EngineAnswer) -> None:
        for current in range(1_000_000):
            answer.message(**downloading(current))
            time.sleep(0.01)

    with FakeEngine(tmp_path, {"/images/create": streaming(then=flow)}):
        error = failure_of(way, Timeouts(attempt=0.5, stall=60))
    assert (error.kind, error.message) == (FailureKind.TIMEOUT, "not done within 0.5s")


LATE = [
    (ApiEngine, HttpClient, "_take"),
    (ApiEngine, Sockets, "open"),
    (SdkEngine, HTTPConnectionPool, "_get_conn"),
    (SdkEngine, HTTPConnectionPool, "_new_conn"),
]


@pytest.mark.parametrize(("way", "owner", "late"), LATE, ids=["take", "open", "_get_conn", "_new_conn"])
def test_an_attempt_ends_although_its_time_was_over_before_it_was_connected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Way, owner: type, late: str
) -> None:
    """A loaded machine may need that long; the engine, which would pull on, is not asked or is left."""
    name = "_get_conn" if late == "_new_conn" else late
    real: Any = vars(owner)[name]

    def slow(*arguments: Any) -> Any:
        if late != "_new_conn":
            time.sleep(0.6)
            return real(*arguments)
        connection = real(*arguments)
        connect = connection.connect
        connection.connect = lambda: threading.Event().wait(0.6) or connect()
        return connection

    def flow(answer: EngineAnswer) -> None:
        for current in range(300):
            answer.message(**downloading(current))
            time.sleep(0.01)

    with FakeEngine(tmp_path, {"/images/create": streaming(then=flow)}) as fake:
        backend = reach(way)
        monkeypatch.setattr(owner, name, slow)
        with pytest.raises(EngineError) as caught:
            backend.pull(
                request(), cancel=Cancellation(), clocks=Timeouts(attempt=0.3, stall=60), progress=lambda _: None
            )
        backend.close()
    assert (caught.value.kind, caught.value.message) == (FailureKind.TIMEOUT, "not done within 0.3s")
    assert len(fake.asked) <= (2 if late == "_new_conn" else 1)


def test_what_moves_is_no_stall(tmp_path: Path, way: Way) -> None:
    """The whole takes longer than the limit, each step does not."""

    def slowly(answer: EngineAnswer) -> None:
        for current in range(6):
            answer.message(**downloading(current))
            time.sleep(0.2)
        for message in (DIGEST_LINE, STATUS_LINE, {}):
            answer.message(**message)

    with FakeEngine(tmp_path, {"/images/create": streaming(then=slowly)}):
        assert pull(way, Timeouts(stall=0.8)) == EngineResult(DIGEST, up_to_date=False)


@pytest.mark.parametrize("begun", [False, True])
def test_an_engine_that_breaks_off_is_no_registry(tmp_path: Path, way: Way, *, begun: bool) -> None:
    """Whether it had answered or not, its own words are missing: it is the engine that is gone."""

    def hang_up(answer: EngineAnswer) -> None:
        answer.close_connection = True

    script = streaming(downloading(1), then=hang_up) if begun else hang_up
    with FakeEngine(tmp_path, {"/images/create": script}):
        error = failure_of(way, Timeouts())
    assert error.kind is FailureKind.ENGINE_DISCONNECTED
    assert error.message.startswith("the engine closed the connection: ")


def test_the_registrys_end_is_the_registrys(tmp_path: Path, way: Way) -> None:
    """What the engine says of a broken connection is left to be read."""
    script = streaming({"error": "unexpected EOF", "errorDetail": {"message": "unexpected EOF"}})
    with FakeEngine(tmp_path, {"/images/create": script}):
        error = failure_of(way, Timeouts())
    assert (error.kind, error.message) == (None, "unexpected EOF")


def test_cancelling_counts_more_than_a_stall(tmp_path: Path, way: Way) -> None:
    """A pull that is broken off by the user is cancelled."""
    cancel = Cancellation()
    with FakeEngine(tmp_path, {"/images/create": streaming(then=silence)}):
        threading.Timer(0.2, cancel.cancel, ("enough",)).start()
        with pytest.raises(CancelledError, match="enough"):
            pull(way, Timeouts(stall=60), cancel=cancel)


def test_the_engine_notices_that_a_pull_is_cancelled(tmp_path: Path, way: Way) -> None:
    """The connection is shut down at once; with an open one, the engine would continue."""
    cancel, left = Cancellation(), threading.Event()

    def waits(answer: EngineAnswer) -> None:
        cancel.cancel("enough")
        silence(answer)
        left.set()

    with FakeEngine(tmp_path, {"/images/create": streaming(downloading(1), then=waits)}):
        with pytest.raises(CancelledError, match="enough"):
            pull(way, Timeouts(stall=60), cancel=cancel)
        assert left.wait(60)


def test_pulls_share_a_connection(tmp_path: Path) -> None:
    """And a connection that the engine has closed meanwhile is replaced."""
    seen = []

    def noted(answer: EngineAnswer) -> None:
        seen.append(answer.connection)
        streaming(DIGEST_LINE, STATUS_LINE)(answer)
        answer.close_connection = len(seen) > 1

    with FakeEngine(tmp_path, {"/images/create": noted}):
        backend = reach()
        for _ in range(3):
            backend.pull(request(), cancel=Cancellation(), clocks=SHORT, progress=lambda _: None)
        backend.close()
    assert seen[0] is seen[1] is not seen[2]


@pytest.mark.parametrize(
    ("accounts", "sent"),
    [
        ({}, {}),
        (
            {"https://index.docker.io/v1/": {"auth": base64.b64encode("jo:p\u00e4ss?>~".encode()).decode()}},
            {"username": "jo", "password": "p\u00e4ss?>~", "serveraddress": "https://index.docker.io/v1/"},
        ),
    ],
    ids=["anonymous", "an account"],
)
def test_the_account_is_sent_as_docker_sends_it(
    tmp_path: Path, way: Way, accounts: dict[str, object], sent: dict[str, str]
) -> None:
    """With the image, its tag and its platform; without an account, an empty one."""
    (tmp_path / "docker-config").mkdir()
    (tmp_path / "docker-config/config.json").write_text(json.dumps({"auths": accounts}))
    headers = []

    def noted(answer: EngineAnswer) -> None:
        headers.append(answer.headers["X-Registry-Auth"])
        streaming(DIGEST_LINE, STATUS_LINE)(answer)

    with FakeEngine(tmp_path, {"/images/create": noted}) as engine:
        backend = reach(way)
        asked = PullRequest(request().reference, Platform.parse("linux/arm64"))
        backend.pull(asked, cancel=Cancellation(), clocks=SHORT, progress=lambda _: None)
        backend.close()
    assert json.loads(base64.urlsafe_b64decode(headers[0])) == sent
    query = parse_qs(engine.asked[-1].partition("?")[2])
    assert query == {"fromImage": ["docker.io/library/nginx"], "tag": ["1.27"], "platform": ["linux/arm64"]}


def test_a_pull_that_is_cancelled_already_asks_the_engine_for_nothing(tmp_path: Path, way: Way) -> None:
    """Even an engine that would end it at once is not told to begin."""
    cancel = Cancellation()
    cancel.cancel("enough")
    with FakeEngine(tmp_path, {"/images/create": streaming(DIGEST_LINE, STATUS_LINE)}) as engine:
        with pytest.raises(CancelledError, match="enough"):
            pull(way, Timeouts(), cancel=cancel)
        assert [path for path in engine.asked if path.startswith("/images")] == []


def test_inspecting_can_be_cancelled(tmp_path: Path) -> None:
    """An engine that does not answer holds nobody who wants to leave."""
    cancel = Cancellation()
    with FakeEngine(tmp_path, {"/images/": silence}):
        backend = reach()
        threading.Timer(0.2, cancel.cancel, ("enough",)).start()
        for _ in range(2):  # the second time it is too late from the beginning
            with pytest.raises(CancelledError, match="enough"):
                backend.inspect(request().reference, cancel=cancel)
        backend.close()


def test_an_engine_without_a_version_in_its_ping_is_asked_once(tmp_path: Path) -> None:
    """It is then asked for its version."""
    scripts: dict[str, Script] = {
        "/_ping": lambda answer: answer.answer(b"OK"),
        "/version": lambda answer: answer.answer(b'{"ApiVersion": "1.41"}', Content_Type="application/json"),
    }
    with FakeEngine(tmp_path, scripts) as engine:
        backend = reach()
        assert backend.engine == "engine of unknown version through its API (1.41)"
        backend.close()
    assert engine.asked == ["/_ping", "/version"]


def test_an_engine_is_alive_when_it_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It hangs, is ill, or is gone: then it is not, and nothing raises."""
    monkeypatch.setattr(api, "_ALIVE_SECONDS", 0.3)
    with FakeEngine(tmp_path, {}) as engine:
        backend = reach()
        assert backend.alive()
        engine.scripts["/_ping"] = lambda answer: answer.answer(b"ill", 500)
        assert not backend.alive()
        engine.scripts["/_ping"] = silence
        assert not backend.alive()
    assert not backend.alive()
    with FakeEngine(tmp_path, {}):
        assert backend.alive()
    backend.close()
    with pytest.raises(EngineUnreachableError):
        reach()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (
            f'{{"Id": "{IDENTITY}", "RepoDigests": ["nginx@{DIGEST}", "x@{DIGEST}"]}}',
            InspectedImage(IDENTITY, (DIGEST,)),
        ),
        (f'{{"Id": "{IDENTITY}", "RepoDigests": null}}', InspectedImage(IDENTITY)),
        ("[]", None),
        ("{", None),
        ('{"RepoDigests": [1]}', None),
    ],
)
def test_what_an_engine_says_of_an_image_is_believed_or_not(
    tmp_path: Path, body: str, found: InspectedImage | None
) -> None:
    """Of nonsense nothing is known."""
    with FakeEngine(tmp_path, {"/images/": lambda answer: answer.answer(body.encode())}) as engine:
        backend = reach()
        assert backend.inspect(request(f"nginx:1.27@{DIGEST}").reference, cancel=Cancellation()) == found
        backend.close()
    assert engine.asked[-1] == f"/images/docker.io/library/nginx@{DIGEST}/json"


def cut(answer: EngineAnswer) -> None:
    """Announce more than comes."""
    answer.send_response(200)
    answer.send_header("Content-Length", "100")
    answer.end_headers()
    answer.wfile.write(b"[]")
    answer.close_connection = True


@pytest.mark.parametrize(
    ("script", "words", "kind"),
    [
        (lambda answer: answer.answer(b'{"message": "no such thing"}', 500), "no such thing", None),
        (lambda answer: answer.answer(b"ill", 500), "Internal Server Error|ill", None),
        (lambda answer: answer.answer(b"[1]"), "not what engines answer$", FailureKind.DAEMON_BAD_RESPONSE),
        (lambda answer: answer.answer(b"["), "not JSON$", FailureKind.DAEMON_BAD_RESPONSE),
        (cut, "the engine closed the connection", FailureKind.ENGINE_DISCONNECTED),
    ],
)
def test_a_list_of_images_that_makes_no_sense(
    tmp_path: Path, script: Script, words: str, kind: FailureKind | None
) -> None:
    """Is an engine's failure, in its own words where it has some."""
    with FakeEngine(tmp_path, {"/images/json": script}):
        backend = reach()
        with pytest.raises(EngineError, match=words) as caught:
            backend.store.holdings()
        backend.close()
    assert caught.value.kind is kind


@pytest.mark.parametrize("detail", [None, {}, {"message": ""}, {"message": None}, [2]])
def test_an_error_without_words_is_an_error(tmp_path: Path, way: Way, detail: object) -> None:
    """Even where the rest of the stream claims success."""
    message: dict[str, object] = {"error": "", "errorDetail": detail}
    with FakeEngine(tmp_path, {"/images/create": streaming(message, DIGEST_LINE, STATUS_LINE)}):
        assert failure_of(way, SHORT).message == "the engine reports an error without a message"


@pytest.mark.parametrize(
    "data",
    [b"<html>", b"[" * 100_000, b'{"status": "Pul', b'{"status": "' + b"x" * (17 << 20)],
    ids=["page", "nested", "cut", "long"],
)
def test_messages_that_cannot_be_read_are_an_error_of_the_engine(tmp_path: Path, way: Way, data: bytes) -> None:
    """A proxy between may write a page, or cut the stream in the middle of a message."""

    def garbage(answer: EngineAnswer) -> None:
        answer.begin(Content_Length=str(len(data)))
        answer.wfile.write(data)

    with FakeEngine(tmp_path, {"/images/create": garbage}):
        error = failure_of(way, Timeouts(attempt=60, stall=60))
    assert (error.kind, error.message) == (
        FailureKind.ENGINE_DISCONNECTED,
        "the engine's messages about the pull cannot be read",
    )


def test_an_error_of_any_length_is_the_images(tmp_path: Path) -> None:
    """The engine repeats what a registry sent, in the form of an error: it still is one that speaks the API."""
    body = b'{"message": "' + b"x" * (17 << 20) + b'"}'
    with FakeEngine(tmp_path, {"/images/create": lambda answer: answer.answer(body, 500)}):
        error = failure_of(ApiEngine, SHORT)
    assert (error.status, error.kind, error.message) == (500, None, "Internal Server Error")


@pytest.mark.parametrize("number", [-5, True, 1.5, 10**400, "5", None])
def test_a_number_of_bytes_that_cannot_be_is_not_counted(tmp_path: Path, way: Way, number: object) -> None:
    """The pull succeeds."""
    odd: dict[str, object] = {
        "status": "Downloading",
        "id": LAYER,
        "progressDetail": {"current": number, "total": number},
    }
    with FakeEngine(tmp_path, {"/images/create": streaming(odd, DIGEST_LINE, STATUS_LINE)}):
        assert pull(way, SHORT) == EngineResult(DIGEST, up_to_date=False)


def test_an_engine_that_does_not_describe_itself_is_asked_once(tmp_path: Path) -> None:
    """Whoever asks next learns at once that it does not answer."""
    with FakeEngine(tmp_path, {"/info": lambda answer: answer.answer(b"[1]")}) as fake:
        backend = reach()
        for _ in range(3):
            with pytest.raises(EngineError, match="description of itself cannot be read"):
                backend.store.facts()
        backend.close()
    assert fake.asked.count("/info") == 1


def test_an_api_version_of_the_environment_must_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It becomes part of every path."""
    monkeypatch.setenv("DOCKER_API_VERSION", "../x")
    with (
        FakeEngine(tmp_path, {}),
        pytest.raises(EngineUnreachableError, match="DOCKER_API_VERSION is not an API version"),
    ):
        reach()
