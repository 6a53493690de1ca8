"""The page of a real run: forty images from two registries, some of which fail, and some of which need a second try."""

import json
from pathlib import Path

import pytest

from tests.engine.conftest import Puller
from tests.lab import Proxy, Registry, Rule, faults, layer, push_image
from tests.lab.browser import Opened, chromium

COUNT = 18
"""Images that each registry has."""
SIZE = 1_000_000


@pytest.fixture
def other(registry: Registry) -> Proxy:
    """Stand in for a second registry."""
    return Proxy(registry)


def test_forty_images_from_two_registries(
    registry: Registry, proxy: Proxy, other: Proxy, puller: Puller, tmp_path: Path
) -> None:
    """The page shows every image in the lane of its registry, failures first, and where the time of the run went."""
    images = [push_image(registry, f"page/app{n}", layers=[layer(f"page{n}", SIZE)]) for n in range(COUNT)]
    with other:
        proxy.use(*(Rule(f"/page/app{n}/manifests/", faults.answer(503), "GET|HEAD", times=3) for n in (3, 7)))
        other.use(Rule("/page/app5/manifests/", faults.answer(503)), Rule("/blobs/", faults.drip(4 * SIZE)))
        places = (proxy.address, other.address)
        names = [image.at(place) for place in places for image in images]
        missing = [f"{place}/page/{name}" for place in places for name in ("app0:gone", "nowhere:v1")]
        page, data = tmp_path / "report.html", tmp_path / "report.json"
        options = ("-j", "6", "--retries", "2", "--retry-delay", "0.1s")
        run = puller.run(
            "pull", puller.list(*names, *missing), *options, "--report", f"html={page}", "--report", f"json={data}"
        )
    assert run.code == 1, run.stderr
    report = json.loads(data.read_text())
    told = {image["requested"][0]: image for image in report["images"]}
    pulled = [image for image in told.values() if image["status"] == "pulled"]
    assert len(pulled) == 2 * COUNT - 1
    assert all(image["began"] + image["seconds"] <= report["seconds"] + 0.01 for image in told.values())
    assert sum(image["bytes"] for image in pulled) > SIZE  # engines do not tell of every small layer
    phases = {span["phase"] for image in pulled for attempt in image["tries"] for span in attempt["phases"]}
    assert {"resolving", "downloading"} <= phases
    assert min(len(told[f"{proxy.address}/page/app{n}:v1"]["tries"]) for n in (3, 7)) > 1

    with chromium() as browser, Opened(browser, page) as it:
        assert it.rows.count() == len(names) + len(missing) == 40
        assert it.page.locator(".lane h3").all_inner_texts() == list(places)
        assert it.page.get_by_role("heading", name="5 of 40 images are missing").is_visible()
        causes = it.page.locator(".cause").all_inner_texts()
        assert [sum(name in cause for cause in causes) for name in missing] == [1] * 4
        it.page.get_by_label("pulled").uncheck()
        assert sorted(it.shown) == sorted(["page/app5:v1", *(name.partition("/")[2] for name in missing)])
