"""The directories of puller's own files (XDG Base Directory Specification 0.8)."""

from pathlib import Path

from platformdirs import PlatformDirs

from puller.errors import UsageError

SYSTEM_CONFIG = Path("/etc/puller/puller.toml")
"""The configuration of all users of this host."""
_DIRS = PlatformDirs("puller")


def config_files() -> tuple[Path, ...]:
    """Return the configuration files in the order in which they are read; the user's file overrides the system's."""
    try:
        return SYSTEM_CONFIG, config_home() / "puller.toml"
    except UsageError:  # no home directory
        return (SYSTEM_CONFIG,)


def config_home() -> Path:
    """Return the user's configuration directory; raises UsageError if there is no home directory."""
    return _user_path("config")


def state_home() -> Path:
    """Return the directory of data that outlives a run, such as its report; raises UsageError likewise."""
    return _user_path("state")


def cache_home() -> Path:
    """Return the directory of data that can be downloaded again; raises UsageError likewise."""
    return _user_path("cache")


def _user_path(kind: str) -> Path:
    try:
        return Path(getattr(_DIRS, f"user_{kind}_dir"))
    except RuntimeError:
        raise UsageError(f"no home directory is known: set HOME or XDG_{kind.upper()}_HOME") from None
