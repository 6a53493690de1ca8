"""Hosts compared with lists and locks, on a real engine and a real registry."""

import json
from pathlib import Path

import pytest

from tests.engine.conftest import Puller
from tests.lab import HOST_PLATFORM, Engine, Proxy, Pushed, Registry, layer, parse, push_image, push_index
from tests.lab.program import Run

OTHER_PLATFORM = "linux/s390x"


def bring(engine: Engine, *lines: str) -> None:
    """Pull lock lines by their digests and give each its tag, by docker itself."""
    for line in lines:
        reference = line.split()[-1]
        name, _, digest = reference.partition("@")
        pinned = f"{name.rpartition(':')[0]}@{digest}"
        engine.cli("pull", "-q", pinned).check_returncode()
        engine.cli("tag", pinned, name).check_returncode()


def pinned(*pushed: Pushed) -> list[str]:
    """Write lock lines."""
    return [f"{image.reference}@{image.digest}" for image in pushed]


def kinds(run: Run) -> list[str]:
    """Give the kinds of the differences in a JSON document."""
    return [difference["kind"] for difference in json.loads(run.stdout)["differences"]]


def test_a_lock_outlives_its_tags(
    engine: Engine, registry: Registry, puller: Puller, backend: str, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    """Lock, move every tag, pull the lock on two engines: the same images, in place; the check names what moved."""
    names = [f"verify/{backend}{number}" for number in range(3)]
    old = [push_image(registry, name, layers=[layer(f"{name} old")]) for name in names]
    images, lock = puller.list(*(image.reference for image in old)), str(puller.folder / "images.lock")
    assert puller.run("lock", images, "-o", lock).code == 0
    new = [push_image(registry, name, layers=[layer(f"{name} new")]) for name in names]

    assert puller.run("verify", lock, "--backend", backend).stdout.splitlines() == [
        f"missing: {line}" for line in pinned(*old)
    ]
    with Engine(parse(pytestconfig.getoption("--engine"))) as second:
        for each in (engine, second):
            (tmp_path / str(each.pid)).mkdir()
            here = Puller(each.host, tmp_path / str(each.pid))
            pulled = here.pull(lock, "--backend", backend)
            assert (pulled.code, pulled.report["counts"]["pulled"]) == (0, 3), pulled.stderr
            run = here.run("verify", lock, "--backend", backend)
            assert (run.code, run.stdout, run.stderr) == (0, "", "puller: 3 of 3 images are exactly as listed\n")
            assert here.run("verify", lock, "--backend", backend, "-q").stderr == ""
        ids = [[each.inspect(image.reference)["Id"] for image in old] for each in (engine, second)]
    assert ids[0] == ids[1]

    check = puller.run("lock", images, "-o", lock, "--check")
    assert check.code == 1
    assert check.stdout.splitlines() == [
        f"moved: {before.reference} {before.digest} → {after.digest}" for before, after in zip(old, new, strict=True)
    ]
    tags = puller.run("verify", images, "--backend", backend)
    assert (tags.code, tags.stdout.splitlines()) == (
        1,
        [
            f"other digest: {before.reference}: wanted {after.digest}, found {before.digest}"
            for before, after in zip(old, new, strict=True)
        ],
    )
    offline = puller.run("verify", images, "--backend", backend, "--offline")
    words = "3 of 3 images are present; 3 tags not compared with the registries"
    assert (offline.code, offline.stderr) == (0, f"puller: {words}\n")


def test_a_lock_needs_no_registry(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, backend: str
) -> None:
    """A digest is compared on this host alone; a tag costs one HEAD, or none with --offline."""
    image = push_image(registry, f"verify/offline-{backend}")
    reference = image.at(proxy.address)
    engine.cli("pull", "-q", reference).check_returncode()
    proxy.forget()
    for argument in (f"{reference}@{image.digest}", f"{reference.rpartition(':')[0]}@{image.digest}"):
        assert puller.run("verify", "--image", argument, "--backend", backend).code == 0
    assert puller.run("verify", "--image", reference, "--offline", "--backend", backend).code == 0
    assert proxy.log == []
    assert puller.run("verify", "--image", reference, "--backend", backend).code == 0
    assert [request.method for request in proxy.log] == ["HEAD"]
    proxy.close()
    down = puller.run("verify", "--image", reference, "--backend", backend)
    assert (down.code, down.stdout.split(": ")[2]) == (75, "connection refused (connection_refused)")


def test_each_difference_has_its_line(engine: Engine, registry: Registry, puller: Puller, backend: str) -> None:
    """Missing, another digest under the tag, a tag on no image, a tag on another image."""
    name = f"verify/kinds-{backend}"
    first, second = (push_image(registry, name, tag, [layer(f"{name}{tag}")]) for tag in ("v1", "v2"))
    bring(engine, *pinned(first, second))
    repository = f"{registry.address}/{name}"
    lines = {
        f"{repository}:v1@{first.digest}": None,
        f"{repository}:v9": "missing",
        f"{repository}:v1@sha256:{'0' * 64}": "other_digest",
        f"{repository}:v9@{first.digest}": "tag_elsewhere",
        f"{repository}:v1@{second.digest}": "tag_elsewhere",
    }
    run = puller.run("verify", puller.list(*lines), "--backend", backend, "--format", "json")
    assert (run.code, kinds(run)) == (1, [kind for kind in lines.values() if kind])
    document = json.loads(run.stdout)
    assert (document["schema"], document["ok"], document["images"]) == ("puller.verify/1", False, 5)
    text = puller.run("verify", puller.list(*lines), "--backend", backend)
    assert text.stdout.splitlines() == [difference["message"] for difference in document["differences"]]


def test_a_tag_that_was_moved_locally(engine: Engine, registry: Registry, puller: Puller, backend: str) -> None:
    """Whoever retags by hand is found out, whatever the registry says."""
    name = f"verify/retagged-{backend}"
    right, wrong = (push_image(registry, name, tag, [layer(f"{name}{tag}")]) for tag in ("v1", "v2"))
    bring(engine, *pinned(right, wrong))
    engine.cli("tag", wrong.reference, right.reference).check_returncode()
    run = puller.run("verify", *_images(*pinned(right), right.reference), "--backend", backend, "--format", "json")
    assert run.code == 1
    assert kinds(run)[-1] == "other_digest"
    # The containerd store forgets the digest of an image that lost its only name.
    assert kinds(run)[0] in {"tag_elsewhere", "other_digest"}


def test_platforms(engine: Engine, registry: Registry, puller: Puller, backend: str) -> None:
    """The engine's own where none is named; several under one tag where the store keeps them."""
    index = push_index(
        registry,
        f"verify/platforms-{backend}",
        "v1",
        {HOST_PLATFORM: [layer("here")], OTHER_PLATFORM: [layer(f"there {backend}")]},
    )
    (line,) = pinned(index)
    own, other = (
        puller.list(line, name="own.lock"),
        puller.list(f"--platform={OTHER_PLATFORM} {line}", name="other.lock"),
    )
    engine.cli("pull", "-q", "--platform", OTHER_PLATFORM, index.reference).check_returncode()
    assert puller.run("verify", other, "--backend", backend).code == 0
    run = puller.run("verify", own, "--backend", backend)
    words = f"other platform: {line}: wanted {HOST_PLATFORM}, found {OTHER_PLATFORM}"
    assert (run.code, run.stdout.splitlines()) == (1, [words])
    if engine.binary.store == "containerd":
        engine.cli("pull", "-q", index.reference).check_returncode()
        both = puller.run("verify", own, other, "--backend", backend)
        assert (both.code, both.stdout) == (0, "")


def test_the_same_image_under_two_names(engine: Engine, registry: Registry, puller: Puller, backend: str) -> None:
    """Each name is looked for by itself."""
    shared = [layer("two names")]
    pushed = [push_image(registry, f"verify/{name}-{backend}", layers=shared) for name in ("one", "two")]
    bring(engine, *pinned(pushed[0]))
    run = puller.run("verify", *_images(*pinned(*pushed)), "--backend", backend)
    assert (run.code, run.stdout.splitlines()) == (1, [f"missing: {line}" for line in pinned(pushed[1])])
    bring(engine, *pinned(pushed[1]))
    assert puller.run("verify", *_images(*pinned(*pushed)), "--backend", backend).code == 0


def test_no_engine_is_69(tmp_path: Path, backend: str) -> None:
    """And nothing on stdout."""
    nowhere = Puller("unix:///nonexistent/docker.sock", tmp_path)
    run = nowhere.run("verify", "--image", "nginx", "--backend", backend)
    assert (run.code, run.stdout) == (69, "")


def _images(*references: str) -> list[str]:
    return [word for reference in references for word in ("--image", reference)]
