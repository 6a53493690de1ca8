"""Many hosts with 10 images each through a broker in memory: everything once, at which rate, with how much memory."""

import os
import resource
import sys
import time
from pathlib import Path

import pytest

from puller.cancellation import Cancellation
from puller.fleet.runs.controller import Controller
from puller.fleet.runs.model import RunState
from puller.fleet.runs.report import report_of_run
from puller.fleet.runs.schema import attempts
from puller.fleet.runs.store import Store
from puller.model import RunDetails, Status
from puller.report import RENDERERS
from tests.lab.fake_broker import FakeBroker
from tests.unit.fleet_runs.runs import fleet, names, options, pinned

HOSTS, IMAGES = int(os.environ.get("FLEET_HOSTS", "200")), 10


def megabytes() -> float:
    """Return the most memory that this process had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_many_hosts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every result is in the store once; the figures of docs/fleet-runs.md are printed (`pytest -s`)."""
    store, said = Store(f"sqlite:///{tmp_path / 'fleet.db'}"), list[str]()
    hosts = fleet(HOSTS)
    before, began = megabytes(), time.monotonic()
    name = store.add(hosts, pinned(*(f"app{at}:1" for at in range(IMAGES))), options(1, "10%"), RunDetails())
    submitted = time.monotonic() - began
    broker, cancel = FakeBroker(names(hosts)), Cancellation()
    controller = Controller(store, lambda: broker, say=said.append)

    def stop_when_finished() -> None:
        if store.run(name).state is RunState.FINISHED:
            cancel.cancel("finished")

    broker.on_tick = stop_when_finished
    began, used = time.monotonic(), time.process_time()
    controller.serve(cancel)
    seconds, processor = time.monotonic() - began, time.process_time() - used
    with store.reading() as connection:
        assert len(connection.execute(attempts.select()).all()) == HOSTS * IMAGES
    began = time.monotonic()
    report = report_of_run(store, store.run(name))
    reported = time.monotonic() - began
    assert report.counts[Status.PULLED] == HOSTS * IMAGES == controller.recorded == broker.acknowledged
    began = time.monotonic()
    page = RENDERERS["html"](report, run=name)
    rendered = time.monotonic() - began
    store.close()
    size = (tmp_path / "fleet.db").stat().st_size
    with capsys.disabled():
        sys.stdout.write(
            f"\n{HOSTS} hosts x {IMAGES} images: submitted in {submitted:.1f} s; published, pulled by nobody, recorded "
            f"in {seconds:.1f} s ({HOSTS * IMAGES / seconds:.0f} results/s, {processor:.1f} s of processor time); "
            f"report in {reported:.1f} s, page of {len(page) / 1e6:.1f} MB in {rendered:.1f} s; "
            f"{megabytes() - before:.0f} MB more memory; store of {size / 1e6:.0f} MB\n"
        )
