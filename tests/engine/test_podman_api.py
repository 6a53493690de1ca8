"""podman's own Engine API, which says less than docker's."""

import pytest

from tests.engine.conftest import Puller
from tests.lab import Registry, push_image
from tests.lab.podman import Podman
from tests.lab.process import Process, WorldError, clean_environment, wait_until


def test_images_are_pulled_through_podmans_api(pytestconfig: pytest.Config, registry: Registry, puller: Puller) -> None:
    """The report tells a new image, one that is up to date, and one that the registry does not have."""
    if pytestconfig.getoption("--engine") != "installed":
        pytest.skip("uses no Docker engine: played beside the installed one")
    try:
        podman = Podman(puller.folder)
    except WorldError as error:
        pytest.skip(str(error))
    podman.trust(registry.address)
    socket = puller.folder / "podman.sock"
    argv = ("podman", "system", "service", "--time=0", f"unix://{socket}")
    service = Process(argv, puller.folder / "podman.log", clean_environment("CONTAINERS_") | podman.variables)
    try:
        assert wait_until(socket.exists, 30), service.tail()
        puller.environment["DOCKER_HOST"] = f"unix://{socket}"
        image = push_image(registry, "podman-api/app")
        options = ("--backend", "api", "--policy", "always")
        for status in ("pulled", "up_to_date"):
            run = puller.pull("--image", image.reference, *options)
            assert [(each["status"], each["digest"]) for each in run.images] == [(status, image.digest)], run.stderr
        run = puller.pull("--image", f"{image.address}/{image.repository}:none", *options)
        assert (run.code, run.images[0]["error"]["kind"]) == (1, "not_found")
    finally:
        service.terminate()
