"""Asks docker compose what a Compose file means: which services are active, with which images and platforms.

The plugin is a program of its own, and is run as one: `docker compose` would first start docker, and the plugin twice,
for the same answer. `config --format json` is understood by every version from 2.0 on and asks no engine; `--images`
would make up names for services that are only built, and leaves out platforms.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from puller.cancellation import Cancellation
from puller.system import docker_config

DEFAULT_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
"""The files that docker compose reads when no file is named."""
OVERRIDES = (
    "compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml",
)  # fmt: skip
"""Read beside a file with a default name, the first that exists."""
SECONDS = 20.0
"""How long an answer may take; a tenth of a second is usual."""
_LONGEST = 32 << 20
"""Bytes of an answer: it repeats all that the project's configs hold."""
_PROGRAM = "docker-compose"
_SYSTEM = ("/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec")
_OFFLINE = {"COMPOSE_EXPERIMENTAL_GIT_REMOTE": "false", "COMPOSE_EXPERIMENTAL_OCI_REMOTE": "false"}
"""Nothing is fetched for an `include`."""
_LOG = "time="


class Compose:
    """Asks docker compose, where it is installed; after one time-out it is not asked again."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._hangs = False

    def __call__(self, files: Sequence[Path], profiles: Sequence[str], *, interpolate: bool = True) -> str | None:
        """Do what `AskCompose` says; a ValueError may also say why compose cannot be run."""
        program = None if self._hangs else find(os.environ)
        if program is None:
            return None
        from puller.system import process  # noqa: PLC0415 - subprocess: only a Compose file needs it

        # An absolute path is never taken for the address of a repository.
        options = [f"--file={path.absolute()}" for path in files] + [f"--profile={profile}" for profile in profiles]
        raw = () if interpolate else ("--no-interpolate",)
        try:
            done = process.run(
                (str(program), *options, "config", "--format", "json", *raw),
                environment={**os.environ, **_OFFLINE},
                cancel=Cancellation(),
                timeout=self._seconds,
                keep=_LONGEST,
            )
        except TimeoutError:
            self._hangs = True
            raise ValueError(f"docker compose gives no answer within {self._seconds:g}s") from None
        except OSError as error:
            raise ValueError(f"docker compose cannot be run: {error.strerror}: {program}") from None
        if done.code == 0:
            return done.stdout
        if "Usage:" in done.stderr:
            return None  # version 1, which knows no JSON
        raise ValueError(f"docker compose refuses it: {_words(done.stderr) or f'exit code {done.code}'}")


def find(environment: Mapping[str, str]) -> Path | None:
    """Find the plugin where docker finds it, or else the program on the PATH; nothing is started."""
    return next((path for path in _places(environment) if path.is_file() and os.access(path, os.X_OK)), None)


def _places(environment: Mapping[str, str]) -> Iterator[Path]:
    with suppress(RuntimeError):  # no home directory is known
        yield docker_config.directory(environment) / "cli-plugins" / _PROGRAM
    yield from (Path(folder, "docker", "cli-plugins", _PROGRAM) for folder in _SYSTEM)
    yield from (Path(folder, _PROGRAM) for folder in environment.get("PATH", "").split(os.pathsep) if folder)


def _words(stderr: str) -> str:
    """Remove the warnings before the reason."""
    return " ".join(line.strip() for line in stderr.splitlines() if not line.startswith(_LOG))
