"""Asks docker compose for the services, images and platforms of a Compose file.

The plugin is run directly: `docker compose` would start docker first, and the plugin twice. `config --format json` is
supported since version 2.0 and contacts no engine; `config --images` omits platforms and invents names for services
that are only built.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from puller.cancellation import Cancellation
from puller.system import docker_config

DEFAULT_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
"""The files that docker compose reads when no file is named."""
OVERRIDES = tuple(f"{name}.override.{ending}" for name in ("compose", "docker-compose") for ending in ("yml", "yaml"))
"""The override files of a file with a default name; the first that exists is used."""
_LONGEST = 32 << 20
"""Bytes of an answer, which includes the content of the project's configs."""
_PROGRAM = "docker-compose"
_SYSTEM = ("/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec")
_OFFLINE = {"COMPOSE_EXPERIMENTAL_GIT_REMOTE": "false", "COMPOSE_EXPERIMENTAL_OCI_REMOTE": "false"}
"""Nothing is downloaded for an `include`."""


class Compose:
    """Runs docker compose, if it is installed; after a timeout it is not run again."""

    def __init__(self, seconds: float = 20.0) -> None:
        """Set the time limit for an answer, which usually takes a tenth of a second."""
        self._seconds = seconds
        self._hangs = False

    def __call__(self, files: Sequence[Path], profiles: Sequence[str], *, interpolate: bool = True) -> str | None:
        """Return the project of these files as JSON, with active `profiles` and expanded variables.

        Without `interpolate` the files are only merged. Returns None where docker compose is not installed; raises
        ValueError with the error of docker compose, or with the reason why it cannot be run.
        """
        program = None if self._hangs else find(os.environ)
        if program is None:
            return None
        from puller.system import process  # noqa: PLC0415 - imports subprocess, which only Compose files need

        # An absolute path cannot be mistaken for the URL of a repository.
        options = [f"--file={path.absolute()}" for path in files] + [f"--profile={profile}" for profile in profiles]
        raw = () if interpolate else ("--no-interpolate",)
        command = (str(program), *options, "config", "--format", "json", *raw)
        environment = {**os.environ, **_OFFLINE}
        try:
            done = process.run(
                command, environment=environment, cancel=Cancellation(), timeout=self._seconds, keep=_LONGEST
            )
        except TimeoutError:
            self._hangs = True
            raise ValueError(f"docker compose did not answer within {self._seconds:g}s") from None
        except OSError as error:
            raise ValueError(f"docker compose cannot be run: {error.strerror}: {program}") from None
        if done.code == 0:
            return done.stdout
        if "Usage:" in done.stderr:
            return None  # version 1, which has no JSON
        # Warnings come before the error.
        words = " ".join(line.strip() for line in done.stderr.splitlines() if not line.startswith("time="))
        raise ValueError(f"docker compose reports an error: {words or f'exit code {done.code}'}")


def find(environment: Mapping[str, str]) -> Path | None:
    """Find the plugin where docker looks for it, or else the program in PATH."""
    folders = [Path(folder, "docker", "cli-plugins") for folder in _SYSTEM]
    folders += [Path(folder) for folder in environment.get("PATH", "").split(os.pathsep) if folder]
    with suppress(RuntimeError):  # there is no home directory
        folders.insert(0, docker_config.directory(environment) / "cli-plugins")
    paths = (folder / _PROGRAM for folder in folders)
    return next((path for path in paths if os.access(path, os.X_OK) and path.is_file()), None)
