"""The disk check, on an engine whose data has little room, and on one with enough to begin at once."""

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from threading import Event

import pytest

from tests.engine.conftest import Puller
from tests.lab import DOCKER, Engine, Proxy, PushedImage, Registry, Rule, faults, layer, push_image
from tests.lab.process import wait_until

SIZE = 30 << 20
RESERVE = 5 << 30


@pytest.fixture
def roomy(small: Engine, cramped: Puller) -> Iterator[Puller]:
    """Run puller against the engine while it has so much room that pulls do not wait for the check."""
    resize = ["mount", "-o", f"remount,size={RESERVE}", str(small.data_root)]
    subprocess.run(resize, check=True)
    yield cramped
    small.wipe()
    subprocess.run([*resize[:2], "remount,size=64m", resize[-1]], check=True)


def inflate(registry: Registry, image: PushedImage, size: int) -> None:
    """Let the manifest of an image say that its layer has so many bytes."""
    url = f"http://{registry.address}/v2/{image.repository}/manifests/{image.tag}"
    headers = {"Accept": DOCKER.manifest, "Content-Type": DOCKER.manifest}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        manifest = json.load(answer)
    manifest["layers"][0]["size"] = size
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(manifest).encode(), headers, method="PUT")):
        pass


def test_a_pull_that_cannot_fit_is_refused_with_numbers(
    small: Engine, registry: Registry, proxy: Proxy, cramped: Puller, backend: str
) -> None:
    """Exit 1 and what is needed and free; with little room the engine has asked for nothing. What fits is pulled."""
    big = [push_image(registry, f"room/big{n}", layers=[layer(f"big{n}", SIZE)]).at(proxy.address) for n in range(2)]
    little = push_image(registry, "room/little").at(proxy.address)
    images = cramped.list(little, *big)
    run = cramped.pull(images, "--backend", backend)
    assert run.code == 1, run.stderr
    needed = r"125\.\dMB" if small.binary.store == "containerd" else r"94\.\dMB"
    assert re.search(f"3 images need about {needed} in {small.data_root}, 6\\d\\.\\dMB are free", run.stderr)
    assert "are free; try --make-room, `puller prune` or `docker system df`; --no-disk-check" in run.stderr
    assert "no space left" not in run.stderr
    assert {image["error"]["kind"] for image in run.images} == {"disk_too_small"}
    assert all((request.header("User-Agent") or "").startswith("puller") for request in proxy.log)
    plan = cramped.run("plan", images)
    (words,) = re.findall("not enough disk: .* are free", plan.stdout)
    assert (plan.code, words in run.stderr) == (1, True)
    assert cramped.run("plan", "--image", little).code == 0
    run = cramped.pull(images, "--backend", backend, "--make-room")
    assert run.stderr.count("--make-room: nothing to remove: puller pulled no images that these lists do not name") == 1

    assert cramped.pull("--image", little, "--backend", backend).code == 0

    proxy.use(Rule("/blobs/", faults.answer(404)))
    proxy.forget()
    run = cramped.pull(images, "--backend", backend, "--no-disk-check")
    assert [image["attempts"] for image in run.images] == [0, 1, 1]  # the first was there before
    asked = [each for each in proxy.log if each.matches("GET", "/manifests/")]
    assert sum(not (each.header("User-Agent") or "").startswith("puller") for each in asked) == 2


def test_a_refusal_keeps_what_has_arrived(
    small: Engine, registry: Registry, proxy: Proxy, roomy: Puller, backend: str
) -> None:
    """Pulls begin before the check has ended; it cancels those in flight, and an image that is there is pulled."""
    little, big = (push_image(registry, f"room/begun-{name}-{backend}") for name in ("little", "big"))
    inflate(registry, big, RESERVE)
    checked, never = Event(), Event()
    blob = f"/blobs/{big.layers[0].digest}"
    proxy.use(Rule(blob, faults.hold(never), agent="(?!puller)"), Rule("", faults.hold(checked), agent="puller"))
    images = roomy.list(little.at(proxy.address), big.at(proxy.address))
    run = roomy.begin("pull", "--format", "json", "--backend", backend, images)
    assert wait_until(lambda: bool(small.images()), 30)
    proxy.wait_for("GET", blob)
    checked.set()
    code, stdout, stderr = run.ended(60)
    arrived, cancelled = json.loads(stdout)["images"]
    assert (code, arrived["status"], cancelled["status"]) == (1, "pulled", "cancelled"), stderr
    assert (cancelled["error"]["kind"], cancelled["attempts"]) == ("disk_too_small", 1)
    assert "not enough disk: 2 images need about" in stderr
    assert [name for image in small.images() for name in image["RepoTags"]] == [little.at(proxy.address)]


def test_the_engine_asks_for_absent_images_before_puller_does(registry: Registry, proxy: Proxy, roomy: Puller) -> None:
    """No HEAD of puller's comes before the pulls, whatever it checks beside them."""
    images = [push_image(registry, f"room/cold{number}").at(proxy.address) for number in range(5)]
    run = roomy.pull(roomy.list(*images))
    assert (run.code, {each["status"] for each in run.images}) == (0, {"pulled"})
    asked = [request for request in proxy.log if "/manifests/" in request.path]
    own = [request for request in asked if (request.header("User-Agent") or "").startswith("puller")]
    assert len({request.path for request in own if request.method == "GET"}) == len(images)
    assert sum(request.method == "GET" for request in own) == len(images)
    assert not (asked[0].header("User-Agent") or "").startswith("puller")


def test_what_looks_too_large_is_measured_before_it_is_refused(registry: Registry, cramped: Puller) -> None:
    """At two and a half times its size it would not fit; what it really unpacks to does."""
    image = push_image(registry, "room/measured", layers=[layer("measured", 20 << 20)])
    run = cramped.pull("--image", image.reference)
    assert (run.code, run.stderr.count("needs")) == (0, 0), run.stderr


def test_what_is_here_already_costs_no_question(registry: Registry, proxy: Proxy, cramped: Puller) -> None:
    """An image whose name the engine has is not looked at, however little room there is."""
    image = push_image(registry, "room/here").at(proxy.address)
    assert cramped.pull("--image", image).code == 0
    proxy.forget()
    assert cramped.pull("--image", image).code == 0
    assert proxy.count("GET", "/manifests/") == 0


def test_trouble_with_the_check_costs_nothing(registry: Registry, proxy: Proxy, cramped: Puller) -> None:
    """A registry that puller cannot ask is none that the engine could not: the pull goes on, and -v says so."""
    run = cramped.pull("--image", f"{proxy.address}/room/nothing:v1", "-v")
    assert run.images[0]["error"]["kind"] == "not_found"
    assert "not counted: it does not answer" in run.stderr


def test_a_registry_that_counts_pulls_is_not_looked_at(registry: Registry, proxy: Proxy, cramped: Puller) -> None:
    """There a look would cost what a pull costs; the engine alone fetches the manifest."""
    image = push_image(registry, "room/counted", layers=[layer("counted", 1000)])
    headers = {
        "Docker-Content-Digest": image.digest,
        "Content-Type": "application/vnd.docker.distribution.manifest.v2+json",
        "ratelimit-remaining": "10;w=21600",
    }
    proxy.use(Rule("/manifests/", faults.answer(200, headers), method="HEAD", times=1))
    run = cramped.pull("--image", image.at(proxy.address), "-v")
    assert "would count as a pull" in run.stderr
    assert run.code == 0
    assert proxy.count("GET", "/manifests/") == 1


def test_a_registry_that_hangs_holds_nothing_up_for_long(registry: Registry, proxy: Proxy, cramped: Puller) -> None:
    """The pull begins without the check."""
    image = push_image(registry, "room/hanging", layers=[layer("hanging", 1000)])
    proxy.use(Rule("/manifests/", faults.hang(60), method="HEAD", times=1))
    run = cramped.pull("--image", image.at(proxy.address))
    assert (run.code, run.images[0]["began"] < 5) == (0, True)


def test_sizes_that_the_check_has_asked_for_are_not_asked_for_again(
    registry: Registry, proxy: Proxy, cramped: Puller
) -> None:
    """One manifest is fetched by puller, and one by the engine."""
    image = push_image(registry, "room/once", layers=[layer("once", 2000)])
    (pulled,) = cramped.pull("--image", image.at(proxy.address)).images
    assert (pulled["status"], pulled["size"]) == ("pulled", len(image.layers[0].data))
    assert proxy.count("GET", "/manifests/") == 2
