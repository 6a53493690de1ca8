"""What the tests of the command line share: no settings of whoever runs them."""

import os

import pytest


@pytest.fixture(autouse=True)
def nobodys_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the variables that puller would read in this process."""
    for name in [name for name in os.environ if name.startswith("PULLER_") or name == "DOCKER_DEFAULT_PLATFORM"]:
        monkeypatch.delenv(name)
