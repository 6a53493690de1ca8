"""What the whole suite shares: which engine binary to test on."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the real-engine tests run on any engine that tests.world can start."""
    parser.addoption(
        "--engine",
        default="installed",
        metavar="SPEC",
        help="engine for tests/core: installed, SUITE+graph, SUITE+containerd or /path/to/dockerd+STORE",
    )


def pytest_report_header(config: pytest.Config) -> str:
    """Say which engine this run is about."""
    return f"engine: {config.getoption('--engine')}"
