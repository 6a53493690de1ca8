"""`puller plan` against the truth: what it says, and what a registry then sends to a real engine."""

import gzip
from collections.abc import Iterable

import pytest

from tests.engine.conftest import Puller
from tests.lab import (
    HOST_PLATFORM,
    OCI,
    Engine,
    Layer,
    Proxy,
    Pushed,
    Registry,
    Rule,
    family,
    layer,
    push_image,
    push_index,
)
from tests.lab.exchange import Exchange
from tests.lab.layers import digest_of

OTHER_PLATFORM = "linux/s390x"


def names(images: Iterable[Pushed], proxy: Proxy) -> list[str]:
    """Name images at the proxy."""
    return [image.at(proxy.address) for image in images]


def sent(proxy: Proxy) -> int:
    """Sum up what the engine, and not puller, was sent: manifests, configs and layers."""
    return sum(
        request.sent
        for request in proxy.log
        if request.matches("GET", "/(manifests|blobs)/")
        and not (request.header("User-Agent") or "").startswith("puller")
    )


def said_and_sent(puller: Puller, engine: Engine, proxy: Proxy, references: list[str], *args: str) -> tuple[int, int]:
    """Plan, pull one after the other, and return the bytes that were foretold and those that came."""
    plan = puller.run("plan", "--format", "json", "--detailed-exitcode", *args, puller.list(*references))
    assert plan.code == 2, plan.stdout + plan.stderr
    proxy.forget()
    run = puller.pull(puller.list(*references), "-j", "3")
    assert run.code == 0, run.stderr
    return plan.report["bytes"]["download"], sent(proxy)


@pytest.mark.parametrize("half", [False, True], ids=["empty", "half-filled"])
def test_images_cost_what_was_said(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, backend: str, half: bool
) -> None:
    """Within a percent, with layers shared among the images and with what the engine has."""
    images = names(family(registry, 10, prefix=f"plan{backend}{half:d}/app", bases=3, base_size=300_000), proxy)
    if half:
        # All on one of the bases, one on another, none on the third.
        assert puller.pull(puller.list(*images[::3], images[1])).code == 0
    said, came = said_and_sent(puller, engine, proxy, images, "--backend", backend)
    assert said == pytest.approx(came, rel=0.01)

    again = puller.run("plan", "--format", "json", "--detailed-exitcode", "--backend", backend, puller.list(*images))
    assert (again.code, again.report["changes"], again.report["counts"]["up_to_date"]) == (0, False, 10)
    assert again.report["bytes"]["download"] == 0


def test_odd_layers_cost_what_was_said(engine: Engine, registry: Registry, proxy: Proxy, puller: Puller) -> None:
    """Another order, a layer twice, another compression, another name: to the byte, one image after the other."""
    one, two, three = (layer(f"odd{number}", 40_000 + number) for number in range(3))
    packed = gzip.compress(gzip.decompress(one.data), 9, mtime=7)
    images = [
        push_image(registry, "odd/base", layers=[one, two]),
        push_image(registry, "odd/turned", layers=[two, one]),
        push_image(registry, "odd/twice", layers=[one, two, three, one, three]),
        push_image(registry, "odd/again", layers=[one, two]),
        push_image(registry, "odd/packed", layers=[Layer(packed, digest_of(packed), one.diff_id), two]),
        push_image(registry, "odd/oci", layers=[one, two], kind=OCI),
        push_index(registry, "odd/index", "v1", {HOST_PLATFORM: [one, layer("odd-own")], OTHER_PLATFORM: [two]}),
        push_index(registry, "odd/index2", "v1", {HOST_PLATFORM: [one, layer("odd-own")], OTHER_PLATFORM: [two]}),
    ]
    engine.cli("pull", images[0].at(proxy.address)).check_returncode()
    plan = puller.run("plan", "--format", "json", puller.list(*names(images, proxy)))
    assert plan.code == 0, plan.stdout
    for image, planned in zip(images, plan.images, strict=True):
        proxy.forget()
        engine.cli("pull", image.at(proxy.address)).check_returncode()
        assert (planned["requested"][0], planned["bytes"]) == (image.at(proxy.address), sent(proxy))


def test_each_image_alone_is_told_exactly(engine: Engine, registry: Registry, proxy: Proxy, puller: Puller) -> None:
    """What is held is looked into: the same as above, with a plan of its own for each image."""
    one, two = layer("alone1", 50_000), layer("alone2", 60_000)
    packed = gzip.compress(gzip.decompress(one.data), 9, mtime=7)
    for number, layers in enumerate(
        (
            [one],
            [one, two],
            [two, one],
            [Layer(packed, digest_of(packed), one.diff_id), two],
            [two, two],
            [one, two, one],
        )
    ):
        image = push_image(registry, f"alone/{number}", layers=layers)
        plan = puller.run("plan", "--format", "json", "--image", image.at(proxy.address))
        proxy.forget()
        engine.cli("pull", image.at(proxy.address)).check_returncode()
        assert (number, plan.images[0]["bytes"]) == (number, sent(proxy))


def test_a_dead_registry_is_a_temporary_failure(engine: Engine, registry: Registry, puller: Puller) -> None:
    """Exit code 75, as for a pull; 1 with --detailed-exitcode, or if a later plan cannot know every image either."""
    images = ["127.0.0.1:1/plan/app:v1", push_image(registry, "plan/alive").reference]
    assert puller.run("plan", *images).code == 75
    assert puller.run("plan", *images, "--detailed-exitcode").code == 1
    assert puller.run("plan", *images, f"{registry.address}/plan/nowhere:v1").code == 1


def test_images_that_never_came_from_a_registry(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, tmp_path: object
) -> None:
    """What was loaded from a file is no help to the graph store, and all to the containerd store."""
    one, two = layer("loaded1", 50_000), layer("loaded2", 60_000)
    base = push_image(registry, "loaded/base", layers=[one])
    archive = f"{tmp_path}/base.tar"
    with Engine(engine.binary) as other:
        other.cli("pull", base.reference).check_returncode()
        other.cli("save", "-o", archive, base.reference).check_returncode()
    engine.cli("load", "-i", archive).check_returncode()
    image = push_image(registry, "loaded/child", layers=[one, two])
    plan = puller.run("plan", "--format", "json", "--image", image.at(proxy.address))
    proxy.forget()
    engine.cli("pull", image.at(proxy.address)).check_returncode()
    assert plan.images[0]["bytes"] == sent(proxy)
    assert plan.images[0]["layers"]["missing"] == (1 if engine.binary.store == "containerd" else 2)


def test_a_plan_is_for_people_and_changes_nothing(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, backend: str
) -> None:
    """A table, a total, the disk; the engine pulls nothing, and 0 is for a plan that could be made."""
    images = names(family(registry, 3, prefix=f"people{backend}/app"), proxy)
    assert puller.pull("--image", images[0]).code == 0
    proxy.forget()
    plan = puller.run("plan", "--backend", backend, *(f"--image={name}" for name in images))
    assert (plan.code, plan.stderr) == (0, "")
    rows = plan.stdout.splitlines()
    assert rows[0].split() == ["CHANGE", "IMAGE", "DIGEST", "LAYERS", "DOWNLOAD"]
    assert "3 images: 1 up to date, 2 would be pulled; " in plan.stdout
    assert f"needed in {engine.data_root}, " in plan.stdout
    assert len(engine.images()) == 1
    assert all((request.header("User-Agent") or "").startswith("puller") for request in proxy.log)


def test_what_cannot_be_planned_is_said(registry: Registry, proxy: Proxy, puller: Puller) -> None:
    """A tag that is missing, and an index without this machine's platform, are unknown; the rest is planned; exit 1."""
    good = push_image(registry, "unplanned/good").at(proxy.address)
    other = push_index(registry, "unplanned/other", "v1", {OTHER_PLATFORM: [layer("other")]}).at(proxy.address)
    missing = f"{proxy.address}/unplanned/good:missing"
    images = puller.list(missing, other, good)
    for arguments in ((), ("--detailed-exitcode",)):
        plan = puller.run("plan", "--format", "json", *arguments, images)
        assert plan.code == 1, plan.stderr
        assert [image["change"] for image in plan.images] == ["unknown", "unknown", "would_pull"]
        assert [image["error"] and image["error"]["kind"] for image in plan.images] == [
            "not_found",
            "no_matching_platform",
            None,
        ]
        assert plan.report["complete"] is False
    assert "s390x" in puller.run("plan", images).stdout


def test_a_platform_of_ones_own_choice(registry: Registry, proxy: Proxy, puller: Puller, engine: Engine) -> None:
    """The line's platform chooses the manifest; what is here for another machine is not up to date."""
    index = push_index(
        registry, "choice/app", "v1", {HOST_PLATFORM: [layer("c1", 3000)], OTHER_PLATFORM: [layer("c2", 90_000)]}
    ).at(proxy.address)
    assert puller.pull("--image", index).code == 0
    plan = puller.run("plan", "--format", "json", puller.list(f"--platform={OTHER_PLATFORM} {index}"))
    proxy.forget()
    assert puller.pull(puller.list(f"--platform={OTHER_PLATFORM} {index}")).code == 0
    assert plan.images[0]["change"] == "would_pull"
    assert plan.images[0]["bytes"] == sent(proxy)


def test_what_is_here_for_another_machine_would_be_pulled(registry: Registry, puller: Puller, engine: Engine) -> None:
    """A tag that was pulled for another platform is pulled for this one by the next pull, and so the plan says."""
    layers = {HOST_PLATFORM: [layer("plan-here")], OTHER_PLATFORM: [layer("plan-there")]}
    index = push_index(registry, "plan/either", "v1", layers).reference
    assert puller.pull("--platform", OTHER_PLATFORM, "--image", index).code == 0
    plan = puller.run("plan", "--format", "json", "--image", index)
    assert [each["change"] for each in plan.images] == ["would_pull"]
    assert [each["status"] for each in puller.pull("--image", index).images] == ["pulled"]


def with_quota(remaining: int) -> Rule:
    """Let the registry speak of a quota as Docker Hub does."""

    def act(exchange: Exchange) -> None:
        send = exchange.end_headers

        def end_headers() -> None:
            exchange.send_header("ratelimit-limit", "100;w=21600")
            exchange.send_header("ratelimit-remaining", f"{remaining};w=21600")
            send()

        exchange.end_headers = end_headers  # type: ignore[method-assign]
        try:
            exchange.forward()
        finally:
            exchange.end_headers = send  # type: ignore[method-assign]

    return Rule("/manifests/", act)


def test_a_quota_is_told_and_not_wasted(registry: Registry, proxy: Proxy, puller: Puller) -> None:
    """What is left and what would count; where looking at sizes would cost the pulls, only digests are asked for."""
    images = names(family(registry, 4, prefix="quota/app"), proxy)
    proxy.use(with_quota(76))
    plan = puller.run("plan", "--format", "json", puller.list(*images))
    assert plan.report["quotas"] == [
        {
            "registry": proxy.address,
            "limit": 100,
            "remaining": 76,
            "window_seconds": 21600,
            "pulls": 4,
            "looked": 4,
            "source": None,
            "enough": True,
        }
    ]
    assert "has 76 of 100 pulls left in 6h00m; this pull needs 4" in puller.run("plan", puller.list(*images)).stdout

    proxy.use(with_quota(3))
    proxy.forget()
    plan = puller.run("plan", "--format", "json", puller.list(*images))
    assert plan.code == 0
    assert proxy.count("GET", "/manifests/") == 0
    assert (plan.report["quotas"][0]["enough"], plan.report["complete"]) == (False, False)
    assert all(image["bytes"] is None and "quota" in image["note"] for image in plan.images)
