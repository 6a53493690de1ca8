"""docker compose, asked what a Compose file means: which services are active, with which images and platforms.

The plugin is a program of its own, and is run as one: `docker compose` would first start docker, and the plugin twice,
for the same answer. `config --format json` is understood by every version from 2.0 on and asks no engine; `--images`
would make up names for services that are only built, and says nothing of platforms.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from puller.cancellation import Cancellation
from puller.system import docker_config, process

SECONDS = 20.0
"""How long an answer may take; usual is a tenth of a second."""
_LONGEST = 32 << 20
"""Bytes of an answer: it repeats all that the project's configs hold."""
_PROGRAM = "docker-compose"
_SYSTEM = ("/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec")
_OFFLINE = {"COMPOSE_EXPERIMENTAL_GIT_REMOTE": "false", "COMPOSE_EXPERIMENTAL_OCI_REMOTE": "false"}
"""Nothing is fetched for an `include`; our own reading says of it where it stands."""
_LOG = "time="


class Compose:
    """Asks docker compose, where it is installed; after a question without an answer, no more."""

    def __init__(self, seconds: float = SECONDS) -> None:
        """Wait so many seconds for an answer."""
        self._seconds = seconds
        self._hangs = False

    def __call__(self, files: Sequence[Path], profiles: Sequence[str]) -> str | None:
        """Give the project that these files make, as JSON; None where compose is not installed.

        Raises ValueError with what compose complains of, or why it cannot be asked.
        """
        program = None if self._hangs else find(os.environ)
        if program is None:
            return None

        # An absolute path is never taken for the address of a repository.
        options = [f"--file={path.absolute()}" for path in files] + [f"--profile={profile}" for profile in profiles]
        try:
            done = process.run(
                (str(program), *options, "config", "--format", "json"),
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
    """Look for the plugin where docker does, else for the program on the PATH; nothing is started for it."""
    return next((path for path in _places(environment) if path.is_file() and os.access(path, os.X_OK)), None)


def _places(environment: Mapping[str, str]) -> Iterator[Path]:

    with suppress(RuntimeError):  # no home directory is known
        yield docker_config.directory(environment) / "cli-plugins" / _PROGRAM
    yield from (Path(folder, "docker", "cli-plugins", _PROGRAM) for folder in _SYSTEM)
    yield from (Path(folder, _PROGRAM) for folder in environment.get("PATH", "").split(os.pathsep) if folder)


def _words(stderr: str) -> str:
    """Leave out the warnings that come before the reason."""
    return " ".join(line.strip() for line in stderr.splitlines() if not line.startswith(_LOG))
