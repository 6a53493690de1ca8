"""What config/ ships to other programs is what those programs take."""

import configparser
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.samples import every_status, report

CONFIG = Path(__file__).parents[2] / "config"
PROGRAM = "/usr/local/bin/puller"
SERVICES = ("puller.service", "puller-worker.service", "puller-controller.service")
UNITS = (*SERVICES, "puller.timer")
EXPOSURE = 2.0
"""systemd's own measure, from 0 to 10; half a point and more is the network, which a pull cannot be without."""


def program(name: str) -> pytest.MarkDecorator:
    """Skip where another program is not installed."""
    return pytest.mark.skipif(not shutil.which(name), reason=f"{name} is not installed")


def document(name: str) -> Any:
    """Read a YAML file of config/."""
    return yaml.safe_load((CONFIG / name).read_text())


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """Copy services and timer, with the program where this machine has one."""
    for name in UNITS:
        unit = (CONFIG / "systemd" / name).read_text()
        (tmp_path / name).write_text(unit.replace(PROGRAM, sys.executable))
    return [str(tmp_path / name) for name in UNITS]


@program("systemd-analyze")
def test_systemd_has_nothing_to_say_about_the_units(units: list[str]) -> None:
    """`systemd-analyze verify` is silent."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@program("systemd-analyze")
@pytest.mark.parametrize("name", SERVICES)
def test_the_service_is_hardened(units: list[str], name: str) -> None:
    """By systemd's own measure little of the host is within its reach."""
    unit = units[UNITS.index(name)]
    words = ["systemd-analyze", "security", "--offline=true", f"--threshold={int(EXPOSURE * 10)}", unit]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    level = re.search(rf"exposure level for {name}: ([\d.]+)", done.stdout)
    assert level, done.stderr
    assert float(level[1]) < EXPOSURE


def test_the_service_reaches_what_a_pull_needs() -> None:
    """Hardened or not: sockets, the network, the accounts of registries, and places to keep things."""
    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[method-assign, assignment]
    parser.read_string((CONFIG / "systemd/puller.service").read_text())
    service = parser["Service"]
    assert {"AF_UNIX", "AF_INET", "AF_INET6"} <= {*service["RestrictAddressFamilies"].split()}
    assert service["ProtectHome"] == "read-only"
    assert "PrivateNetwork" not in service
    assert service["StateDirectory"].split() == ["puller", "puller/metrics"]
    assert service["CacheDirectory"] == service["RuntimeDirectory"] == "puller"
    assert "ReadWritePaths" not in service
    text = (CONFIG / "systemd/puller.service").read_text()
    for line in ("DOCKER_CONFIG=/root/.docker", "XDG_STATE_HOME=/var/lib", "XDG_CACHE_HOME=/var/cache"):
        assert f"Environment={line}\n" in text
    assert not {"75", "69"} & {*service["RestartPreventExitStatus"].split()}


def test_cron_takes_the_table() -> None:
    """A line has five times, a user and a command without the % that cron would cut at; the file's name has no dot."""
    path = CONFIG / "cron.d/puller"
    *settings, line = [row for row in path.read_text().splitlines() if row and not row.startswith("#")]
    assert all(re.fullmatch(r"[A-Z]+=\S+", setting) for setting in settings)
    *times, user, command, _ = line.split(None, 7)
    assert all(re.fullmatch(r"[\d*/,-]+", time) for time in times)
    assert (len(times), user, command) == (5, "root", "puller")
    assert "%" not in line
    assert "." not in path.name
    assert path.read_text().endswith("\n")


@pytest.mark.parametrize("name", ["cron.d/puller", "systemd/puller.service"])
def test_reports_are_written_where_only_root_may_write(name: str) -> None:
    """Every report of the shipped jobs goes below the directory that is root's."""
    places = re.findall(r"--report \w+=(\S+)", (CONFIG / name).read_text())
    assert "/var/lib/puller/metrics/puller.prom" in places
    assert all(place.startswith("/var/lib/puller/") for place in places)


def test_the_action_takes_text_for_text() -> None:
    """Every input is used, and none is pasted into a script, where it would be run."""
    action = document("github/action.yml")
    steps = action["runs"]["steps"]
    assert action["runs"]["using"] == "composite"
    assert all(step["shell"] == "bash" for step in steps)
    assert not any("${{" in step["run"] for step in steps)
    used = re.findall(r"inputs\.([a-z-]+)", json.dumps(steps))
    assert sorted(used) == sorted(action["inputs"])


@pytest.mark.parametrize(("said", "code"), [(0, 0), (1, 1), (75, 75)])
def test_the_action_hands_on_what_puller_says(tmp_path: Path, said: int, code: int) -> None:
    """The step fails as the run does, with its exit code as an output; lists are words, and no patterns."""
    venv = tmp_path / "puller/bin"
    venv.mkdir(parents=True)
    (venv / "puller").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/arguments\nexit {said}\n')
    (venv / "puller").chmod(0o755)
    pull = document("github/action.yml")["runs"]["steps"][1]
    environment = {"LISTS": "a.txt *", "JOBS": "5", "OPTIONS": "--policy missing", "FOLDER": "out"}
    assert sorted(pull["env"]) == sorted(environment)
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", pull["run"]], cwd=tmp_path, check=False,
        env=environment | {"PATH": "/usr/bin:/bin", "RUNNER_TEMP": str(tmp_path), "GITHUB_OUTPUT": f"{tmp_path}/o"},
    )  # fmt: skip
    arguments = (tmp_path / "arguments").read_text().split()
    assert done.returncode == code
    assert (tmp_path / "o").read_text() == f"exit-code={code}\n"
    assert arguments[-3:] == ["--", "a.txt", "*"]
    assert arguments[:3] == ["pull", "--jobs", "5"]
    assert "junit=out/puller.xml" in arguments


def test_the_gitlab_job_delivers_its_reports() -> None:
    """The JUnit file that the job writes is the one that GitLab reads, and it is kept when the job fails."""
    job = document("gitlab/puller.gitlab-ci.yml")[".puller"]
    (script,) = (line for line in job["script"] if "puller pull" in line)
    assert f"junit={job['artifacts']['reports']['junit']}" in script
    assert job["artifacts"]["when"] == "always"
    assert job["retry"]["exit_codes"] == [75]
    assert {*re.findall(r"\$(\w+)", script)} <= {*job["variables"]}


@program("promtool")
def test_prometheus_takes_the_alerts() -> None:
    """Promtool reads the rules, and each alert fires when it should."""
    for words in (["check", "rules", "puller.rules.yml"], ["test", "rules", "puller.rules.test.yml"]):
        done = subprocess.run(
            ["promtool", *words], cwd=CONFIG / "prometheus", capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def expressions() -> Iterator[str]:
    """Give every expression of the alerts and the dashboard."""
    for group in document("prometheus/puller.rules.yml")["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    dashboard = json.loads((CONFIG / "grafana/puller.json").read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (each["definition"] for each in dashboard["templating"]["list"] if "definition" in each)


def test_alerts_and_dashboard_ask_for_metrics_that_are_written() -> None:
    """Every metric that they name, and every label, is in the file that a run writes."""
    prometheus = pytest.importorskip("puller.report.prometheus", reason="this checkout writes no metrics")
    text = prometheus.render(report(*every_status()))
    written = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    labels = {"instance", *re.findall(r'[{,](\w+)="', text)}
    asked = list(expressions())
    assert len(asked) > 10
    for expression in asked:
        names = set(re.findall(r"\bpuller_\w+", expression))
        assert names
        assert names <= written
        assert {*re.findall(r"[{,]\s*(\w+)\s*=~?", expression)} <= labels


def test_the_panels_of_the_dashboard_lie_side_by_side() -> None:
    """Grafana has 24 columns; no panel lies on another, and each has a number of its own."""
    panels = json.loads((CONFIG / "grafana/puller.json").read_text())["panels"]
    cells = [
        (place["x"] + column, place["y"] + row)
        for place in (panel["gridPos"] for panel in panels)
        for column in range(place["w"])
        for row in range(place["h"])
    ]
    assert len(cells) == len({*cells})
    assert max(column for column, _ in cells) == 23
    assert len({panel["id"] for panel in panels}) == len(panels)
