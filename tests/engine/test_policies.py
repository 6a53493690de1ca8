"""Policies on a real engine and a real registry: what is decided, and what is not asked."""

import pytest

from tests.engine.conftest import Puller
from tests.lab import (
    HOST_PLATFORM,
    Engine,
    Proxy,
    PushedIndex,
    Registry,
    Rule,
    family,
    faults,
    layer,
    push_image,
    push_index,
)
from tests.lab.exchange import Exchange
from tests.lab.program import Run

OTHER_PLATFORM = "linux/s390x"
POLICIES = ("always", "newer", "missing", "never")


def statuses(run: Run) -> list[str]:
    """Say what became of each image."""
    return [image["status"] for image in run.images]


def both(registry: Registry, repository: str) -> PushedIndex:
    """Push an index for this machine and another."""
    layers = {name: [layer(f"{repository} {name}")] for name in (HOST_PLATFORM, OTHER_PLATFORM)}
    return push_index(registry, repository, "v1", layers)


def test_what_is_up_to_date_costs_a_head_each(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, backend: str
) -> None:
    """Six images and not one manifest fetched; the engine, which would ask for /v2/, is not asked to pull."""
    pushed = family(registry, 6, prefix=f"policy/warm-{backend}")
    images = puller.list(*(image.at(proxy.address) for image in pushed))
    assert puller.pull(images, "--backend", backend, "-j", "8").code == 0
    proxy.forget()

    run = puller.pull(images, "--backend", backend)
    assert (run.code, set(statuses(run))) == (0, {"up_to_date"}), run.stderr
    assert [image["digest"] for image in run.images] == [image.digest for image in pushed]
    assert {image["attempts"] for image in run.images} == {0}
    assert proxy.count("HEAD", "/manifests/") == len(proxy.log) == 6
    assert all((request.header("user-agent") or "").startswith("puller/") for request in proxy.log)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_tag_that_moved(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, backend: str, policy: str
) -> None:
    """It is pulled by those who look; the others keep what they have and ask nobody."""
    repository = f"policy/moved-{policy}-{backend}"
    old = push_image(registry, repository, layers=[layer("before")])
    reference = old.at(proxy.address)
    assert puller.pull("--image", reference, "--backend", backend).code == 0
    new = push_image(registry, repository, layers=[layer("after")])
    proxy.forget()

    run = puller.pull("--image", reference, "--backend", backend, "--policy", policy)
    looks = policy in ("always", "newer")
    assert (run.code, statuses(run)) == (0, ["pulled" if looks else "present"]), run.stderr
    assert run.images[0]["digest"] == (new if looks else old).digest
    assert bool(proxy.log) is looks


@pytest.mark.parametrize("policy", POLICIES)
def test_an_image_that_was_deleted_here(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, backend: str, policy: str
) -> None:
    """It comes back, unless nothing may be pulled."""
    pushed = push_image(registry, f"policy/gone-{backend}")
    reference = pushed.at(proxy.address)
    assert puller.pull("--image", reference, "--backend", backend).code == 0
    engine.remove_image(reference)
    proxy.forget()
    run = puller.pull("--image", reference, "--backend", backend, "--policy", policy)
    if policy == "never":
        assert (run.code, run.images[0]["error"]["kind"], proxy.log) == (1, "not_present", [])
    else:
        assert (run.code, statuses(run)) == (0, ["pulled"])


def test_a_tag_that_was_given_to_another_image_here(
    engine: Engine, registry: Registry, puller: Puller, backend: str
) -> None:
    """`newer` puts it right, whether the other image comes from the same repository or not; `missing` keeps it."""
    name = f"policy/given-{backend}"
    right, near = (push_image(registry, name, tag, layers=[layer(tag)]) for tag in ("right", "near"))
    far = push_image(registry, f"{name}-far")
    for image in (right, near, far):
        assert puller.pull("--image", image.reference, "--backend", backend).code == 0
    for other in (near, far):
        engine.cli("tag", other.reference, right.reference).check_returncode()
        run = puller.pull("--image", right.reference, "--backend", backend, "--policy", "missing")
        assert statuses(run) == ["present"]
        run = puller.pull("--image", right.reference, "--backend", backend)
        assert (run.code, run.images[0]["digest"]) == (0, right.digest)
        assert right.digest in str(engine.inspect(right.reference)["RepoDigests"])
        assert engine.inspect(right.reference)["Id"] != engine.inspect(other.reference)["Id"]


def test_one_digest_under_two_names(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, backend: str
) -> None:
    """Each name is decided for itself; both are up to date without a pull."""
    names = [f"policy/{which}-{backend}" for which in ("one", "two")]
    one, two = (push_image(registry, name, layers=[layer(f"twice {backend}")]) for name in names)
    assert one.digest == two.digest
    images = puller.list(one.at(proxy.address), two.at(proxy.address))
    assert puller.pull("--image", one.at(proxy.address), "--backend", backend).code == 0
    assert statuses(puller.pull(images, "--backend", backend, "--policy", "never")) == ["present", "failed"]
    assert puller.pull(images, "--backend", backend).code == 0
    proxy.forget()
    run = puller.pull(images, "--backend", backend)
    assert (statuses(run), proxy.count(), proxy.count("HEAD")) == (["up_to_date"] * 2, 2, 2)


def test_an_index_is_up_to_date_for_the_platform_that_is_there(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, backend: str
) -> None:
    """The digest is that of the index for every platform, so it says nothing about which one the engine has."""
    index = both(registry, f"policy/index-{backend}")
    reference = index.at(proxy.address)

    def pull(*args: str) -> tuple[str, bool]:
        proxy.forget()
        run = puller.pull("--image", reference, "--backend", backend, *args)
        assert run.code == 0, run.stdout
        (image,) = run.images
        return image["status"], image["attempts"] == 0

    other = ("--platform", OTHER_PLATFORM)
    assert pull(*other) == ("pulled", False)
    assert pull(*other) == ("up_to_date", True)
    assert pull(*other, "--policy", "missing") == ("present", True)
    assert pull("--policy", "missing") == ("present", True)
    assert pull() == ("pulled", False)
    assert pull("--policy", "missing", "--platform", HOST_PLATFORM) == ("present", True)
    assert engine.inspect(reference)["Architecture"] == HOST_PLATFORM.split("/")[1]


def test_a_digest_asks_nobody(engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, backend: str) -> None:
    """What is pinned and there is up to date, without a request to the registry."""
    index = both(registry, f"policy/pinned-{backend}")
    pinned = f"{proxy.address}/{index.repository}@{index.digest}"
    run = puller.pull("--image", pinned, "--backend", backend)
    assert (run.code, statuses(run)) == (0, ["pulled"]), run.stdout
    proxy.forget()
    run = puller.pull("--image", pinned, "--backend", backend)
    assert (statuses(run), run.images[0]["digest"], proxy.log) == (["up_to_date"], index.digest, [])
    run = puller.pull("--image", pinned, "--backend", backend, "--platform", OTHER_PLATFORM)
    if engine.binary.store == "containerd":
        assert (run.code, statuses(run)) == (0, ["pulled"]), run.stdout
    else:  # there a digest stands for one image, and the engine lets no second one have it
        assert (run.code, run.images[0]["error"]["kind"]) == (1, "digest_taken"), run.stdout


def test_the_tag_beside_a_digest_stands_for_it(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, backend: str
) -> None:
    """After a pull; after the tag was lost, and after it was moved, without a request to the registry."""
    name = f"policy/locked-{backend}"
    old = push_image(registry, name, layers=[layer("before")])
    new = push_image(registry, name, layers=[layer("after")])
    tagged = f"{proxy.address}/{name}:v1"
    locked = f"{tagged}@{old.digest}"
    assert puller.pull("--image", tagged, "--backend", backend).code == 0
    run = puller.pull("--image", locked, "--backend", backend)
    assert (run.code, statuses(run)) == (0, ["pulled"]), run.stdout
    identity = engine.inspect(f"{proxy.address}/{name}@{old.digest}")["Id"]
    assert engine.inspect(tagged)["Id"] == identity
    proxy.forget()

    assert statuses(puller.pull("--image", locked, "--backend", backend)) == ["up_to_date"]
    engine.cli("rmi", tagged).check_returncode()
    missing = puller.pull("--image", locked, "--backend", backend, "--policy", "never")
    assert (missing.code, missing.images[0]["error"]["kind"]) == (1, "not_present")
    assert statuses(puller.pull("--image", locked, "--backend", backend)) in (["up_to_date"], ["pulled"])
    assert engine.inspect(tagged)["Id"] == identity
    proxy.forget()

    assert puller.pull("--image", f"{proxy.address}/{name}@{new.digest}", "--backend", backend).code == 0
    engine.cli("tag", f"{proxy.address}/{name}@{new.digest}", tagged).check_returncode()
    proxy.forget()
    run = puller.pull("--image", locked, "--backend", backend)
    assert (run.code, statuses(run), run.images[0]["digest"]) == (0, ["up_to_date"], old.digest)
    assert (engine.inspect(tagged)["Id"], proxy.log) == (identity, [])


TROUBLE = {
    "refused": faults.answer(401),
    "throttled": faults.answer(429),
    "broken": faults.answer(500),
    "silent": faults.hang(30),
    "lying": faults.answer(200, {"Docker-Content-Digest": "sha256:" + "f" * 64, "Content-Length": "2"}),
    "senseless": faults.answer(200, {"Docker-Content-Digest": "../..", "Content-Type": "text/html"}),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_trouble_with_the_registry_is_left_to_the_engine(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, trouble: str
) -> None:
    """Whatever is wrong with our own questions, the engine is asked, and its answer counts."""
    pushed = family(registry, 2, prefix=f"policy/{trouble}")
    images = puller.list(*(image.at(proxy.address) for image in pushed))
    assert puller.pull(images).code == 0
    proxy.forget()

    def ours(exchange: Exchange) -> None:
        mine = exchange.headers.get("User-Agent", "").startswith("puller/")  # the engine names its client at the end
        (TROUBLE[trouble] if mine else faults.forward)(exchange)

    proxy.use(Rule("/manifests/", ours))
    run = puller.pull(images)
    assert (run.code, statuses(run)) == (0, ["up_to_date"] * 2), run.stdout
    assert [image["attempts"] for image in run.images] == [1, 1]


def test_several_platforms_of_a_tag(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, backend: str
) -> None:
    """All are pulled where the engine keeps them; elsewhere nothing is, and the tag is named."""
    index = both(registry, f"policy/several-{backend}")
    good = push_image(registry, f"policy/good-{backend}").at(proxy.address)
    reference = index.at(proxy.address)
    images = puller.list(good, reference, f"--platform={OTHER_PLATFORM} {reference}")
    run = puller.pull(images, "--backend", backend, "-j", "1")
    if engine.binary.store == "containerd":
        assert (run.code, statuses(run)) == (0, ["pulled"] * 3), run.stdout
        again = puller.pull(images, "--backend", backend)
        assert (again.code, statuses(again)) == (0, ["up_to_date"] * 3)
    else:
        words = f"puller: {reference} is requested for {HOST_PLATFORM} and {OTHER_PLATFORM}, and this engine keeps one "
        assert (run.code, run.stdout, proxy.log) == (2, "", [])
        assert run.stderr.startswith(words)
        assert puller.pull(puller.list(reference, f"--platform={HOST_PLATFORM} {reference}")).code == 0
