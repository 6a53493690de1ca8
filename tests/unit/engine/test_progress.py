"""What an engine says while it pulls, and what is made of it."""

import itertools

import pytest
from hypothesis import given, strategies as st

from puller.engine import progress as module
from puller.engine.interface import NOTHING, InspectedImage
from puller.engine.progress import PullStream
from puller.engine.responses import inspected_name, read_inspected
from puller.engine.timeouts import AttemptTimer, LastActivity
from puller.events import Phase, Progress
from puller.image.reference import ImageReference
from puller.model import EngineResult
from puller.settings import Timeouts
from tests.lab.samples import DIGEST, request

A, B, C = "aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"
OTHER = "sha256:" + "f" * 64


@pytest.fixture(autouse=True)
def _every_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every message through to the observers, instead of ten a second."""
    monkeypatch.setattr(module, "_INTERVAL", 0.0)


HERE = InspectedImage("sha256:1")


class Listener:
    """A stream and what its observers hear."""

    def __init__(self) -> None:
        self.heard: list[Progress] = []
        self.stream = PullStream(request(), self.heard.append, AttemptTimer(Timeouts(), LastActivity()))

    def feed(self, *messages: tuple[str, str] | tuple[str, str, int, int]) -> "Listener":
        """Take in messages: layer, status, and bytes where there are any."""
        for layer, status, *sizes in messages:
            self.stream.feed(str(status), str(layer), *map(int, sizes))
        return self

    @property
    def last(self) -> Progress:
        """What was heard last."""
        return self.heard[-1]

    def pulled(self, before: InspectedImage = NOTHING, now: InspectedImage = NOTHING) -> EngineResult:
        """End the pull on an engine that had the one image and has the other."""
        return self.stream.pulled(before, lambda: now)


def layer(name: str, size: int = 100) -> list[tuple[str, str] | tuple[str, str, int, int]]:
    """Tell the whole life of a layer."""
    return [
        (name, "Pulling fs layer"),
        (name, "Waiting"),
        (name, "Downloading", size // 2, size),
        (name, "Downloading", size, size),
        (name, "Verifying Checksum"),
        (name, "Download complete"),
        (name, "Extracting", size // 2, size),
        (name, "Pull complete"),
    ]


def test_a_pull_from_begin_to_end() -> None:
    """Layers, bytes and phases as they come, and at the end the digest of what was fetched."""
    listener = Listener().feed(("latest", "Pulling from library/nginx"), *layer(A), *layer(B, 50))
    phases = [phase for phase, _ in itertools.groupby(event.phase for event in listener.heard)]
    assert phases == [
        Phase.DOWNLOADING,
        Phase.WAITING,
        Phase.DOWNLOADING,
        Phase.EXTRACTING,
        Phase.DOWNLOADING,
        Phase.EXTRACTING,
    ]
    last = listener.last
    assert (last.current, last.total, last.layers_done, last.layers) == (150, 150, 2, 2)
    listener.feed(("", f"Digest: {DIGEST}"), ("", "Status: Downloaded newer image for nginx:latest"))
    assert listener.pulled() == EngineResult(DIGEST, up_to_date=False)


def test_an_image_that_is_there_is_up_to_date() -> None:
    """The engine's own word counts when nothing was fetched."""
    listener = Listener().feed(("", f"Digest: {DIGEST}"), ("", "Status: Image is up to date for nginx:latest"))
    assert listener.pulled() == EngineResult(DIGEST, up_to_date=True)
    assert listener.heard == []


def test_an_up_to_date_image_whose_layers_exist_is_up_to_date() -> None:
    """`Already exists` is no download."""
    listener = Listener().feed((A, "Already exists"), ("", "Status: Image is up to date for nginx:latest"))
    assert listener.pulled().up_to_date
    assert (listener.last.layers_done, listener.last.layers) == (1, 1)


@pytest.mark.parametrize("status", ["Downloading", "Download complete", "Pull complete", "Verifying Checksum"])
def test_what_was_fetched_is_not_up_to_date(status: str) -> None:
    """The containerd store says "up to date" of a second platform, although it has fetched its layers."""
    listener = Listener().feed((A, status, 1, 2), ("", "Status: Image is up to date for nginx:latest"))
    assert not listener.pulled().up_to_date


@pytest.mark.parametrize("unchanged", [True, False])
def test_engines_without_a_status_line_leave_it_to_the_caller(*, unchanged: bool) -> None:
    """Of podman nothing is heard; the image before and after the pull tells."""
    assert Listener().pulled(HERE, HERE if unchanged else InspectedImage("newer")).up_to_date is unchanged


def test_the_status_line_counts_more_than_a_comparison() -> None:
    """An engine that says it has fetched something has."""
    listener = Listener().feed(("", "Status: Downloaded newer image for nginx:latest"))
    assert not listener.pulled(HERE, HERE).up_to_date


def test_a_layer_that_starts_over_takes_nothing_back() -> None:
    """After a lost connection the engine may begin at byte 0; the sum does not run backwards."""
    listener = Listener().feed(
        (A, "Downloading", 80, 100),
        (A, "Retrying in 5 seconds"),
        (A, "Downloading", 10, 100),
        (A, "Downloading", 90, 100),
    )
    assert [event.current for event in listener.heard] == [80, 80, 80, 90]
    assert {event.phase for event in listener.heard} == {Phase.DOWNLOADING}


def test_a_layer_without_a_size_has_one_in_the_end() -> None:
    """An engine that does not know a layer's size beforehand leads to no total below the sum."""
    listener = Listener().feed((A, "Downloading", 70, 0))
    assert (listener.last.current, listener.last.total) == (70, 70)


def test_all_layers_waiting_is_waiting() -> None:
    """An image behind others in the engine's queue is not downloading."""
    listener = Listener().feed((A, "Pulling fs layer"), (B, "Waiting"), (C, "Already exists"))
    assert listener.last.phase is Phase.WAITING


def test_a_layer_that_is_only_announced_is_downloading() -> None:
    """The containerd store says nothing more of a layer until its first megabyte has come."""
    listener = Listener().feed((A, "Pulling fs layer"), (B, "Pulling fs layer"), (C, "Already exists"))
    assert (listener.last.phase, listener.last.current) == (Phase.DOWNLOADING, 0)


def test_a_tag_that_looks_like_a_layer_is_no_layer() -> None:
    """A tag made from a commit, such as app:0123456789ab, is no layer that never ends."""
    listener = Listener().feed(("0123456789ab", "Pulling from acme/app"), (A, "Pulling fs layer"), (A, "Waiting"))
    assert (listener.last.layers, listener.last.phase) == (1, Phase.WAITING)


@pytest.mark.parametrize(
    "line",
    ["Digest: sha256:xyz", f"digest: {DIGEST}", f"the Digest: {DIGEST}", "Digest: ", f"Digest: md5:{'0' * 32}"],
)
def test_what_is_no_digest_is_not_believed(line: str) -> None:
    """Only the engine's own line with a whole digest counts."""
    assert Listener().feed(("", line)).pulled().digest is None


def test_observers_are_not_flooded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of messages a second become a few events; a change of phase or a new layer is never held back."""
    monkeypatch.setattr(module, "_INTERVAL", 3600.0)
    listener = Listener().feed(*[(A, "Downloading", n, 10_000) for n in range(10_000)], (A, "Extracting", 1, 2))
    assert [event.phase for event in listener.heard] == [Phase.DOWNLOADING, Phase.EXTRACTING]
    listener = Listener().feed((A, "Pulling fs layer"), (B, "Pulling fs layer"))
    assert [event.layers for event in listener.heard] == [1, 2]


def test_more_layers_than_any_image_has_are_not_believed() -> None:
    """A hostile engine cannot fill the memory with names."""
    listener = Listener().feed(*[(f"{n:012x}", "Downloading", 1, 1) for n in range(1_500)])
    assert listener.last.layers == listener.last.current == 1000


IDS = st.sampled_from(["", A, B, C, "latest", "zzzzzzzzzzzz", A.upper(), A + "\n"]) | st.text(max_size=12)
WORDS = st.sampled_from(
    [
        "Pulling fs layer",
        "Waiting",
        "Downloading",
        "Verifying Checksum",
        "Download complete",
        "Extracting",
        "Pull complete",
        "Already exists",
        "Retrying in 5 seconds",
        f"Digest: {DIGEST}",
        "Status: Image is up to date",
    ]
)
NUMBERS = st.integers(-(2**70), 2**70) | st.integers(-10, 10)
MESSAGES = st.lists(st.tuples(IDS, WORDS | st.text(max_size=30), NUMBERS, NUMBERS), max_size=40)


@given(MESSAGES)
def test_whatever_comes_the_numbers_make_sense(messages: list[tuple[str, str, int, int]]) -> None:
    """Nothing raises, bytes never run backwards, and no part is larger than its whole."""
    listener = Listener().feed(*messages)
    sums = [event.current for event in listener.heard]
    assert sums == sorted(sums)
    for event in listener.heard:
        assert 0 <= event.current <= event.total
        assert 0 <= event.layers_done <= event.layers
    assert listener.pulled().digest in (None, DIGEST)


@pytest.mark.parametrize(
    ("repo_digests", "text", "found"),
    [
        ([f"nginx@{DIGEST}"], "nginx:1.27", (DIGEST,)),
        ([f"docker.io/library/nginx@{DIGEST}"], "nginx", (DIGEST,)),
        ([f"other@{OTHER}", f"nginx@{DIGEST}"], "nginx", (DIGEST,)),
        ([f"h:5000/nginx@{DIGEST}"], "nginx", ()),
        ([], "nginx", ()),
        (["", "<none>@<none>", "nginx"], "nginx", ()),
        ([f"nginx@{OTHER}", f"nginx@{DIGEST}", f"nginx@{OTHER}"], f"nginx@{DIGEST}", (OTHER, DIGEST)),
        ([f"nginx@{OTHER}"], f"nginx@{DIGEST}", (OTHER,)),
    ],
)
def test_the_digests_of_a_name_are_found(repo_digests: list[str], text: str, found: tuple[str, ...]) -> None:
    """Among an image's RepoDigests they are those of the same repository, each once, in the engine's order."""
    image = {"Id": DIGEST, "RepoDigests": repo_digests}
    assert read_inspected(image, ImageReference.parse(text)) == InspectedImage(DIGEST, found)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        (f"h:5/a@{DIGEST}", f"h:5/a@{DIGEST}"),
        (f"h:5/a:v1@{DIGEST}", f"h:5/a@{DIGEST}"),
    ],
)
def test_an_image_is_looked_for_by_its_digest(text: str, name: str) -> None:
    """The tag beside a digest is not what an engine remembers it by."""
    assert inspected_name(ImageReference.parse(text)) == name


@pytest.mark.parametrize(
    ("text", "digests", "announced"),
    [
        ("nginx", (DIGEST, OTHER), DIGEST),
        ("nginx", (), None),
        (f"nginx@{OTHER}", (DIGEST, OTHER), OTHER),
        (f"nginx@{OTHER}", (DIGEST,), None),
    ],
)
def test_a_digest_that_was_not_announced_is_looked_up(
    text: str, digests: tuple[str, ...], announced: str | None
) -> None:
    """The first of what the engine has, or the one that was asked for if it has that."""
    stream = PullStream(request(text), lambda _: None, AttemptTimer(Timeouts(), LastActivity()))
    assert stream.pulled(NOTHING, lambda: InspectedImage("id", digests)).digest == announced


QUEUE_STATES = [
    pytest.param([], True, id="nothing said"),
    pytest.param([("v1", "Pulling from app")], True, id="no layer named"),
    pytest.param([(A, "Pulling fs layer")], True, id="layer announced"),
    pytest.param([(A, "Downloading", 5, 100), (B, "Pulling fs layer")], False, id="layer in transfer"),
    pytest.param([(A, "Download complete"), (B, "Pulling fs layer")], True, id="next layer announced"),
    pytest.param([(A, "Download complete")], False, id="to be unpacked"),
    pytest.param([(A, "Pull complete")], True, id="only the config is missing"),
]


@pytest.mark.parametrize(("messages", "queued"), QUEUE_STATES)
def test_a_silent_image_is_shown_as_queued_once(messages: list[tuple[str | int, ...]], *, queued: bool) -> None:
    """Where it may wait for a slot that others have, until the engine says something about it."""
    engine, now = LastActivity(shared=True), [0.0]
    timers = [AttemptTimer(Timeouts(stall=60), engine, now=lambda: now[0]) for _ in range(2)]
    heard: list[Progress] = []
    stream = PullStream(request(), heard.append, timers[0])
    for name, status, *sizes in messages:
        stream.feed(str(status), str(name), *map(int, sizes))
    del heard[:]
    stream.tick()
    assert heard == []
    now[0] = 2.0
    timers[1].moved(Phase.DOWNLOADING, 1, 2)
    stream.tick()
    stream.tick()
    assert [event.phase for event in heard] == [Phase.QUEUED] * queued
    stream.feed("Downloading", C, 1, 2)
    assert heard[-1].phase is Phase.DOWNLOADING
