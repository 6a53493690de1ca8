"""For which platform images are, asked through the command, where not everything goes well."""

import json

import pytest

from puller.engine.cli.engine import CliImageStore
from puller.errors import EngineError
from puller.image.reference import Platform

IMAGES = {
    "sha256:1": {"Os": "linux", "Architecture": "amd64"},
    "sha256:2": {"Os": "linux", "Architecture": "arm", "Variant": "v6"},
    "sha256:3": {"Os": "linux", "Architecture": "arm"},
    "sha256:4": {},
}


class Program:
    """`docker image inspect`, with a record of how it was called."""

    def __init__(self, trouble: str = "Error: No such image: x") -> None:
        self.calls: list[tuple[str, ...]] = []
        self._trouble = trouble

    def __call__(self, *arguments: str) -> str:
        """Describe all images, or fail as a whole when one is not there."""
        self.calls.append(arguments)
        identities = [argument for argument in arguments if argument.startswith("sha256:")]
        if not IMAGES.keys() >= set(identities):
            raise EngineError(self._trouble)
        return json.dumps([IMAGES[identity] for identity in identities])


def test_all_images_are_one_question() -> None:
    """A variant that is not said stays unsaid, and an image that says nothing is left out."""
    program = Program()
    found = CliImageStore(program, "docker", local=True).platforms([*IMAGES])
    assert found == {
        "sha256:1": Platform("linux", "amd64"),
        "sha256:2": Platform("linux", "arm", "v6"),
        "sha256:3": Platform("linux", "arm"),
    }
    assert program.calls == [("image", "inspect", *IMAGES)]


@pytest.mark.parametrize("trouble", ["Error: No such image: x", "x: image not known", "unknown flag: --platform"])
def test_one_that_has_gone_costs_no_other(trouble: str) -> None:
    """Then each is asked about by itself."""
    program = Program(trouble)
    arm = Platform("linux", "arm", "v6")
    found = CliImageStore(program, "docker", local=True).platforms(["sha256:1", "sha256:9"], arm)
    assert [*found] == ["sha256:1"]
    assert program.calls[-1] == ("image", "inspect", "--platform", "linux/arm/v6", "sha256:9")


def test_an_engine_that_has_gone_is_trouble() -> None:
    """That nothing is known must not look like that nothing is wrong."""
    program = Program("Cannot connect to the Docker daemon. Is the docker daemon running?")
    with pytest.raises(EngineError, match="Cannot connect"):
        CliImageStore(program, "docker", local=True).platforms(["sha256:1", "sha256:9"])


def test_a_platform_that_the_engine_omits_is_found() -> None:
    """Engine 29 describes an image of another platform by empty texts, unless asked for that platform."""

    def run(*arguments: str) -> str:
        if "--platform" not in arguments:
            return json.dumps([{"Os": "", "Architecture": "", "Size": 0}])
        if "linux/s390x" not in arguments:
            raise EngineError("image with reference sha256:5 was found but does not provide the specified platform")
        return json.dumps([{"Os": "linux", "Architecture": "s390x"}])

    found = CliImageStore(run, "docker", local=True).platforms(["sha256:5"])
    assert found == {"sha256:5": Platform("linux", "s390x")}
