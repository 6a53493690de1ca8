"""Mirrors on a real engine: dead, stale, lying, or all there is; the image ends up under the name asked for."""

from collections.abc import Iterator

import pytest
import requests

from tests.engine.conftest import Puller
from tests.lab import (
    Engine,
    Proxy,
    PushedImage,
    Registry,
    Rule,
    faults,
    layer,
    push_image,
)
from tests.lab.program import Run

ACCEPT = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}


@pytest.fixture(scope="module")
def mirror() -> Iterator[Registry]:
    """Start a second registry, which holds copies under a prefix."""
    with Registry() as mirror:
        yield mirror


class Pair:
    """An image at its registry, and perhaps a copy at the mirror."""

    def __init__(
        self, engine: Engine, puller: Puller, registries: tuple[Registry, Registry], proxies: tuple[Proxy, Proxy]
    ) -> None:
        self.engine, self.puller = engine, puller
        self.registry, self.copies = registries
        self.origin, self.mirror = proxies

    @property
    def option(self) -> str:
        """The mirror of this registry."""
        return f"--mirror={self.origin.address}={self.place}"

    @property
    def place(self) -> str:
        """Where the mirror has its copies."""
        return f"{self.mirror.address}/copies"

    def push(self, name: str, content: str, copy: str | None = "same") -> PushedImage:
        """Push an image, and to the mirror the same or other content under the same tag; None is no copy."""
        image = push_image(self.registry, f"mirrored/{name}", layers=[layer(content)])
        if copy is not None:
            other = content if copy == "same" else copy
            push_image(self.copies, f"copies/mirrored/{name}", layers=[layer(other)])
        return image

    def pull(self, *args: str) -> Run:
        """Pull with the mirror."""
        return self.puller.pull(self.option, "--retries", "0", "--no-second-pass", *args)

    def names(self) -> str:
        """All names that the engine has."""
        return str([(image["RepoTags"], image["RepoDigests"]) for image in self.engine.images()])


@pytest.fixture
def pair(engine: Engine, registry: Registry, mirror: Registry, puller: Puller) -> Iterator[Pair]:
    """Put a registry and its mirror side by side, each behind a proxy."""
    with Proxy(registry) as origin, Proxy(mirror) as front:
        yield Pair(engine, puller, (registry, mirror), (origin, front))


def test_the_layers_come_from_the_mirror(pair: Pair, backend: str) -> None:
    """The registry says what the tag stands for and sends no layer; the image has its name and no other."""
    image = pair.push(f"plain-{backend}", "plain")
    reference = image.at(pair.origin.address)
    run = pair.pull("--image", reference, "--backend", backend)
    (said,) = run.images
    assert (run.code, said["status"], said["digest"]) == (0, "pulled", image.digest), run.stdout + run.stderr
    assert (said["mirror"], said["confirmed"]) == (pair.place, True)
    assert (pair.origin.count("GET", "/blobs/"), pair.mirror.count("GET", "/blobs/")) == (0, 2)
    assert pair.mirror.address not in pair.names()
    assert image.digest in str(pair.engine.inspect(reference)["RepoDigests"])

    pair.mirror.forget()
    again = pair.pull("--image", reference, "--backend", backend)
    assert (again.images[0]["status"], again.images[0]["mirror"], pair.mirror.log) == ("up_to_date", None, [])


def test_a_dead_mirror_is_passed_over(pair: Pair) -> None:
    """The image comes from its registry, and the report names the mirror and its trouble."""
    image = pair.push("dead", "dead")
    pair.mirror.close()
    run = pair.puller.run("pull", pair.option, "--image", image.at(pair.origin.address))
    assert run.code == 0, run.stderr
    assert f"mirror {pair.place}: connection refused (connection_refused) for " in run.stdout


@pytest.mark.parametrize("copy", ["yesterday", None])
def test_a_stale_mirror_is_passed_over(pair: Pair, copy: str | None) -> None:
    """Its tag stands for another image, or for none: the registry's digest counts."""
    image = pair.push(f"stale-{copy or 0}", "today", copy=copy)
    run = pair.pull("--image", image.at(pair.origin.address))
    (said,) = run.images
    assert (run.code, said["digest"], said["mirror"], said["attempts"]) == (0, image.digest, None, 2)


def test_a_lying_mirror_is_found_out(pair: Pair) -> None:
    """It sends another manifest for the digest; nothing of that stays."""
    image = pair.push("lying", "true", copy="false")
    push_image(pair.copies, "copies/mirrored/lying", "other", layers=[layer("falser")])
    manifest = requests.get(f"{pair.copies.url}/v2/copies/mirrored/lying/manifests/other", headers=ACCEPT, timeout=9)
    lie = {"Content-Type": manifest.headers["Content-Type"], "Docker-Content-Digest": image.digest}
    pair.mirror.use(Rule(f"/manifests/{image.digest}", faults.answer(200, lie, manifest.content)))
    run = pair.puller.run("pull", pair.option, "--image", image.at(pair.origin.address))
    assert run.code == 0, run.stdout
    assert f"mirror {pair.place}: digest mismatch (digest_mismatch) for " in run.stdout
    assert pair.mirror.address not in pair.names()


def test_where_only_the_mirror_answers_the_report_says_so(pair: Pair, backend: str) -> None:
    """The registry is dead: the mirror's word is all there is, for the pull and for the next look."""
    image = pair.push(f"alone-{backend}", "alone")
    reference = image.at(pair.origin.address)
    pair.origin.close()
    for status in ("pulled", "up_to_date"):
        run = pair.pull("--image", reference, "--backend", backend)
        (said,) = run.images
        assert (run.code, said["status"], said["digest"]) == (0, status, image.digest), run.stdout
        assert (said["mirror"], said["confirmed"]) == (pair.place, False)
    assert pair.mirror.address not in pair.names()
    text = pair.puller.run("pull", pair.option, "--image", reference).stdout
    assert f"mirror {pair.place}: 1 image, 1 not confirmed" in text


def test_a_refusal_of_the_registry_is_an_answer(pair: Pair) -> None:
    """No mirror is asked for a tag that its registry does not have."""
    image = pair.push("refused", "refused")
    pair.mirror.forget()
    reference = image.at(pair.origin.address).replace(":v1", ":v2")
    push_image(pair.copies, "copies/mirrored/refused", "v2")
    pair.mirror.forget()
    run = pair.pull("--image", reference)
    assert (run.code, run.images[0]["error"]["kind"], pair.mirror.log) == (1, "not_found", [])


def test_a_fallback_is_asked_when_the_registry_does_not_serve(pair: Pair) -> None:
    """Not before: a healthy registry sends its layers itself."""
    option = ("--mirror-use", "fallback", "--policy", "always")
    image = pair.push("fallback", "fallback")
    reference = image.at(pair.origin.address)
    assert pair.pull("--image", reference, *option).images[0]["mirror"] is None
    assert pair.mirror.log == []
    pair.engine.wipe()
    pair.origin.use(Rule("/v2/", faults.answer(503), "GET"))
    run = pair.pull("--image", reference, *option)
    (said,) = run.images
    assert (run.code, said["mirror"], said["confirmed"], said["attempts"]) == (0, pair.place, True, 2), run.stdout


def test_a_digest_without_a_tag_needs_its_registry(pair: Pair) -> None:
    """Engines name an image by digest only when they pull it: the layers are the mirror's, the manifest is not."""
    image = pair.push("pinned", "pinned")
    reference = f"{pair.origin.address}/mirrored/pinned@{image.digest}"
    run = pair.pull("--image", reference)
    assert (run.code, run.images[0]["mirror"]) == (0, pair.place), run.stdout
    assert pair.origin.count("GET", "/blobs/") == 0
    assert pair.engine.inspect(reference)["RepoDigests"] == [reference]
