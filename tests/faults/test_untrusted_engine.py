"""What a container engine may do to puller: nothing but fail. One process for each behaviour and verb."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.engine.conftest import Puller
from tests.faults.hostile import ARRIVED
from tests.faults.scene import Lab
from tests.faults.test_untrusted_registry import LARGEST, check_error
from tests.lab import PushedImage, layer, push_image
from tests.lab.hostile_engine import TABLE
from tests.lab.measured import KILLED, Measured, measure_fork
from tests.lab.raw_http import served
from tests.lab.unsafe_text import faults_in

AT_ONCE = 8
GIVEN_UP = 60.0
BOUND = 40.0
"""Seconds that a run may take: two attempts of 4 s, and some questions of 5 s that nobody answers."""
PULL = (
    "pull", "{list}", "--backend", "api", "--format", "json", "-v", "--progress", "plain", "--no-lock",
    "--timeout", "4s", "--stall-timeout", "2s", "--retries", "1", "--retry-delay", "0.1s", "--no-second-pass",
    "--engine-wait", "2s",
)  # fmt: skip
VERBS = {
    "pull": PULL,
    "plan": ("plan", "{list}", "--backend", "api", "--format", "json"),
    "doctor": ("doctor", "{list}", "--backend", "api", "--format", "json"),
    "prune": ("prune", "{list}", "--backend", "api", "--format", "json", "--dry-run", "--no-lock"),
}
OTHERS = {
    "plan": ("hangs-on-info", "hangs-on-images", "info-types", "images-types", "version-escapes", "million-images"),
    "doctor": (
        "hangs-on-info",
        "info-escapes",
        "info-types",
        "info-lists",
        "info-root",
        "info-clock",
        "version-escapes",
    ),
    "prune": ("hangs-on-images", "images-types", "images-sizes", "images-escapes", "images-map", "version-escapes"),
}
"""Behaviours that verbs notice which do not pull."""
CASES = [("pull", name) for name in TABLE] + [(verb, name) for verb, names in OTHERS.items() for name in names]
Runs = Callable[[str, str], Measured]


@pytest.fixture(scope="module")
def runs(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Runs]:
    """Begin every chosen case, some at once, and hand over what waits for the end of one."""
    image = push_image(lab.registry, "hostile/engine", layers=[layer("hostile/engine")])
    chosen = {
        (item.callspec.params["verb"], item.callspec.params["behaviour"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module
    }
    with (
        TemporaryDirectory(prefix="puller-") as folder,
        served("tests.lab.hostile_engine", Path(folder), sockets=True) as servers,
        ThreadPoolExecutor(AT_ONCE, thread_name_prefix="hostile-engine") as pool,
    ):
        futures: dict[tuple[str, str], Future[Measured]] = {
            (verb, name): pool.submit(_run, Path(folder) / f"{verb}-{name}", verb, servers.addresses[name], image)
            for verb, name in CASES
            if (verb, name) in chosen
        }
        yield lambda verb, name: futures[verb, name].result()


def _run(folder: Path, verb: str, host: str, image: PushedImage) -> Measured:
    folder.mkdir()
    puller = Puller(host, folder, disk_check=True)
    images = puller.list(image.reference)
    words = [word.format(list=images) for word in VERBS[verb]]
    return measure_fork(words, folder, puller.environment, GIVEN_UP)


@pytest.mark.parametrize(("verb", "behaviour"), CASES)
def test_no_engine_harms_a_run(runs: Runs, verb: str, behaviour: str) -> None:
    """It ends in time, in little memory, with a clean word, and without a claim that is not true."""
    ended = runs(verb, behaviour)
    assert ended.code != KILLED, ended.stderr[-2000:]
    assert ended.seconds < BOUND
    assert ended.max_rss < LARGEST
    assert ended.left == ()
    assert faults_in(ended.stdout + ended.stderr) == []
    assert ended.code in {0, 1, 69, 75}, ended.stderr[-2000:]
    if ended.code:
        assert (ended.stdout + ended.stderr).strip()
    if ended.stdout:
        document = json.loads(ended.stdout)
        if verb == "pull":
            _check_pull(document, behaviour, ended.code)


def _check_pull(document: dict[str, object], behaviour: str, code: int) -> None:
    images = document["images"]
    assert isinstance(images, list)
    (outcome,) = images
    if outcome["status"] in ARRIVED:
        assert TABLE[behaviour].harmless
        assert code == 0
    else:
        assert outcome["status"] in {"failed", "cancelled"}
        assert code in {1, 69, 75}
        check_error(outcome["error"], TABLE[behaviour])
