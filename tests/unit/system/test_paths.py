"""Where puller keeps files of its own."""

from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from puller.errors import UsageError
from puller.system import paths as places


def test_places_are_in_the_home_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the XDG specification has it; a relative path is ignored."""
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    assert places.state_home() == Path("/home/me/.local/state/puller")
    assert places.config_home() == Path("/home/me/.config/puller")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert places.cache_home() == Path("/elsewhere/puller")
    monkeypatch.setenv("XDG_CACHE_HOME", "elsewhere")
    assert places.cache_home() == Path("/home/me/.cache/puller")


def test_nobody_without_a_home_gets_a_traceback(monkeypatch: pytest.MonkeyPatch, mocker: MockerFixture) -> None:
    """It is said what to set: in containers with a made-up user ID there is no home."""
    for name in ("XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    mocker.patch("pwd.getpwuid", side_effect=KeyError)
    with pytest.raises(UsageError, match="set HOME or XDG_STATE_HOME"):
        places.state_home()
