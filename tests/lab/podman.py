"""podman with storage and configuration of its own: nothing of this machine's podman is used or changed."""

import shutil
import subprocess
from pathlib import Path

from tests.lab.process import WorldError, clean_environment


class Podman:
    """A podman that belongs to the tests, run as root; there is no daemon."""

    def __init__(self, folder: Path) -> None:
        """Write its configuration.

        Raises WorldError where podman is not installed, or cannot run, as in a container that may not mount.
        """
        if shutil.which("podman") is None:
            raise WorldError("podman is not installed: apt-get install podman")
        storage, self._registries, engine = (folder / f"{name}.conf" for name in ("storage", "registries", "engine"))
        storage.write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{folder / "data"}"\nrunroot = "{folder / "run"}"\n'
        )
        engine.write_text(f'[engine]\ntmp_dir = "{folder / "tmp"}"\nlock_type = "file"\n')
        self.variables = {
            "CONTAINERS_STORAGE_CONF": str(storage),
            "CONTAINERS_REGISTRIES_CONF": str(self._registries),
            "CONTAINERS_CONF": str(engine),
        }
        self.trust()
        environment = clean_environment("CONTAINERS_") | self.variables
        done = subprocess.run(["podman", "info"], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise WorldError(f"podman does not run here: {done.stderr.strip()}")

    def trust(self, *registries: str) -> None:
        """Let these registries, and no others, be asked over plain HTTP: loopback is no exception."""
        self._registries.write_text(
            "".join(f'[[registry]]\nlocation = "{each}"\ninsecure = true\n' for each in registries)
        )
