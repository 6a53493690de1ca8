"""Engines that lie, hang or talk nonsense, as `puller pull` shows them."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.lab.fakes import EngineAnswer, FakeEngine, Script
from tests.lab.program import SECONDS, Program, Run
from tests.lab.samples import DIGEST
from tests.unit.engine.test_api_fake import DIGEST_LINE, STATUS_LINE, downloading, silence, streaming

ONCE = ("--backend", "api", "--retries", "0", "--no-second-pass", "--no-disk-check", "--no-lock", "--format", "json")
QUIET_SECONDS = 5
"""How long an engine may be silent on a question that a pull does not need."""


def json_answer(text: str, status: int = 200) -> Script:
    """Answer with a JSON document."""
    return lambda answer: answer.answer(text.encode(), status)


def hang_up(answer: EngineAnswer) -> None:
    """Close the connection without an answer."""
    answer.close_connection = True


CALM: dict[str, Script] = {"/info": json_answer('{"ID": "x", "OSType": "linux"}'), "/images/json": json_answer("[]")}


def pull(folder: Path, *arguments: str, engine: dict[str, Script]) -> Run:
    """Pull one image from an engine that does this."""
    with FakeEngine(folder, CALM | engine) as fake:
        environment = {"DOCKER_HOST": fake.host, "DOCKER_CONFIG": str(folder / "docker")}
        return Program(folder, environment).run("pull", *ONCE, "--image", "127.0.0.1:1/app", *arguments)


def error_of(run: Run) -> dict[str, Any]:
    """Return the error of the only image, which has failed."""
    (image,) = run.images
    assert (image["status"], run.code in (1, 75)) == ("failed", True)
    return dict(image["error"])


@pytest.mark.parametrize("platform", [(), ("--platform", "linux/arm64")], ids=["own platform", "other platform"])
@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(streaming(), id="empty"),
        pytest.param(streaming({"status": "Pulling from app"}, downloading(1000)), id="cut"),
        pytest.param(streaming(STATUS_LINE), id="success"),
        pytest.param(streaming(DIGEST_LINE, STATUS_LINE), id="success with digest"),
        pytest.param(streaming({"error": "", "errorDetail": {"message": ""}}), id="error without text"),
    ],
)
def test_no_success_without_the_image(tmp_path: Path, stream: Script, platform: tuple[str, ...]) -> None:
    """However a pull ends: if the engine has no such image, the image has failed."""
    error = error_of(pull(tmp_path, *platform, engine={"/images/create": stream}))
    assert error["kind"] not in ("internal", "unclassified")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(json_answer('{"message": "no"}', 500), id="500"),
        pytest.param(json_answer("[1]"), id="nonsense"),
        pytest.param(hang_up, id="no answer"),
    ],
)
def test_a_pull_that_cannot_be_checked_is_unverified(tmp_path: Path, answer: Script) -> None:
    """An engine that cannot be asked for the image is no proof that the image is there."""
    run = pull(tmp_path, engine={"/images/create": streaming(DIGEST_LINE, STATUS_LINE), "/images/": answer})
    assert error_of(run)["kind"] == "unverified"


def test_an_engine_that_answers_only_pings_delays_a_pull_by_seconds(tmp_path: Path) -> None:
    """Questions are asked beside each other, for five seconds; with -v puller says what it does not know."""
    began: list[float] = []

    def create(answer: EngineAnswer) -> None:
        began.append(time.monotonic())
        streaming(DIGEST_LINE, STATUS_LINE)(answer)

    image = json_answer(f'{{"Id": "sha256:{"1" * 64}", "RepoDigests": ["127.0.0.1:1/app@{DIGEST}"]}}')
    silent = {"/info": silence, "/images/json": silence, "/images/create": create, "/images/": image}
    started = time.monotonic()
    run = pull(tmp_path, "-v", engine=silent)
    assert [each["status"] for each in run.images] == ["pulled"]
    assert began[0] - started < QUIET_SECONDS + 3
    assert time.monotonic() - started < 2 * QUIET_SECONDS + 5
    assert "does not answer" in run.stderr or "did not answer" in run.stderr


@pytest.mark.parametrize("version", ["1.41\x1b[31mX", "abc", "../../x?", "9" * 5000])
def test_an_api_version_that_is_none_is_refused(tmp_path: Path, version: str) -> None:
    """It becomes part of no path, and its control characters reach no terminal."""

    def ping(answer: EngineAnswer) -> None:
        answer.answer(b"OK", Api_Version=version, Server="Docker/9\x1b[31m (linux)")

    with FakeEngine(tmp_path, {"/_ping": ping} | CALM) as fake:
        environment = {"DOCKER_HOST": fake.host, "DOCKER_CONFIG": str(tmp_path / "docker")}
        begun = Program(tmp_path, environment).begin("pull", *ONCE, "-v", "--image", "127.0.0.1:1/app")
        code, stdout, stderr = begun.ended(SECONDS)
        assert {path for path in fake.asked if path not in ("/_ping", "/version")} == set()
    assert (code, "API version" in stderr) == (69, True)
    assert "\x1b" not in stdout + stderr
    assert "internal" not in stdout + stderr
