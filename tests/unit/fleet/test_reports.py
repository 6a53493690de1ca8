"""Reports of a run over hosts, in every kind."""

import json
from pathlib import Path

import jsonschema

import puller as package
from puller.model import HostState, Report
from puller.report import json as as_json
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
