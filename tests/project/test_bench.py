"""`scripts/bench` as a developer meets it, and what it makes of its figures."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from scripts.benchmark.contender import Contender
from scripts.benchmark.place import ROOT
from scripts.benchmark.sample import Result, Sample, Standing
from scripts.benchmark.scenario import Scenario, Trial, measure
from scripts.benchmark.table import table

XARGS, PULLER = Contender("xargs", ("xargs", "docker")), Contender("puller", ("puller",))


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
    assert line.split() == ["puller", "2.00", "(1.00-2.00)", "2.00", "1.00", "1000.000", "10"]
