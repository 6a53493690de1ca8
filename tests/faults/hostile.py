"""Runs of puller over images of every hostile registry and of a healthy one: one process for each verb, all at once."""

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.engine.conftest import Puller
from tests.faults.scene import Lab
from tests.lab import PushedImage, layer, push_image
from tests.lab.measured import Measured, measure
from tests.lab.raw_http import Served
from tests.lab.unsafe_text import LOGIN

MODULE = "tests.lab.hostile_registry"
TIMEOUT, RETRIES, JOBS = 15, 1, 32
LIMITS = (
    "--timeout", f"{TIMEOUT}s", "--stall-timeout", "12s", "--retries", f"{RETRIES}", "--retry-delay", "0.1s",
    "--max-wait", "1s", "--no-second-pass", "-j", f"{JOBS}",
)  # fmt: skip
CACHE_BYTES = 64 << 20
FETCHING = ("--cache-size", f"{CACHE_BYTES}", "--connections", "128")
"""More connections than there are registries that keep one waiting."""
AT_ONCE = 2
"""Runs side by side: more of them would starve the healthy images of processor time."""
GIVEN_UP = 210.0
"""Seconds after which a run is killed: it has failed then."""
FORMATS = ("text", "json", "junit", "markdown", "prometheus", "failed", "html")
HEALTHY_FIRST, HEALTHY_LAST = 2, 4
ARRIVED = frozenset({"pulled", "up_to_date"})


@dataclass(frozen=True)
class Verb:
    """One way to meet the registries."""

    name: str
    arguments: tuple[str, ...]
    bound: float
    """Seconds within which the clocks must end it."""


def _pull_bound(images: int) -> float:
    rounds = -(-images // JOBS)
    return rounds * (1 + RETRIES) * (TIMEOUT + 1) + 15


def verbs(folder: Path, images: int) -> tuple[Verb, ...]:
    """Return the verbs for so many images; files go into the folder."""
    reports = [word for form in FORMATS for word in ("--report", f"{form}={{run}}/report.{form}")]
    files = ("pull", "{list}", "--no-lock", "--progress", "plain", "-v", *LIMITS, *reports)
    pull = (*files, "--backend", "api")
    bound = _pull_bound(images)
    return (
        Verb("pull", (*pull, "--prefetch=never"), bound),
        Verb("lock", ("lock", "{list}", "-o", "{run}/images.lock"), 90),
        Verb("prefetch", (*pull, "--prefetch=always", *FETCHING), bound),
        Verb("plan", ("plan", "{list}", "--format", "json"), 90),
        Verb("to", (*files, "--to", "oci:{run}/layout", *FETCHING), bound),
        Verb("doctor", ("doctor", "{list}", "--format", "json"), 90),
    )


NAMES = tuple(verb.name for verb in verbs(Path(), 1))


@dataclass(frozen=True)
class VerbRun:
    """How one run ended."""

    verb: Verb
    ended: Measured
    folder: Path
    healthy: tuple[str, ...]
    """References at the healthy registry."""
    hostile: Mapping[str, str]
    """References by behaviour."""

    @cached_property
    def report(self) -> dict[str, Any]:
        """The JSON document of the run."""
        place = self.folder / "report.json"
        text = place.read_text() if place.exists() else self.ended.stdout
        document: dict[str, Any] = json.loads(text)
        return document

    def outcome(self, reference: str) -> dict[str, Any]:
        """Return what the report says of an image."""
        found = [image for image in self.report["images"] if reference in image["requested"]]
        assert len(found) == 1, f"{len(found)} outcomes of {reference}"
        return dict(found[0])

    def said(self) -> Mapping[str, str]:
        """Everything that the run wrote for people and machines, by where it was written."""
        written = {"stdout": self.ended.stdout, "stderr": self.ended.stderr}
        for path in (*self.folder.glob("report.*"), *self.folder.glob("images.lock"), *self.folder.glob("state/**/*")):
            if path.is_file():
                written[str(path.relative_to(self.folder))] = path.read_text(errors="replace")
        return written


@contextmanager
def hostile_runs(lab: Lab, served: Served, folder: Path) -> Iterator[Callable[[str], VerbRun]]:
    """Begin a run of every verb, and hand over what waits for the end of one."""
    count = len(served.addresses) + HEALTHY_FIRST + HEALTHY_LAST
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="hostile") as pool:
        futures: dict[str, Future[VerbRun]] = {
            verb.name: pool.submit(_run, lab, served, folder, verb) for verb in verbs(folder, count)
        }
        yield lambda name: futures[name].result()


def _run(lab: Lab, served: Served, folder: Path, verb: Verb) -> VerbRun:
    here = folder / verb.name
    temporary = here / "tmp"
    temporary.mkdir(parents=True)
    puller = Puller(lab.engine.host, here, disk_check=True)
    (puller.docker_config / "config.json").write_text(
        json.dumps({"auths": {address: {"auth": LOGIN} for address in served.addresses.values()}})
    )
    healthy = tuple(
        _push(lab, f"hostile/{verb.name}/healthy{number}") for number in range(HEALTHY_FIRST + HEALTHY_LAST)
    )
    hostile = {name: f"{address}/{verb.name}/{name}:v1" for name, address in served.addresses.items()}
    images = puller.list(*healthy[:HEALTHY_FIRST], *hostile.values(), *healthy[HEALTHY_FIRST:])
    words = [word.format(list=images, run=here) for word in verb.arguments]
    environment = puller.environment | {"TMPDIR": str(temporary), "XDG_CACHE_HOME": str(here / "cache")}
    ended = measure(puller.argv(*words), here, environment, GIVEN_UP)
    return VerbRun(verb, ended, here, healthy, hostile)


def _push(lab: Lab, repository: str) -> str:
    image: PushedImage = push_image(lab.registry, repository, layers=[layer(repository)])
    return image.reference
