"""What registries, token servers and blob stores may do to a run: nothing but fail their own images.

Every verb runs once over an image of each behaviour of `tests.lab.hostile` and some of a healthy registry.
"""

import hashlib
import json
from collections.abc import Callable

import pytest

from tests.faults.hostile import ARRIVED, CACHE_BYTES, NAMES, VerbRun
from tests.lab.hostile_registry import TABLE
from tests.lab.measured import KILLED
from tests.lab.raw_http import Behaviour, Served
from tests.lab.unsafe_text import controls, faults_in

Runs = Callable[[str], VerbRun]
PULLS = ("pull", "prefetch", "to")
LARGEST = 200 << 20
LONGEST_MESSAGE = 5000
NO_KINDS = {"internal", "unclassified"}


@pytest.fixture
def run(hostile_runs: Runs, verb: str) -> VerbRun:
    """Wait for the end of the run of a verb."""
    return hostile_runs(verb)


def check_error(error: dict[str, str], behaviour: Behaviour) -> None:
    """Hold an error against what a user can read and act on."""
    assert error["kind"] != "internal", error["message"]
    assert error["kind"] != "unclassified" or behaviour.unknown, error["message"]
    assert error["message"].strip()
    assert "\n" not in error["message"]
    assert list(controls(error["message"])) == []
    assert len(error["message"]) < LONGEST_MESSAGE


@pytest.mark.parametrize("verb", NAMES)
def test_a_run_ends_within_its_clocks(run: VerbRun) -> None:
    """No registry holds a run up for longer than the limits of its requests allow."""
    assert run.ended.code != KILLED, run.ended.stderr[-2000:]
    assert run.ended.seconds < run.verb.bound


@pytest.mark.parametrize("verb", NAMES)
def test_a_run_stays_small(run: VerbRun) -> None:
    """No registry decides about the memory of puller."""
    assert run.ended.code != KILLED
    assert run.ended.max_rss < LARGEST


@pytest.mark.parametrize("verb", NAMES)
def test_nothing_written_obeys_or_betrays(run: VerbRun) -> None:
    """Neither terminal sequences nor secrets nor tracebacks, in any stream or file."""
    allowed = {"\t", "\x1f"}
    faults = {
        place: found
        for place, text in run.said().items()
        if (found := faults_in("".join(" " if letter in allowed else letter for letter in text)))
    }
    assert faults == {}
    assert run.ended.code in {0, 1, 75}, run.ended.stderr[-2000:]


@pytest.mark.parametrize("verb", NAMES)
def test_nothing_is_left(run: VerbRun) -> None:
    """No process, no temporary file, no half-written report."""
    assert run.ended.left == ()
    assert list((run.folder / "tmp").iterdir()) == []
    assert [str(path) for path in run.folder.rglob("*.tmp")] == []


@pytest.mark.parametrize("verb", PULLS)
def test_the_healthy_registry_is_pulled(run: VerbRun) -> None:
    """Images of a registry that is well arrive, at the begin and at the end of the list."""
    assert run.report["stopped"] is None
    outcomes = [run.outcome(reference) for reference in run.healthy]
    assert [each for each in outcomes if each["status"] != "pulled" or each["error"]] == []


@pytest.mark.parametrize("verb", ["plan"])
def test_the_healthy_registry_is_planned(run: VerbRun) -> None:
    """The plan knows what a registry says that is well."""
    found = {reference: run.outcome(reference) for reference in run.healthy}
    assert {reference: image["change"] for reference, image in found.items()} == dict.fromkeys(found, "would_pull")


@pytest.mark.parametrize("verb", ["lock"])
def test_the_healthy_registry_is_resolved(run: VerbRun) -> None:
    """Only images of hostile registries cannot be resolved."""
    assert run.ended.code in {1, 75}
    assert [reference for reference in run.healthy if reference in run.ended.stderr] == []


@pytest.mark.parametrize("verb", ["doctor"])
def test_the_healthy_registry_is_found_well(run: VerbRun) -> None:
    """A registry that is well has no failed check."""
    registry = run.healthy[0].partition("/")[0]
    states = {check["check"]: check["status"] for check in run.report["checks"] if check["subject"] == registry}
    assert states
    assert "failed" not in states.values()


@pytest.mark.parametrize("verb", PULLS)
@pytest.mark.parametrize("behaviour", TABLE)
def test_a_hostile_image_fails_alone(run: VerbRun, behaviour: str) -> None:
    """Its outcome is a failure of a known kind in one line; what harms nobody may arrive."""
    outcome = run.outcome(run.hostile[behaviour])
    if outcome["status"] in ARRIVED and TABLE[behaviour].harmless:
        assert outcome["digest"]
    else:
        assert outcome["status"] == "failed"
        check_error(outcome["error"], TABLE[behaviour])


@pytest.mark.parametrize("verb", ["plan"])
@pytest.mark.parametrize("behaviour", TABLE)
def test_a_hostile_image_is_planned_or_unknown(run: VerbRun, behaviour: str) -> None:
    """Its change is known, or an error of a known kind says why not; sizes are those of this world."""
    image = run.outcome(run.hostile[behaviour])
    if image["error"]:
        check_error(image["error"], TABLE[behaviour])
    assert (image["bytes"] or 0) < 1 << 50
    assert image["change"] in {"would_pull", "unknown"}


@pytest.mark.parametrize("verb", ["lock"])
@pytest.mark.parametrize("behaviour", TABLE)
def test_a_hostile_image_is_resolved_or_not(run: VerbRun, behaviour: str) -> None:
    """There is at most one line about it, with a failure of a known kind."""
    lines = [line for line in run.ended.stderr.splitlines() if run.hostile[behaviour] + ":" in line]
    assert len(lines) <= 1
    for line in lines:
        kind = line.partition(run.hostile[behaviour] + ": ")[2].partition(":")[0]
        assert kind
        assert kind not in NO_KINDS, line
        assert len(line) < LONGEST_MESSAGE


@pytest.mark.parametrize("verb", ["doctor"])
@pytest.mark.parametrize("behaviour", TABLE)
def test_a_hostile_registry_is_examined(run: VerbRun, behaviour: str) -> None:
    """Doctor says something of it, each in one line."""
    registry = run.hostile[behaviour].partition("/")[0]
    checks = [check for check in run.report["checks"] if check["subject"] == registry]
    assert checks
    for check in checks:
        assert check["message"].strip()
        assert "\n" not in check["message"]
        assert len(check["message"]) < LONGEST_MESSAGE


def test_no_other_host_is_sent_credentials(hostile_runs: Runs, hostile_servers: Served) -> None:
    """A redirect to another host takes no password along."""
    for verb in NAMES:
        hostile_runs(verb)
    assert hostile_servers.notes() == []


@pytest.mark.parametrize("verb", ["prefetch", "to"])
def test_the_limit_of_the_cache_holds(run: VerbRun) -> None:
    """A layer without end fills neither the cache nor the layout."""
    kept = sum(
        path.stat().st_blocks * 512
        for folder in ("cache", "layout")
        for path in (run.folder / folder).rglob("*")
        if path.is_file()
    )
    assert kept < CACHE_BYTES


@pytest.mark.parametrize("verb", ["to"])
def test_the_layout_is_whole(run: VerbRun) -> None:
    """Every file is what its name says, and every image of the index is there."""
    layout = run.folder / "layout"
    blobs = list((layout / "blobs/sha256").iterdir())
    assert [path.name for path in blobs if hashlib.sha256(path.read_bytes()).hexdigest() != path.name] == []
    names = {path.name for path in blobs}
    index = json.loads((layout / "index.json").read_text())
    assert {entry["digest"].partition(":")[2] for entry in index["manifests"]} <= names
    assert len(index["manifests"]) >= len(run.healthy)


@pytest.mark.parametrize("verb", ["pull", "prefetch"])
def test_the_engine_keeps_no_name_of_ours(run: VerbRun, engine_names: list[str]) -> None:
    """No image keeps the name under which the engine pulled it on loopback."""
    known = {reference.partition("/")[0] for reference in (*run.healthy, *run.hostile.values())}
    ours = [name for name in engine_names if name.startswith("127.0.0.1:") and name.partition("/")[0] not in known]
    assert [name for name in ours if len(name.split("/")[1]) == 32] == []
