"""`scripts/bench` as a developer meets it, and what it makes of its figures."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from scripts.benchmark.contender import Contender, Contenders
from scripts.benchmark.content import Shop
from scripts.benchmark.meter import Meter, occupied
from scripts.benchmark.place import ROOT
from scripts.benchmark.programs import Programs
from scripts.benchmark.sample import Result, Sample, Standing, Wanted
from scripts.benchmark.scenario import Scenario, Trial, measure
from scripts.benchmark.table import table
from tests.lab import PushedImage, layer

XARGS, PULLER = Contender("xargs", ("xargs", "docker"), peer=True), Contender("puller", ("puller",))


def samples(*seconds: float) -> list[Sample]:
    """Make runs that took so long."""
    return [Sample(each, each / 2, 10.0) for each in seconds]


def test_one_command_measures_and_writes_what_it_saw(tmp_path: Path) -> None:
    """A world is built, a scenario runs, and table, JSON and chart say the same."""
    figures, drawing = tmp_path / "bench.json", tmp_path / "bench.svg"
    command = [sys.executable, str(ROOT / "scripts/bench"), "--quick", "--rounds", "1", "--only", "start"]
    done = subprocess.run(
        [*command, "--json", str(figures), "--chart", str(drawing)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    (scenario,) = json.loads(figures.read_text())["scenarios"]
    names = [each["name"] for each in scenario["contenders"]]
    assert names == ["import click", "puller --version"]
    assert all(f"  {name}: " in done.stdout for name in names)
    assert all(each["runs"][0]["cpu"] > 0 for each in scenario["contenders"])
    assert set(names) <= {text.text for text in ET.fromstring(drawing.read_text()).iter() if text.text}  # noqa: S314


def test_contenders_take_turns_and_peers_get_their_best_settings() -> None:
    """Each round turns the order round; of several settings the one that was fastest when tried goes on."""
    slow, fast = Contender("xargs", ("-P1",)), Contender("xargs", ("-P8",))
    ran: list[Contender] = []

    def run(contender: Contender) -> Sample:
        ran.append(contender)
        return Sample(9.0 if contender is slow else 1.0, 0.0, 0.0)

    trial = Trial((slow, fast, PULLER), run, images=1)
    result = measure(Scenario("x", "X", lambda _: trial), None, rounds=2)  # type: ignore[arg-type]
    assert ran == [slow, fast, PULLER, fast, PULLER, PULLER, fast]
    assert [standing.contender for standing in result.standings] == [fast, PULLER]


def test_a_ratio_is_one_of_medians() -> None:
    """One run that was disturbed changes the spread, and not the verdict."""
    result = Result(
        "x", "X", 2, 0.5, (Standing(XARGS, samples(4.0, 4.0, 40.0)), Standing(PULLER, samples(1.0, 2.0, 2.0)))
    )
    line = next(line for line in table(result).splitlines() if line.startswith("  puller"))
    assert line.split() == ["puller", "2.00", "(1.00-2.00)", "2.00", "1000.000", "1.00", "1.00", "10"]


def test_puller_is_compared_with_the_fastest_peer() -> None:
    """A peer that is slower in its first run does not cost the time of further ones, unless it is a close race."""
    slow, near = (Contender(name, (name,), peer=True) for name in ("compose", "parallel"))
    seconds = {PULLER: 3.0, slow: 3.0, near: 2.05, XARGS: 2.0}
    trial = Trial(tuple(seconds), lambda each: Sample(seconds[each], 0, 0), 1, warm_up=False)
    result = measure(Scenario("x", "X", lambda _: trial), None, rounds=3)  # type: ignore[arg-type]
    runs = [(each.contender, len(each.samples)) for each in result.standings]
    assert runs == [(XARGS, 3), (near, 3), (PULLER, 3), (slow, 1)]


def test_what_is_wanted_stands_beside_what_was_reached() -> None:
    """The table says of each figure whether it was reached, and of one without runs that nobody measured it."""
    mine = Standing(PULLER, [Sample(2.0, 0, 0, twice=7.0, disk_mib=22.0)])
    theirs = Standing(XARGS, [Sample(4.0, 0, 0, disk_mib=20.0)])
    wanted = (Wanted(2.0), Wanted(1.15, "disk"), Wanted(5.0, "twice"), Wanted(1.0, "twice", "puller --prefetch=always"))
    lines = table(Result("x", "X", 1, 0, (theirs, mine), wanted=wanted)).splitlines()[-4:]
    assert [line.partition(": ")[2] for line in lines] == [
        "at least 2 times as fast: 2.00, reached",
        "at most 1.15 times the peak disk: 1.10, reached",
        "at most 5 % fetched twice: 7.00, NOT reached",
        "at most 1 % fetched twice: not measured",
    ]


def test_energy_is_the_processor_time_of_everybody() -> None:
    """One number for the whole run, whoever does the work: client, engine, kernel."""
    sample = Sample(10.0, cpu=1.0, peak_mib=0, engine_cpu=2.5, kernel_cpu=0.5)
    assert sample.energy == 4.0


def test_an_engine_is_measured_with_the_processes_that_it_starts() -> None:
    """What unpacks layers is often a process of its own, which ends before the run does."""
    work = (
        "import subprocess, sys; input(); subprocess.run([sys.executable, '-c', 'sum(range(10**7))']); print(); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as engine:
        assert engine.stdin is not None is not engine.stdout
        meter = Meter(engine.pid)
        engine.stdin.write("\n")
        engine.stdout.readline()
        sample = meter.read(Sample(1.0, 0, 0))
        engine.stdin.write("\n")
    assert (sample.engine_cpu or 0) > 0.05
    assert (sample.engine_mib or 0) > 1


def test_disk_is_counted_once_for_each_file(tmp_path: Path) -> None:
    """A file with two names occupies its blocks once; a folder that is not there occupies none."""
    (tmp_path / "one").write_bytes(b"x" * 100_000)
    alone = occupied([tmp_path])
    (tmp_path / "two").hardlink_to(tmp_path / "one")
    assert occupied([tmp_path, tmp_path / "nowhere"]) == alone >= 100_000


def test_a_peer_that_is_missing_is_left_out_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is downloaded unasked; those who read the figures see who was not there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("scripts.benchmark.programs.CACHE", tmp_path)
    who = Contenders(("puller",), programs=Programs())
    assert {each.name for each in (*who.peers(3, 8), *who.skopeo(tmp_path, 8))} == {"xargs"}
    reason = "not installed; --fetch downloads it"
    assert who.programs.missing == dict.fromkeys(("parallel", "docker-compose", "skopeo"), reason)


def test_contenders_can_be_left_out() -> None:
    """By the beginning of their names; without peers, pullers are alone."""
    everybody = (XARGS, PULLER, Contender("puller --prefetch=never", ("puller",)))
    without = Contenders(("puller",), without=("puller --prefetch",), programs=Programs())
    alone = Contenders(("puller",), peers=False, programs=Programs())
    assert without.chosen(everybody) == (XARGS, PULLER)
    assert alone.chosen(everybody) == everybody[1:]


def test_a_list_is_measured_in_four_orders() -> None:
    """All orders have the same images; a base that many images share comes first where bases do."""

    def image(name: str, base: str, size: int) -> PushedImage:
        return PushedImage("lab", name, "v1", "", 0, "", (layer(base, 100), layer(name, size)))

    small, large, middle = image("small", "rare", 10), image("large", "often", 9000), image("middle", "often", 500)
    assert Shop((small, middle, large)).orders() == {
        "list order": (small, middle, large),
        "largest first": (large, middle, small),
        "smallest first": (small, middle, large),
        "shared bases first": (middle, small, large),
    }
