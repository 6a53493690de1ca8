"""Where puller keeps files of its own, by the XDG Base Directory Specification (0.8)."""

from pathlib import Path

from platformdirs import PlatformDirs

from puller.errors import UsageError

SYSTEM_CONFIG = Path("/etc/puller/puller.toml")
"""The file for every account of this host."""
_DIRS = PlatformDirs("puller")


def config_files() -> tuple[Path, ...]:
    """Return where configuration is looked for: the system's file, then the user's, which wins."""
    try:
        return SYSTEM_CONFIG, config_home() / "puller.toml"
    except UsageError:  # who has no home has no file in it
        return (SYSTEM_CONFIG,)


def config_home() -> Path:
    """Return the user's configuration directory; raises UsageError when there is no home."""
    return _user_path("config")


def state_home() -> Path:
    """Return the directory of what must outlive a run, such as its report; raises UsageError when there is no home."""
    return _user_path("state")


def cache_home() -> Path:
    """Return the directory of what can be fetched again; raises UsageError when there is no home."""
    return _user_path("cache")


def _user_path(kind: str) -> Path:
    try:
        return Path(getattr(_DIRS, f"user_{kind}_dir"))
    except RuntimeError:
        raise UsageError(f"no home directory is known: set HOME or XDG_{kind.upper()}_HOME") from None
