"""The command-line backend on a made-up `docker`: what it is called with, and what is made of its words and ways."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from puller.cancellation import Cancellation
from puller.engine.cli import engine as cli
from puller.engine.cli.engine import CliEngine
from puller.engine.endpoint import locate
from puller.engine.interface import NOTHING, InspectedImage
from puller.errors import CancelledError, EngineError, EngineUnreachableError, FailureKind, UsageError
from puller.events import Phase, Progress
from puller.failure import classify
from puller.image.reference import Platform
from puller.model import EngineResult
from puller.settings import BackendChoice, Timeouts
from tests.lab.fakes import DOCKER_VERSION, FLOOD, HANG, PROMPT, STUBBORN, FakeProgram, complain, draw, good_pull, say
from tests.lab.samples import DIGEST, request
from tests.unit.engine.test_endpoint import Home

IDENTITY = "sha256:" + "1" * 64
LAYER = "0123456789ab"
PODMAN_VERSION = "echo 4.3.1"


@pytest.fixture(autouse=True)
def _no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing of this machine's docker reach the tests."""
    for name in [name for name in os.environ if name.startswith("DOCKER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker-config"))


def reached(program: Path, context: str | None = None) -> CliEngine:
    """Reach the engine through this program."""
    return CliEngine(locate(BackendChoice.CLI, docker_command=str(program), context=context), str(program))


def described(identity: str, *digests: str, **more: str) -> str:
    """Print what `image inspect` prints of one image."""
    return say(json.dumps([{"Id": identity, "RepoDigests": digests, **more}]))


def pull(
    program: FakeProgram,
    text: str = "nginx:1.27",
    platform: str | None = None,
    *,
    cancel: Cancellation | None = None,
    timeout: float | None = 60,
    stall: float | None = 60,
    unpack: float | None = 60,
    progress: Callable[[Progress], None] = lambda _: None,
) -> EngineResult:
    """Pull one image with this program."""
    backend = reached(program.path)
    return backend.pull(
        request(text, platform),
        cancel=Cancellation() if cancel is None else cancel,
        clocks=Timeouts(timeout, stall, unpack),
        progress=progress,
    )


def failure_of(
    program: FakeProgram, *, timeout: float | None = 60, stall: float | None = 60, unpack: float | None = 60
) -> EngineError:
    """Pull one image, which fails."""
    with pytest.raises(EngineError) as caught:
        pull(program, timeout=timeout, stall=stall, unpack=unpack)
    return caught.value


# What the program is called with.


@pytest.mark.parametrize(
    ("text", "platform", "arguments"),
    [
        ("nginx", None, ["pull", "docker.io/library/nginx:latest"]),
        ("nginx:1.27", "linux/arm/v7", ["pull", "--platform", "linux/arm/v7", "docker.io/library/nginx:1.27"]),
        (f"h:5000/a/b@{DIGEST}", None, ["pull", f"h:5000/a/b@{DIGEST}"]),
        (f"h:5000/a/b:v1@{DIGEST}", "linux/amd64", ["pull", "--platform", "linux/amd64", f"h:5000/a/b@{DIGEST}"]),
    ],
)
def test_the_command_line_is_exactly_this(
    tmp_path: Path, text: str, platform: str | None, arguments: list[str]
) -> None:
    """`docker pull [--platform P] CANONICAL`, without a tag where there is a digest, and nothing else."""
    program = FakeProgram(tmp_path)
    pull(program, text, platform)
    assert program.pulls == [arguments]


def test_a_context_stands_before_the_verb(tmp_path: Path) -> None:
    """`docker --context X pull …`, in the probe, too."""
    Home(tmp_path / "docker-config").context("far")
    program = FakeProgram(tmp_path / "bin")
    backend = reached(program.path, "far")
    backend.pull(request("nginx"), cancel=Cancellation(), clocks=Timeouts(), progress=lambda _: None)
    assert program.pulls == [["--context", "far", "pull", "docker.io/library/nginx:latest"]]
    assert all(call[:2] == ["--context", "far"] for call in program.calls)


def test_the_environment_goes_along_in_english(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DOCKER_HOST and the rest reach the program; its words are English."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.2:2375")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    program = FakeProgram(tmp_path)
    pull(program)
    assert program.environment["DOCKER_HOST"] == "tcp://10.0.0.2:2375"
    assert program.environment["LC_ALL"] == "C"


def test_the_engine_has_a_name(tmp_path: Path) -> None:
    """Observers are told the engine's version and how it is reached."""
    assert reached(FakeProgram(tmp_path).path).engine == "engine 28.5.2 through the docker command"


def test_a_program_without_a_version_has_a_name_too(tmp_path: Path) -> None:
    """An empty answer is no crash."""
    backend = reached(FakeProgram(tmp_path, version="true").path)
    assert backend.engine == "engine ? through the docker command"
    backend.close()


# What comes of a pull.


def test_an_image_is_pulled(tmp_path: Path) -> None:
    """The digest and whether something was fetched are read from the program's lines."""
    assert pull(FakeProgram(tmp_path, pull=good_pull("0123456789ab"))) == EngineResult(DIGEST, up_to_date=False)


def test_an_image_is_up_to_date(tmp_path: Path) -> None:
    """The program's own word counts."""
    program = FakeProgram(tmp_path, pull=good_pull(status="Image is up to date for nginx:1.27"))
    assert pull(program) == EngineResult(DIGEST, up_to_date=True)
    assert [call[0] for call in program.calls] == ["version", "pull"]


def test_a_terminal_is_told_bytes(tmp_path: Path) -> None:
    """Docker draws bars on the terminal that it is given; the bytes are read from them."""
    bars = [draw(LAYER, f"Downloading [=>  ]  {n}.5MB/4.5MB") for n in range(5)]
    heard: list[Progress] = []
    pulled = pull(FakeProgram(tmp_path, pull="\n".join([*bars, "sleep 0.2", good_pull(LAYER)])), progress=heard.append)
    assert pulled == EngineResult(DIGEST, up_to_date=False)
    assert (heard[-1].current, heard[-1].total) == (4_500_000, 4_500_000)


def test_progress_is_layers(tmp_path: Path) -> None:
    """Without a terminal the program tells no bytes, but what each layer is at."""
    heard: list[Progress] = []
    pull(FakeProgram(tmp_path, pull=good_pull("aaaaaaaaaaaa", "bbbbbbbbbbbb")), progress=heard.append)
    assert heard[0].phase is Phase.DOWNLOADING
    assert {event.total for event in heard} == {0}
    assert heard[-1].layers >= 1


def test_a_digest_that_was_not_told_is_asked_for(tmp_path: Path) -> None:
    """A program that says nothing of a digest is asked by inspect."""
    answer = described(IDENTITY, f"nginx@{DIGEST}")
    assert pull(FakeProgram(tmp_path, pull="true", inspect=answer)) == EngineResult(DIGEST, up_to_date=False)


@pytest.mark.parametrize(
    "answer", ["exit 1", "true", say("{"), say("[1,2,3]"), say("[]"), described("x"), described("x", "y")]
)
def test_an_inspect_that_fails_costs_only_the_digest(tmp_path: Path, answer: str) -> None:
    """The image was pulled; that its digest is unknown is no failure."""
    assert pull(FakeProgram(tmp_path, pull="true", inspect=answer)) == EngineResult(None, up_to_date=False)


def test_ten_megabytes_of_words_are_no_failure(tmp_path: Path) -> None:
    """A program that says too much is heard to its end."""
    assert pull(FakeProgram(tmp_path, pull=f"{FLOOD}\necho\n{good_pull()}")).digest == DIGEST


# Failures.


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Error response from daemon: manifest unknown", FailureKind.NOT_FOUND),
        ("unexpected EOF", FailureKind.UNEXPECTED_EOF),
        ("Error response from daemon: toomanyrequests: slow down", FailureKind.RATE_LIMITED),
        (
            "Error: initializing source docker://h/x:v1: reading manifest v1 in h/x: manifest unknown",
            FailureKind.NOT_FOUND,
        ),
        (
            "Cannot connect to the Docker daemon at unix:///x.sock. Is the docker daemon running?",
            FailureKind.DAEMON_UNREACHABLE,
        ),
        ("failed to register layer: write /x: no space left on device", FailureKind.DISK_FULL),
    ],
)
def test_the_programs_words_are_the_failure(tmp_path: Path, words: str, kind: FailureKind) -> None:
    """Standard error is classified, without the prefixes that say only who is talking."""
    error = failure_of(FakeProgram(tmp_path, pull=complain(words)))
    assert (error.kind or classify(error.message, error.status).kind) is kind
    assert error.message == words.removeprefix("Error: ").removeprefix("Error response from daemon: ")


def test_an_exit_code_without_words_is_a_failure(tmp_path: Path) -> None:
    """A program that fails in silence has failed; one that complains on standard output is quoted."""
    assert failure_of(FakeProgram(tmp_path, pull="exit 5")).message == "exit code 5"
    assert failure_of(FakeProgram(tmp_path, pull="echo sorry; exit 1")).message == "sorry"


def test_a_status_line_is_no_success(tmp_path: Path) -> None:
    """The exit code counts, whatever was printed before."""
    program = FakeProgram(tmp_path, pull=good_pull() + "\n" + complain("unexpected EOF"))
    assert failure_of(program).message == "unexpected EOF"


@pytest.mark.parametrize("prompt", ["Username: ", "Username (bob): ", "Password: "])
def test_a_login_prompt_is_unauthorized(tmp_path: Path, prompt: str) -> None:
    """CLI 28 waits for ever for a user name after a 401; nobody else does."""
    error = failure_of(FakeProgram(tmp_path, pull=PROMPT.replace("Username: ", prompt)), timeout=None)
    assert error.kind is FailureKind.UNAUTHORIZED


def test_a_time_limit_is_a_timeout(tmp_path: Path) -> None:
    """A program that hangs is ended, and the failure may pass."""
    error = failure_of(FakeProgram(tmp_path, pull=HANG), timeout=0.3)
    assert (error.kind, error.message) == (FailureKind.TIMEOUT, "not done within 0.3s")


def test_a_stubborn_program_is_ended_too(tmp_path: Path) -> None:
    """One that ignores SIGTERM and leaves a line unfinished ends like any other."""
    program = FakeProgram(tmp_path, pull=f"echo $$ > '{tmp_path / 'pid'}'; {STUBBORN}")
    assert failure_of(program, timeout=0.3).kind is FailureKind.TIMEOUT
    assert not running(tmp_path / "pid")


def test_cancelling_ends_the_program(tmp_path: Path) -> None:
    """A pull that is broken off leaves no process behind."""
    pid, cancel = tmp_path / "pid", Cancellation()
    program = FakeProgram(tmp_path, pull=f"echo $$ > '{pid}'; {HANG}")

    def stop() -> None:
        await_file(pid)
        cancel.cancel("stop")

    threading.Thread(target=stop).start()
    with pytest.raises(CancelledError, match="stop"):
        pull(program, cancel=cancel, timeout=None)
    assert not running(pid)


def test_a_pull_that_is_cancelled_already_starts_no_program(tmp_path: Path) -> None:
    """Even a program that would be done before it could be ended."""
    program, cancel = FakeProgram(tmp_path), Cancellation()
    cancel.cancel("stop")
    with pytest.raises(CancelledError, match="stop"):
        pull(program, cancel=cancel)
    assert program.pulls == []


def test_a_program_that_vanishes_is_an_engine_that_is_gone(tmp_path: Path) -> None:
    """A docker that is uninstalled in the middle of a run ends it."""
    program = FakeProgram(tmp_path)
    backend = reached(program.path)
    program.path.unlink()
    with pytest.raises(EngineError, match="docker cannot be run") as caught:
        backend.pull(request(), cancel=Cancellation(), clocks=Timeouts(), progress=lambda _: None)
    assert caught.value.kind is FailureKind.DAEMON_UNREACHABLE


# What stalls.


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("true", "resolving"),
        ("echo 'latest: Pulling from x'", "resolving"),
        (draw(LAYER, "Pulling fs layer"), "downloading"),
        (draw(LAYER, "Waiting"), "waiting"),
        (draw(LAYER, "Downloading [>  ] 1.5MB/3MB"), "downloading (1.5MB/3.0MB)"),
    ],
)
def test_silence_is_a_stall(tmp_path: Path, says: str, words: str) -> None:
    """A docker that draws is expected to draw something new."""
    error = failure_of(FakeProgram(tmp_path, pull=f"{says}\n{HANG}"), stall=0.5)
    assert (error.kind, error.message) == (FailureKind.STALLED, f"stalled: no progress for 0.5s while {words}")


@pytest.mark.parametrize(
    "again",
    [
        draw(LAYER, "Downloading [>  ] 1.5MB/3MB"),
        "echo elapsed: $((n += 1))s",
        "echo 'Pulling from x'",
        "printf .; echo",
    ],
)
def test_saying_it_again_is_silence(tmp_path: Path, again: str) -> None:
    """The containerd store repeats what it has said ten times a second; nerdctl counts seconds."""
    begin = draw(LAYER, "Downloading [>  ] 1.5MB/3MB")
    program = FakeProgram(tmp_path, pull=f"n=0\n{begin}\nwhile :; do {again}; sleep 0.05; done")
    assert failure_of(program, stall=0.6).kind is FailureKind.STALLED


@pytest.mark.parametrize(
    "steps",
    [
        [draw(LAYER, f"Downloading [>  ] {n}MB/9MB") for n in range(6)],
        [draw(LAYER, "Retrying in 5 seconds"), draw(LAYER, "Waiting"), *(f"echo {n}" for n in range(4))],
    ],
)
def test_what_moves_is_no_stall(tmp_path: Path, steps: list[str]) -> None:
    """The whole takes longer than the limit, each step does not."""
    slow = "\nsleep 0.3\n".join([*steps, good_pull(LAYER)])
    assert pull(FakeProgram(tmp_path, pull=slow), stall=1.0).digest == DIGEST


def test_unpacking_may_be_silent(tmp_path: Path) -> None:
    """It has a limit of its own, in which a clock that the engine draws counts for nothing."""
    fetched, ticks = draw(LAYER, "Download complete"), draw(LAYER, "Extracting $((n += 1)) s")
    patient = FakeProgram(tmp_path, pull=f"{fetched}\nsleep 1\n{good_pull(LAYER)}")
    assert pull(patient, stall=0.3).digest == DIGEST
    stuck = FakeProgram(tmp_path, pull=f"n=0\n{fetched}\nwhile :; do {ticks}; sleep 0.1; done")
    error = failure_of(stuck, unpack=0.8)
    assert error.message == "stalled: no progress for 0.8s while extracting"


PODMAN_LINES = say("Trying to pull x...", "Getting image source signatures", "Copying blob sha256:" + "a" * 64)


@pytest.mark.parametrize(
    ("name", "version", "lines"),
    [
        ("podman", PODMAN_VERSION, f"{{ {PODMAN_LINES}\n}} >&2"),
        ("nerdctl", "echo 1.7", say("x: resolving", f"layer-sha256:{'a' * 64}: downloading |+-| 1.0 KiB/2.0 KiB")),
        ("docker", DOCKER_VERSION, say(f"{LAYER}: Pulling fs layer")),
    ],
)
def test_who_tells_no_bytes_may_be_silent_while_it_downloads(
    tmp_path: Path, name: str, version: str, lines: str
) -> None:
    """Of podman, nerdctl and a docker without a terminal, silence in a download means as little as in unpacking."""
    program = FakeProgram(tmp_path, name=name, version=version, pull=f"{lines}\nsleep 1")
    assert pull(program, stall=0.5).digest is None
    program = FakeProgram(tmp_path, name=name, version=version, pull=f"{lines}\n{HANG}")
    assert failure_of(program, unpack=0.5).message == "stalled: no progress for 0.5s while downloading"
    program = FakeProgram(tmp_path, name=name, version=version, pull=f"echo 'Trying to pull x...' >&2\n{HANG}")
    assert failure_of(program, stall=0.5).message == "stalled: no progress for 0.5s while resolving"


# Reaching the engine.


def test_an_engine_is_alive_when_it_tells_its_version(tmp_path: Path) -> None:
    """The probe is asked again each time; nothing that happens raises."""
    program = FakeProgram(tmp_path)
    backend = reached(program.path)
    assert backend.alive()
    FakeProgram(tmp_path, version=complain("Cannot connect to the Docker daemon"))
    assert not backend.alive()
    program.path.unlink()
    assert not backend.alive()


def test_an_engine_that_hangs_is_not_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe has a time limit."""
    program = FakeProgram(tmp_path)
    backend = reached(program.path)
    FakeProgram(tmp_path, version=HANG)
    monkeypatch.setattr(cli, "_ALIVE_SECONDS", 0.3)
    assert not backend.alive()
    assert len(program.calls) == 2


def test_all_digests_of_an_image_are_inspected(tmp_path: Path) -> None:
    """By its digest where it is pinned; of another repository's digests nothing is said."""
    other = "sha256:" + "e" * 64
    known = described(IDENTITY, f"nginx@{DIGEST}", f"other@{other}", f"nginx@{other}")
    program = FakeProgram(tmp_path, inspect=known)
    backend = reached(program.path)
    pinned = request(f"nginx:1.27@{DIGEST}").reference
    assert backend.inspect(pinned, cancel=Cancellation()) == InspectedImage(IDENTITY, (DIGEST, other))
    assert program.calls[-1][-1] == f"docker.io/library/nginx@{DIGEST}"


@pytest.mark.parametrize(
    ("inspect", "found"),
    [
        (complain("Error: No such image: nginx:1.27"), NOTHING),
        (complain("Error: no such object: nginx:1.27"), NOTHING),
        (complain("Error: nginx: image not known", 125), NOTHING),
        (complain("Cannot connect to the Docker daemon"), None),
        ("exit 1", None),
        ("echo nonsense", None),
    ],
)
def test_an_image_that_is_not_there_is_told_from_an_engine_that_will_not_say(
    tmp_path: Path, inspect: str, found: InspectedImage | None
) -> None:
    """Only the first proves that a pull did not do what it said."""
    backend = reached(FakeProgram(tmp_path, inspect=inspect).path)
    assert backend.inspect(request().reference, cancel=Cancellation()) == found


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    """The reason is one plain sentence."""
    with pytest.raises(EngineUnreachableError, match=r"nowhere/docker: command not found$"):
        reached(tmp_path / "nowhere" / "docker")


def test_a_program_that_may_not_be_run(tmp_path: Path) -> None:
    """Neither is a file that is no program a crash."""
    program = FakeProgram(tmp_path)
    program.path.chmod(0o644)
    with pytest.raises(EngineUnreachableError, match="docker version failed"):
        reached(program.path)


def test_an_engine_that_does_not_answer(tmp_path: Path) -> None:
    """The program's own words are the reason, in one line."""
    words = "Cannot connect to the Docker daemon at unix:///x.sock.\nIs the docker daemon running?"
    with pytest.raises(EngineUnreachableError) as caught:
        reached(FakeProgram(tmp_path, version=complain(words)).path)
    assert str(caught.value) == words.replace("\n", " ")


def test_a_misspelt_context_is_a_usage_error(tmp_path: Path) -> None:
    """The program is not even asked."""
    program = FakeProgram(tmp_path)
    with pytest.raises(UsageError, match="context 'prodd' not found"):
        reached(program.path, "prodd")
    assert program.calls == []


# podman and its like.


@pytest.mark.parametrize("name", ["podman", "nerdctl"])
def test_contexts_belong_to_docker(tmp_path: Path, name: str) -> None:
    """`--context` with another program is refused, not ignored."""
    with pytest.raises(UsageError, match=f"{name} has no contexts"):
        reached(FakeProgram(tmp_path, name=name).path, "far")


def test_a_broken_docker_configuration_does_not_concern_podman(tmp_path: Path) -> None:
    """The current context of docker is not looked up for another program."""
    (tmp_path / "docker-config").mkdir()
    Home(tmp_path / "docker-config").config('{"currentContext": "gone"}')
    reached(FakeProgram(tmp_path, name="podman", version=PODMAN_VERSION).path)
    with pytest.raises(UsageError, match="gone"):
        reached(FakeProgram(tmp_path).path)


@pytest.mark.parametrize(
    ("before", "after", "up_to_date"),
    [(IDENTITY, IDENTITY, True), ("sha256:" + "2" * 64, IDENTITY, False), (None, IDENTITY, False)],
)
def test_podman_is_asked_before_and_after(tmp_path: Path, before: str | None, after: str, *, up_to_date: bool) -> None:
    """Podman never says whether it has fetched something: the image's ID does."""
    mark = tmp_path / "pulled"
    old = described(before, f"docker.io/library/nginx@{DIGEST}") if before else "exit 1"
    new = described(after, f"docker.io/library/nginx@{DIGEST}")
    program = FakeProgram(
        tmp_path,
        name="podman",
        version=PODMAN_VERSION,
        pull=f"touch '{mark}'; echo {IDENTITY[7:]}",
        inspect=f"if [ -e '{mark}' ]; then\n{new}\nelse\n{old}\nfi",
    )
    assert pull(program) == EngineResult(DIGEST, up_to_date=up_to_date)
    assert [call[0] for call in program.calls] == ["info", "image", "pull", "image"]


@pytest.mark.parametrize("known", [None, ["1", "9"]], ids=["new", "known under another index"])
def test_podman_says_what_the_tag_stands_for(tmp_path: Path, known: list[str] | None) -> None:
    """Its list has the digests of the platform's manifest and of every index that named it, sorted."""

    def answer(ends: list[str], own: str) -> str:
        return described(
            IDENTITY, *(f"docker.io/library/nginx@sha256:{end * 64}" for end in ends), Digest=f"sha256:{own * 64}"
        )

    mark = tmp_path / "pulled"
    old = answer(known, "9") if known else "exit 1"
    new = answer(["1", *(["5", "9"] if known else ["5"])], "9" if known else "5")
    inspect = f"if [ -e '{mark}' ]; then\n{new}\nelse\n{old}\nfi"
    program = FakeProgram(tmp_path, name="podman", version=PODMAN_VERSION, pull=f"touch '{mark}'", inspect=inspect)
    assert pull(program).digest == "sha256:" + "5" * 64


def test_a_docker_that_is_podman_is_treated_as_podman(tmp_path: Path) -> None:
    """The package podman-docker installs a `docker` that never says "up to date"."""
    answer = described(IDENTITY, f"docker.io/library/nginx@{DIGEST}")
    program = FakeProgram(tmp_path, version="echo '4.3.1 Podman Engine'", pull="true", inspect=answer)
    assert pull(program) == EngineResult(DIGEST, up_to_date=True)


def await_file(path: Path) -> None:
    """Wait for a script to write its line."""
    while not (path.exists() and path.read_text().endswith("\n")):
        time.sleep(0.01)


def running(pid: Path) -> bool:
    """Say whether the process that a script noted still runs, and end it then."""
    number = int(pid.read_text())
    with suppress(ProcessLookupError):
        os.kill(number, 0)
        os.kill(number, signal.SIGKILL)
        return True
    return False


def test_a_long_list_of_images_is_read_whole(tmp_path: Path) -> None:
    """Thousands of images fill more than what is kept of other outputs."""
    row = (
        '{{"ID":"sha256:{0}","Repository":"a.io/x{0}","Tag":"v1","Digest":"' + DIGEST + '","Size":"' + "x" * 300 + '"}}'
    )
    program = FakeProgram(tmp_path, inspect=say(*(row.format(number) for number in range(1000))))
    images = reached(program.path).store.holdings().images
    assert len(images) == 1000
    assert images[0].digests == (f"a.io/x0@{DIGEST}",)


def test_the_platform_of_an_image_is_told(tmp_path: Path) -> None:
    """As far as the command tells it; 32 bits of arm come in variants."""
    for text in ("linux/arm64", "linux/arm/v6", "linux/arm"):
        system, machine, *variant = text.split("/")
        platform = None if text == "linux/arm" else Platform.parse(text)
        answer = described(IDENTITY, Os=system, Architecture=machine, Variant="".join(variant))
        program = FakeProgram(tmp_path, inspect=answer)
        found = reached(program.path).inspect(request().reference, cancel=Cancellation())
        assert found == InspectedImage(IDENTITY, (), platform)
