"""Where puller keeps files of its own, by the XDG Base Directory Specification (0.8)."""

import os
from pathlib import Path

from puller.errors import UsageError

SYSTEM_CONFIG = Path("/etc/puller/puller.toml")
"""The file for every account of this host."""


def config_files() -> tuple[Path, ...]:
    """Where configuration is looked for: that of the system, then that of the user, which wins."""
    try:
        return SYSTEM_CONFIG, config_home() / "puller.toml"
    except UsageError:  # who has no home has no file in it
        return (SYSTEM_CONFIG,)


def config_home() -> Path:
    """Where a user's configuration is; raises UsageError when there is no home."""
    return _place("XDG_CONFIG_HOME", ".config")


def state_home() -> Path:
    """Where is kept what must outlive a run, such as its report; raises UsageError when there is no home."""
    return _place("XDG_STATE_HOME", ".local/state")


def cache_home() -> Path:
    """Where is kept what can be fetched again; raises UsageError when there is no home."""
    return _place("XDG_CACHE_HOME", ".cache")


def _place(variable: str, default: str) -> Path:
    named = Path(os.environ.get(variable, ""))
    if named.is_absolute():  # the specification wants others to be ignored
        return named / "puller"
    try:
        return Path.home() / default / "puller"
    except RuntimeError:
        raise UsageError(f"no home directory is known: set HOME or {variable}") from None
