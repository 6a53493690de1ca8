"""What the whole suite shares: which engine binary to test on, and signals that mean what they say."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings

from tests.lab.second_user import NOBODY

# A clock says nothing on a machine that does other things, too.
settings.register_profile("puller", deadline=None, max_examples=30)
settings.load_profile("puller")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the real-engine tests run on any engine that the lab can start."""
    parser.addoption(
        "--engine",
        default="installed",
        metavar="SPEC",
        help="engine to test with: installed, SUITE+graph, SUITE+containerd or /path/to/dockerd+STORE",
    )
    parser.addoption(
        "--broker",
        default="installed",
        metavar="SPEC",
        help="RabbitMQ to test with: installed, or a Debian suite such as sid",
    )
    parser.addoption(
        "--backends",
        default="api,cli",
        metavar="NAME[,NAME]",
        help="backends to test with: api, sdk, cli; some faults are played with api and cli in any case",
    )

    parser.addoption("--kills", type=int, default=1, metavar="N", help="how often to kill puller in each verb")


def pytest_configure() -> None:
    """Let both signals end the run in good order, with every engine stopped.

    A shell starts what it puts into the background with SIGINT ignored; SIGTERM would end Python on the spot. `nohup`
    has SIGHUP ignored, also in the programs that are tested.
    """
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_report_header(config: pytest.Config) -> str:
    """Say which engine this run is about."""
    return f"engine: {config.getoption('--engine')}"


@pytest.fixture
def theirs() -> Iterator[Path]:
    """Give a second user a directory that root writes reports into, as that of a metrics collector."""
    with TemporaryDirectory(prefix="puller-theirs-") as folder:
        Path(folder).chmod(0o711)
        directory = Path(folder) / "theirs"
        directory.mkdir()
        os.chown(directory, NOBODY, NOBODY)
        yield directory
