"""podman with storage and configuration of its own: nothing of this machine's podman is used or changed."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.lab.process import WorldError, clean_environment


class Podman:
    """A podman that belongs to the test, run as root; there is no daemon."""

    def __init__(self, folder: Path, insecure: Iterable[str]) -> None:
        """Write its configuration; `insecure` registries are asked over plain HTTP, loopback is no exception.

        Raises WorldError where podman is not installed, or cannot run, as in a container without the right to mount.
        """
        if shutil.which("podman") is None:
            raise WorldError("podman is not installed: apt-get install podman")
        self.data_root = folder / "data"
        storage, registries, engine = (folder / f"{name}.conf" for name in ("storage", "registries", "containers"))
        storage.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{self.data_root}"\nrunroot = "{folder / "run"}"\n')
        registries.write_text("".join(f'[[registry]]\nlocation = "{each}"\ninsecure = true\n' for each in insecure))
        engine.write_text(f'[engine]\ntmp_dir = "{folder / "tmp"}"\nlock_type = "file"\n')
        accounts = folder / "auth.json"
        if not accounts.exists():
            accounts.write_text("{}")
        self.variables = {
            "CONTAINERS_STORAGE_CONF": str(storage),
            "CONTAINERS_REGISTRIES_CONF": str(registries),
            "CONTAINERS_CONF": str(engine),
            "REGISTRY_AUTH_FILE": str(accounts),
        }
        done = subprocess.run(
            ["podman", "info"],
            env=clean_environment("CONTAINERS_") | self.variables,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise WorldError(f"podman does not run here: {done.stderr.strip()}")
