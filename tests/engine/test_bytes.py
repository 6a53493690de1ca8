"""The bytes that puller reports, against those that a registry sends to a real engine."""

import json
import re
from collections.abc import Sequence

import pytest

from tests.engine.conftest import Puller
from tests.engine.test_plan import names, sent
from tests.lab import Proxy, PushedImage, Registry, Rule, faults, layer, push_image
from tests.lab.podman import Podman
from tests.lab.process import WorldError

WAYS = {
    "api": ("--backend", "api"),
    "cli": ("--backend", "cli"),
    "prefetch": ("--prefetch",),
}


def shared(registry: Registry, prefix: str) -> list[PushedImage]:
    """Push twelve images on three bases, with a tiny layer between: engines tell least of those that come at once."""
    bases = [[layer(f"{prefix}{base}", 700_000), layer(f"{prefix}{base}-tiny", 60)] for base in range(3)]
    return [
        push_image(registry, f"{prefix}/app{n}", layers=[*bases[n % 3], layer(f"{prefix}{n}", 40_000 + n)])
        for n in range(12)
    ]


def told(puller: Puller, images: Sequence[str], *options: str) -> dict[str, int]:
    """Pull, and return the bytes by each that tells them; the sizes of all images must be known."""
    metrics, page = puller.folder / "metrics", puller.folder / "page.html"
    reports = ("--report", f"prometheus={metrics}", "--report", f"html={page}")
    run = puller.pull(puller.list(*images), "--progress", "json", "-j", "4", *reports, *options)
    assert run.code == 0, run.stderr
    events = [json.loads(line) for line in run.stderr.splitlines() if line.startswith("{")]
    sizes = [event for event in events if event["event"] == "size_known"]
    assert sizes[-1]["unknown"] == 0
    assert all(image["size"] for image in run.images if image["status"] == "pulled")
    counted = re.findall(r"^puller_\w*bytes\w*(?:\{.*\})? (\S+)$", metrics.read_text(), re.MULTILINE)
    return {
        "report": run.report["bytes"],
        "images": sum(image["bytes"] for image in run.images),
        "events": sizes[-1]["total"],
        "metrics": round(sum(map(float, counted))),
    }


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("half", [False, True], ids=["empty", "half-filled"])
def test_reports_and_events_have_the_bytes_that_came(
    registry: Registry, proxy: Proxy, puller: Puller, way: str, half: bool
) -> None:
    """Within a percent, also of small layers, and of layers that images share, and the plan said so before."""
    images = names(shared(registry, f"bytes{way}{half:d}"), proxy)
    if half:
        assert puller.pull(puller.list(*images[::3], images[1])).code == 0
    plan = puller.run("plan", "--format", "json", puller.list(*images))
    proxy.forget()
    bytes_told = told(puller, images, *WAYS[way])
    layers = proxy.sent("GET", "/blobs/")
    assert bytes_told == dict.fromkeys(bytes_told, pytest.approx(layers, rel=0.01)), layers
    assert plan.report["bytes"]["download"] == pytest.approx(layers if way == "prefetch" else sent(proxy), rel=0.01)


@pytest.fixture
def once(pytestconfig: pytest.Config) -> None:
    """Skip a test that uses no Docker engine where another engine than the installed one is tested."""
    if pytestconfig.getoption("--engine") != "installed":
        pytest.skip("uses no Docker engine: played beside the installed one")


@pytest.mark.usefixtures("once")
def test_podman_has_the_bytes_that_came(registry: Registry, proxy: Proxy, puller: Puller) -> None:
    """Podman says nothing of bytes or of layers that it has, so both are taken from manifests and images."""
    try:
        podman = Podman(puller.folder)
    except WorldError as error:
        pytest.skip(str(error))
    podman.trust(proxy.address)
    (accounts := puller.folder / "auth.json").write_text("{}")
    puller.environment |= podman.variables | {"REGISTRY_AUTH_FILE": str(accounts)}
    images = names(shared(registry, "bytespodman"), proxy)
    for some in (images[:2], images[:8]):
        proxy.forget()
        # The run may be over before puller has asked for sizes, on a busy machine.
        proxy.use(Rule("/blobs/", faults.delay(2), agent="(?!puller)", times=4))
        bytes_told = told(puller, some, "--backend", "cli", "--docker-command", "podman", "-j", "1")
        layers = sum(
            each.sent
            for each in proxy.log
            if each.matches("GET", "/blobs/") and not (each.header("User-Agent") or "").startswith("puller")
        )
        assert bytes_told == dict.fromkeys(bytes_told, pytest.approx(layers, rel=0.01))


@pytest.mark.usefixtures("once")
@pytest.mark.parametrize("kind", ["oci", "archive"])
def test_files_have_the_bytes_that_came(registry: Registry, proxy: Proxy, puller: Puller, kind: str) -> None:
    """Without an engine, too, and what a folder had before is not counted."""
    images = names(shared(registry, f"bytes{kind}"), proxy)
    target = f"{kind}:{puller.folder / 'files'}"
    for some in (images[:8], images):
        proxy.forget()
        bytes_told = told(puller, some, "--to", target)
        assert bytes_told == dict.fromkeys(bytes_told, pytest.approx(proxy.sent("GET", "/blobs/"), rel=0.01))
