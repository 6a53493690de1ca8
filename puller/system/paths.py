"""The directories of puller's own files (XDG Base Directory Specification 0.8)."""

from functools import partial
from pathlib import Path

from platformdirs import PlatformDirs

from puller.errors import UsageError

SYSTEM_CONFIG = Path("/etc/puller/puller.toml")  # the configuration of all users of this host
_DIRS = PlatformDirs("puller")


def _user_path(kind: str) -> Path:
    """Return one of the user's directories; raises UsageError if there is no home directory."""
    try:
        return Path(getattr(_DIRS, f"user_{kind}_dir"))
    except RuntimeError:
        raise UsageError(f"no home directory is known: set HOME or XDG_{kind.upper()}_HOME") from None


config_home = partial(_user_path, "config")
state_home = partial(_user_path, "state")  # for data that outlives a run, such as its report
cache_home = partial(_user_path, "cache")  # for data that can be downloaded again


def config_files() -> tuple[Path, ...]:
    """Return the configuration files in the order in which they are read; the user's file overrides the system's."""
    try:
        return SYSTEM_CONFIG, config_home() / "puller.toml"
    except UsageError:  # no home directory
        return (SYSTEM_CONFIG,)
