"""puller as a library: one call, no output of its own."""

import os
from pathlib import Path

import pytest

from puller import EngineUnreachableError, Event, ListError, Platform, PullerError, Status, pull_images
from puller.errors import UsageError
from puller.events import Finished, RunStarted
from puller.settings import BackendChoice, PrefetchMode, PrefetchSettings, RetryPolicy, Settings
from tests.lab.fakes import FakeProgram, complain, good_pull
from tests.lab.samples import DIGEST


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeProgram:
    """Put a made-up docker first in PATH, and nothing of this machine's behind it."""
    for name in [name for name in os.environ if name.startswith("DOCKER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker-config"))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    bad = complain("Error response from daemon: manifest unknown")
    return FakeProgram(tmp_path, pull=f'case "$*" in *missing*)\n{bad}\n;; esac\n{good_pull()}')


def test_images_in_a_report_out(docker: FakeProgram, capfd: pytest.CaptureFixture[str]) -> None:
    """One outcome for each image, in order, spellings kept; a missing one is a value; nothing is printed."""
    report = pull_images(["nginx", "a/missing", "docker.io/library/nginx:latest"], backend="cli")
    assert [(each.requested, each.status) for each in report.outcomes] == [
        (("nginx", "docker.io/library/nginx:latest"), Status.PULLED),
        (("a/missing",), Status.FAILED),
    ]
    assert report.outcomes[0].digest == DIGEST
    assert not report.ok
    assert len(docker.pulls) == 2
    assert capfd.readouterr() == ("", "")


def test_a_platform_is_for_every_image(docker: FakeProgram) -> None:
    """`platform` reaches the engine and the report."""
    report = pull_images(["nginx"], platform=Platform.parse("linux/arm64"), backend=BackendChoice.CLI)
    assert docker.pulls == [["pull", "--platform", "linux/arm64", "docker.io/library/nginx:latest"]]
    assert str(report.outcomes[0].platform) == "linux/arm64"


def test_settings_and_observer_are_used(docker: FakeProgram) -> None:
    """The caller decides how patient the run is, and sees its events."""
    docker.path.write_text(docker.path.read_text().replace("manifest unknown", "unexpected EOF"))
    events: list[Event] = []
    settings = Settings(jobs=1, retry=RetryPolicy(retries=2, delay=0.0))
    report = pull_images(["a/missing"], settings=settings, backend="cli", observer=events.append)
    assert len(report.outcomes[0].attempts) == len(docker.pulls) == 3 + 1  # the second pass
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], Finished)


def test_all_settings_count(docker: FakeProgram, caplog: pytest.LogCaptureFixture) -> None:
    """Prefetching and the disk check, too: why this engine cannot have them is logged."""
    caplog.set_level("INFO", logger="puller")
    settings = Settings(prefetch=PrefetchSettings(PrefetchMode.ALWAYS))
    assert pull_images(["nginx"], settings=settings, backend="cli").ok
    assert "nothing is prefetched" in caplog.text
    assert "disk not checked" in caplog.text
    caplog.clear()
    pull_images(["nginx"], settings=Settings(disk_check=False), backend="cli")
    assert caplog.text == ""


def test_any_iterable_will_do(docker: FakeProgram) -> None:
    """A generator is read once."""
    assert len(pull_images((f"app{n}" for n in range(3)), backend="cli").outcomes) == 3


def test_bad_references_are_told_all_at_once(docker: FakeProgram) -> None:
    """Nothing is pulled when one of the references is none."""
    with pytest.raises(ListError) as caught:
        pull_images(["nginx", "UPPER", "--all-tags", "a b"], backend="cli")
    assert len(caught.value.problems) == 3
    assert docker.calls == []


def test_no_images_are_an_error(docker: FakeProgram) -> None:
    """An empty list is more likely a mistake than a wish."""
    with pytest.raises(ListError):
        pull_images([], backend="cli")


def test_what_keeps_a_run_from_beginning_is_a_puller_error(docker: FakeProgram) -> None:
    """An engine that is not there, a context that does not exist: one family of exceptions."""
    with pytest.raises(UsageError, match="prodd"):
        pull_images(["nginx"], backend="cli", context="prodd")
    docker.path.unlink()
    with pytest.raises(EngineUnreachableError, match="nowhere: command not found"):
        pull_images(["nginx"], docker_command="nowhere")
    assert issubclass(EngineUnreachableError, PullerError)


def test_a_backend_that_does_not_exist_is_a_value_error() -> None:
    """A typing mistake is told before anything is done."""
    with pytest.raises(ValueError, match="carrier-pigeon"):
        pull_images(["nginx"], backend="carrier-pigeon")
