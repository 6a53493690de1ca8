"""Reports of a run over hosts, in every kind."""

import json
from pathlib import Path

import jsonschema
from junitparser import JUnitXml

import puller as package
from puller.model import Report
from puller.model.hosts import HostState
from puller.report import RENDERERS, json as as_json
from puller.report.words import next_commands
from puller.settings import FailureLimit
from tests.lab.fakes import FakeBackend
from tests.unit.fleet.hosts import FakeFleet, pull
from tests.unit.fleet.test_run import FULL, UNKNOWN

IMAGES = ("a.io/x:1", "a.io/y:2", "b.io/z:3")


def mixed() -> Report:
    """Run over six hosts: one is down, one has a full disk, one image is unknown on two."""
    unknown = {"b.io/z:3": UNKNOWN}
    engines = {"h1": FakeBackend(unknown), "h2": FakeBackend(unknown), "h4": FakeBackend(otherwise=FULL)}
    return pull(FakeFleet(engines, down=["h3"]), 6, IMAGES)


def halted() -> Report:
    """Run over four hosts, of which the first halts the run."""
    return pull(FakeFleet({"h0": FakeBackend({"b.io/z:3": UNKNOWN})}), 4, IMAGES, canaries=1, max_fail=FailureLimit(0))


def test_json_has_hosts_with_their_state_and_is_read_back() -> None:
    """The schema allows it, and a report that was read has the same hosts."""
    schema = json.loads((Path(package.__file__).parent / "schemas/report.schema.json").read_text())
    for report in (mixed(), halted()):
        text = as_json.render(report)
        document = json.loads(text)
        jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
        assert report.fleet
        assert [host["state"] for host in document["fleet"]["hosts"]] == [h.state for h in report.fleet.hosts]
        again = as_json.report_of(text)
        assert again.fleet
        assert as_json.render(again) == text
        assert again.exit_code is report.exit_code
        assert as_json.summary_of(text).details.hosts == len(report.fleet.hosts)
    assert document["fleet"]["halted"] == "the canary h0 failed"
    assert document["fleet"]["hosts"][3]["state"] == HostState.NOT_STARTED


def test_text_has_a_row_for_each_host_with_problems_first() -> None:
    """Each failed image is named once, with its hosts; hosts that could not be reached are apart."""
    text = RENDERERS["text"](mixed())
    states = [line.split()[:2] for line in text.splitlines()[1:7]]
    assert [host for _, host in states] == ["h1", "h2", "h4", "h3", "h0", "h5"]
    assert "failed: 1 image on 2 hosts: image or tag not found (not_found)" in text
    assert "    b.io/z:3 on h1, h2\n" in text
    assert "2 of 6 hosts have all images, 3 failed, 1 unreachable" in text
    assert "\nunreachable: h3: connection timed out\n" in text


def test_text_says_why_a_run_was_halted() -> None:
    """And how many hosts were not touched."""
    assert "\nhalted: the canary h0 failed; 3 hosts not started\n" in RENDERERS["text"](halted())


def test_the_next_command_is_the_same_again() -> None:
    """What is present needs no pull the next time; `--failed` would pull into this machine's engine."""
    report = mixed()
    report = report._replace(details=report.details._replace(command="puller fleet pull images.txt --hosts hosts.txt"))
    (command, _), *_ = next_commands(report)
    assert command == "puller fleet pull images.txt --hosts hosts.txt"


def test_markdown_has_a_table_of_hosts() -> None:
    """A summary of a CI step cannot have a row for each image on each host."""
    text = RENDERERS["markdown"](mixed())
    assert "| **failed** | `h4` | 0/3 |  |" in text
    assert "  - `b.io/z:3` on h1, h2" in text


def test_junit_has_a_suite_for_each_host() -> None:
    """The counts of all suites are those of the run."""
    suites = JUnitXml.fromstring(RENDERERS["junit"](mixed()).encode())
    assert [suite.name for suite in suites] == [f"h{number}" for number in range(6)]
    assert (suites.tests, suites.failures + suites.errors) == (18, 8)
    assert {case.classname for case in next(iter(suites))} == {"h0 a.io", "h0 b.io"}


def test_metrics_have_the_host() -> None:
    """An image that fails keeps its last success on that host, and the states of hosts are counted."""
    good = pull(FakeFleet(), 6, IMAGES)
    before = RENDERERS["prometheus"](good, name="x")
    text = RENDERERS["prometheus"](mixed(), name="x", before=before)
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    name = 'puller_image_last_success_timestamp_seconds{{host="{}",image="b.io/z:3",list="x",platform=""}}'
    assert 0 < float(values[name.format("h1")]) < float(values[name.format("h0")])
    assert values['puller_last_run_hosts{list="x",state="unreachable"}'] == "1.0"


def test_the_page_has_a_grid() -> None:
    """A row for each host and a cell for each of its images, whose title says what became of it."""
    page = RENDERERS["html"](mixed())
    assert page.count('<td class="cell ') == 18
    assert '<td class="cell failed" title="h2: b.io/z:3: image or tag not found">' in page
    assert 'title="b.io/z:3: failed on 2 hosts"' in page


def test_a_large_page_has_all_cells_and_the_rows_of_failures() -> None:
    """25,000 rows would be too many for a browser."""
    images = [f"a.io/x:{number}" for number in range(50)]
    report = pull(FakeFleet({"h7": FakeBackend({images[3]: UNKNOWN})}), 60, images)
    page = RENDERERS["html"](report)
    assert page.count('<td class="cell ') == 3000
    assert page.count('<li id="image-') == 1


def test_the_list_of_failed_images_has_each_once() -> None:
    """It is a list of images again, for all hosts."""
    lines = RENDERERS["failed"](mixed()).splitlines()
    assert sum(line == "b.io/z:3" for line in lines) == 3  # unknown, unreachable host, full disk: three causes


def test_an_interruption_has_the_words_of_one_host() -> None:
    """Ctrl-C is called so, with the hosts that did not start."""
    stopped = RENDERERS["text"](halted()._replace(stopped="interrupted by SIGINT"))
    assert "\ninterrupted (Ctrl-C): 3 hosts not started\n" in stopped
    assert "SIGINT" not in stopped
