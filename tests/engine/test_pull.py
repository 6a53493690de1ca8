"""The main job on a real engine and a real registry: what a list becomes, and what the report says of it."""

import json
from pathlib import Path

import jsonschema
import pytest

import puller as package
from puller import pull_images
from puller.events import Event, Finished
from puller.settings import RetryPolicy, Settings
from tests.engine.conftest import Puller
from tests.lab import (
    HOST_PLATFORM,
    Engine,
    Proxy,
    Registry,
    Rule,
    family,
    faults,
    layer,
    push_image,
    push_index,
    wait_until,
)

OTHER_PLATFORM = "linux/s390x"


def test_images_are_there_with_the_registrys_digests(
    engine: Engine, registry: Registry, puller: Puller, any_backend: str
) -> None:
    """Report, registry and engine agree on every digest; a second run finds everything up to date."""
    count = 20 if any_backend == "api" else 5
    pushed = family(registry, count, prefix="many/app")
    images = puller.list(*(image.reference for image in pushed))

    first = puller.pull(images, "-j", "3", "--backend", any_backend)
    assert (first.code, first.report["counts"]["pulled"]) == (0, count), first.stderr
    assert [image["digest"] for image in first.images] == [image.digest for image in pushed]
    for image in pushed:
        assert f"{registry.address}/{image.repository}@{image.digest}" in engine.inspect(image.reference)["RepoDigests"]

    second = puller.pull(images, "-j", "3", "--backend", any_backend)
    assert (second.code, second.report["counts"]["up_to_date"]) == (0, count), second.stderr
    assert [image["digest"] for image in second.images] == [image.digest for image in pushed]


def test_failures_are_told_apart_and_cost_the_others_nothing(
    engine: Engine, registry: Registry, puller: Puller, backend: str
) -> None:
    """A missing tag, a missing repository and a dead registry: three failures of the right kind among six images."""
    good = family(registry, 6, prefix="mixed/app")
    bad = {
        f"{registry.address}/mixed/app0:missing": "not_found",
        f"{registry.address}/mixed/nowhere:v1": "not_found",
        "127.0.0.1:1/mixed/app:v1": "connection_refused",
    }
    images = puller.list(*(image.reference for image in good[:3]), *bad, *(image.reference for image in good[3:]))
    run = puller.pull(images, "--backend", backend, "--retries", "1", "--retry-delay", "0.01")

    assert run.code == 1
    assert len(engine.images()) == 6
    kinds = {image["requested"][0]: image["error"]["kind"] for image in run.images if image["error"]}
    assert kinds == bad
    attempts = {image["requested"][0]: image["attempts"] for image in run.images}
    assert [attempts[reference] for reference in bad] == [1, 1, 3]  # a try, a retry, the second pass
    schema = json.loads((Path(package.__file__).parent / "schemas/report.schema.json").read_text())
    jsonschema.validate(run.report, schema, cls=jsonschema.Draft202012Validator)


def test_only_passing_failures_exit_75(puller: Puller, backend: str) -> None:
    """When every failure may pass, the exit code says: run me again."""
    run = puller.pull("--image", "127.0.0.1:1/a:v1", "--backend", backend, "--retries", "0")
    assert run.code == 75


@pytest.mark.parametrize(("options", "most"), [(("-j", "3"), 3), (("-j", "3", "--per-registry", "1"), 1)])
def test_no_more_pulls_in_flight_than_asked_for(
    registry: Registry, proxy: Proxy, puller: Puller, backend: str, options: tuple[str, ...], most: int
) -> None:
    """The registry sees as many images at once as -j and --per-registry allow: no more, and no fewer."""
    pushed = family(registry, 9, prefix="limits/app")
    proxy.use(Rule("/blobs/", faults.delay(0.4)))
    images = puller.list(*(image.at(proxy.address) for image in pushed))
    run = puller.pull(images, *options, "--backend", backend)
    assert run.code == 0, run.stderr
    assert proxy.max_in_flight(r"/v2/(.+)/blobs/") == most


def test_a_slow_registry_delays_no_other(
    engine: Engine, registry: Registry, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one registry does not answer at all, all images of another arrive."""
    import threading  # noqa: PLC0415 - the only test that needs it

    pushed = family(registry, 8, prefix="lanes/app")
    fast = {image.at(proxy.address) for image in pushed}
    release, arrived = threading.Event(), set[str]()
    order: list[str] = []

    def observe(event: Event) -> None:
        if isinstance(event, Finished):
            order.append(event.outcome.requested[0])
            arrived.add(event.outcome.requested[0])
            if fast <= arrived:
                release.set()

    monkeypatch.setenv("DOCKER_HOST", engine.host)
    with Proxy(registry, [Rule("/manifests/", faults.hold(release))]) as slow:
        # Other names in the slow registry: the engine fetches an image that it is fetching already only once.
        slow_images = [image.at(slow.address) for image in family(registry, 8, prefix="lanes/slow")]
        images = [name for pair in zip(slow_images, sorted(fast), strict=True) for name in pair]
        report = pull_images(images, settings=Settings(jobs=4, per_registry=2), observer=observe)
    assert report.ok
    assert set(order[: len(fast)]) == fast


def test_a_broken_update_is_a_failure_although_the_old_image_is_there(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, any_backend: str
) -> None:
    """The tag is present and its new version does not arrive whole: failed, and the old image stays."""
    old = push_image(registry, "update/app", layers=[layer(f"old-{any_backend}")])
    assert puller.pull("--image", old.at(proxy.address), "--backend", any_backend).code == 0
    fresh = layer(f"fresh-{any_backend}", 20_000)
    push_image(registry, "update/app", layers=[fresh])
    proxy.use(Rule(f"/blobs/{fresh.digest}", faults.corrupt))

    run = puller.pull("--image", old.at(proxy.address), "--backend", any_backend, "--retries", "0")
    (image,) = run.images
    assert (run.code, image["status"], image["digest"]) == (75, "failed", None)
    assert image["error"]["kind"] == "digest_mismatch"
    assert len(engine.images()) == 1


def test_a_passing_fault_costs_a_retry_and_no_more(
    registry: Registry, proxy: Proxy, puller: Puller, backend: str
) -> None:
    """A registry that is in trouble for a moment: pulled, and the report counts the attempts."""
    pushed = push_image(registry, "retry/app", layers=[layer(f"retry-{backend}")])
    proxy.use(Rule("/manifests/", faults.answer(503), times=2))
    run = puller.pull("--image", pushed.at(proxy.address), "--backend", backend, "--retry-delay", "0.01")
    (image,) = run.images
    assert (run.code, image["status"]) == (0, "pulled")
    assert image["attempts"] > 1


def test_an_endless_download_ends_in_a_timeout(registry: Registry, proxy: Proxy, puller: Puller, backend: str) -> None:
    """A blob that never ends is broken off after --timeout, in the engine too, and tried again; others arrive."""
    good = push_image(registry, "timeout/good")
    stuck = push_image(registry, "timeout/stuck", layers=[layer("stuck", 200_000)])
    proxy.use(Rule(f"/blobs/{stuck.layers[0].digest}", faults.drip(1000, 100)))
    images = puller.list(stuck.at(proxy.address), good.reference)
    run = puller.pull(images, "--backend", backend, "--timeout", "1s", "--retries", "1", "--retry-delay", "0.01")

    first, second = run.images
    assert (run.code, second["status"]) == (75, "pulled")
    assert (first["error"]["kind"], first["attempts"]) == ("timeout", 3)
    assert wait_until(lambda: proxy.in_flight() == 0, 10)


@pytest.mark.parametrize("path", ["/manifests/", "/blobs/"])
def test_a_silent_registry_ends_in_a_timeout(
    registry: Registry, proxy: Proxy, puller: Puller, backend: str, path: str
) -> None:
    """An unanswered request ends with --timeout, before the engine has begun to answer as well as later."""
    stuck = push_image(registry, "timeout/silent")
    proxy.use(Rule(path, faults.hang(60), method="GET|HEAD"))
    run = puller.pull("--image", stuck.at(proxy.address), "--backend", backend, "--timeout", "1s", "--retries", "0")
    assert (run.code, run.images[0]["error"]["kind"]) == (75, "timeout")


def test_platforms_of_an_index(registry: Registry, puller: Puller, backend: str) -> None:
    """A line's platform is pulled under the index's digest; one that the image lacks is a failure of its own kind."""
    index = push_index(
        registry, "index/app", "v1", {HOST_PLATFORM: [layer("here")], OTHER_PLATFORM: [layer("elsewhere")]}
    )
    (there,), (lacking,) = (
        puller.pull(puller.list(f"--platform={platform} {index.reference}"), "--backend", backend).images
        for platform in (OTHER_PLATFORM, "linux/riscv64")
    )
    assert (there["status"], there["platform"], there["digest"]) == ("pulled", OTHER_PLATFORM, index.digest)
    assert (lacking["status"], lacking["error"]["kind"]) == ("failed", "no_matching_platform")


def test_an_image_that_this_host_cannot_run_is_pulled_with_a_warning(
    engine: Engine, registry: Registry, puller: Puller, backend: str
) -> None:
    """No platform was named: the image arrives, and the report says what it is for; later ones where the list tells."""
    image = push_image(registry, f"platforms/other-{backend}", platform=OTHER_PLATFORM)
    warning = f"the image is for {OTHER_PLATFORM}, not for {HOST_PLATFORM}"
    first, second = (puller.pull(image.reference, "--backend", backend) for _ in range(2))
    assert (first.code, first.images[0]["status"], first.images[0]["warning"]) == (0, "pulled", warning)
    tells = backend == "api" and engine.binary.store == "containerd"
    assert (second.code, second.images[0]["warning"]) == (0, warning if tells else None)


def test_docker_default_platform_is_heeded(engine: Engine, registry: Registry, puller: Puller, backend: str) -> None:
    """DOCKER_DEFAULT_PLATFORM chooses the platform, as it does for docker."""
    index = push_index(
        registry, "default/app", "v1", {HOST_PLATFORM: [layer("here")], OTHER_PLATFORM: [layer("elsewhere")]}
    )
    run = puller.pull(
        "--image", index.reference, "--backend", backend, environment={"DOCKER_DEFAULT_PLATFORM": OTHER_PLATFORM}
    )
    assert (run.code, run.images[0]["platform"]) == (0, OTHER_PLATFORM)
    assert engine.inspect(index.reference)["Architecture"] == OTHER_PLATFORM.split("/")[1]


def test_digests_pin_what_is_pulled(registry: Registry, puller: Puller, backend: str) -> None:
    """A pinned reference is pulled by its digest, with or without a tag beside it, although the tag has moved."""
    old = push_image(registry, "pinned/app", layers=[layer("before")])
    push_image(registry, "pinned/app", layers=[layer("after")])
    name = f"{registry.address}/pinned/app"
    run = puller.pull("--image", f"{name}@{old.digest}", "--image", f"{name}:v1@{old.digest}", "--backend", backend)
    assert run.code == 0, run.stdout
    assert [image["digest"] for image in run.images] == [old.digest, old.digest]


def test_an_engine_that_dies_ends_the_run(registry: Registry, proxy: Proxy, backend: str, tmp_path: Path) -> None:
    """When the engine goes away the run ends with 69, and the report names what was not done."""
    pushed = family(registry, 6, prefix="dying/app")
    proxy.use(Rule("/blobs/", faults.hang(60)))
    with Engine() as engine:
        puller = Puller(engine.host, tmp_path)
        process = puller.start_pull(
            puller.list(*(image.at(proxy.address) for image in pushed)), "-j", "2", "--backend", backend,
            "--retry-delay", "0.01", "--engine-wait", "1s",
        )  # fmt: skip
        proxy.wait_for("GET", "/blobs/")
        engine.kill()
        stdout, _ = process.communicate(timeout=60)
    report = json.loads(stdout)
    kinds = {image["error"]["kind"] for image in report["images"]}
    assert process.returncode == 69
    assert kinds == {"daemon_unreachable", "cancelled"}
    reasons = [image["error"]["message"] for image in report["images"] if image["status"] == "failed"]
    assert report["stopped"] in reasons


def test_the_library_says_nothing(
    engine: Engine, registry: Registry, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`pull_images` returns a report and prints nothing, failures included."""
    pushed = push_image(registry, "library/app")
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    report = pull_images(
        [pushed.reference, f"{registry.address}/library/none:v1"], settings=Settings(retry=RetryPolicy(0))
    )
    assert [outcome.ok for outcome in report.outcomes] == [True, False]
    assert report.outcomes[0].digest == pushed.digest
    assert capfd.readouterr() == ("", "")


def test_reports_go_where_they_were_asked_to_go(registry: Registry, puller: Puller, backend: str) -> None:
    """The table is on stdout, each --report file has its kind, and stderr the start and the end of each image."""
    pushed = push_image(registry, "reports/app")
    table, document = puller.folder / "report.txt", puller.folder / "report.json"
    run = puller.run(
        "pull", "--image", pushed.reference, "--backend", backend,
        "--report", f"text={table}", "--report", f"json={document}",
    )  # fmt: skip
    assert run.code == 0
    assert table.read_text().partition("\n\n")[2] == run.stdout  # below the line that names the run
    assert json.loads(document.read_text())["images"][0]["digest"] == pushed.digest
    assert [line.split()[1] for line in run.stderr.splitlines()] == ["1", "starts", "pulled"]


def test_quiet_is_silent_when_all_is_well(registry: Registry, puller: Puller) -> None:
    """With -q a run without failures prints nothing at all."""
    pushed = push_image(registry, "quiet/app")
    run = puller.run("pull", "-q", "--image", pushed.reference)
    assert (run.code, run.stdout, run.stderr) == (0, "", "")


def test_names_that_try_to_be_something_else_never_leave_the_list(
    registry: Registry, proxy: Proxy, puller: Puller, backend: str
) -> None:
    """Shell, options and escapes are refused by line number; nothing is pulled, not even the good line."""
    good = push_image(registry, "hostile/app").at(proxy.address)
    lines = ("nginx; rm -rf /", "$(id)", "--help", "-v /:/host", "nginx:\x1b[31m")
    images = puller.list(good, *lines)
    run = puller.pull(images, "--backend", backend)
    assert (run.code, run.stdout) == (2, "")
    *bad, last = run.stderr.splitlines()
    assert [f":{number}: " in line for number, line in enumerate(bad, start=2)] == [True] * 5
    assert "5 bad lines; nothing was done" in last
    assert "\x1b" not in run.stderr
    assert proxy.log == []

    run = puller.pull(images, "--backend", backend, "--skip-invalid")
    assert (run.code, run.report["counts"]["pulled"], run.report["counts"]["failed"]) == (1, 1, 5)
    assert {image["error"]["kind"] for image in run.images if image["error"]} == {"bad_reference"}
