"""The page of a controller: as programs read it, and as a browser shows it."""

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from puller.errors import UsageError
from puller.fleet.runs import page
from puller.fleet.runs.controller import Controller
from puller.model import Status
from tests.lab.browser import chromium
from tests.lab.fake_broker import FakeBroker
from tests.unit.fleet_runs.runs import World, options


class Site:
    """A controller's page, and the world that it shows."""

    def __init__(self, world: World, url: str) -> None:
        self.world, self.url, self.port = world, url, urlsplit(url).port or 0

    def ask(self, path: str, method: str = "GET", host: str = "") -> tuple[http.client.HTTPResponse, str]:
        """Send a request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, headers={"Host": host} if host else {})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response, text


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Serve a store with a run of three hosts, of which one is offline."""
    world = World(
        folder, FakeBroker(["h00", "h01"], lambda task: Status.FAILED if task.host == "h01" else Status.PULLED)
    )
    controller = Controller(world.store, lambda: world.broker, say=print)
    with page.served(world.store, controller, ("127.0.0.1", 0)) as url:
        yield Site(world, url)
    world.store.close()


def test_programs_read_it(tmp_path: Path) -> None:
    """The runs, the report of one, the metrics; nothing may be changed, and nothing is kept by a proxy."""
    with site(tmp_path) as it:
        name = it.world.add(3, options())
        it.world.turn()
        response, text = it.ask("/")
        assert (response.status, f'href="/runs/{name}"' in text) == (200, True)
        assert "<td>running<td>1/3<td>2/6<td>2<td>1" in text
        response, text = it.ask(f"/runs/{name}")
        assert "1 of 3 hosts have all images, 1 failed, 1 deferred" in text.replace("has", "have")
        assert (response.headers["Refresh"], response.headers["Cache-Control"]) == ("5", "no-store")
        assert "Content-Security-Policy" in text
        response, text = it.ask("/metrics")
        found = {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        assert found["puller_run_hosts", name, "deferred"] == 1
        assert found["puller_run_pulls", name, "failed"] == 2
        assert found["puller_controller_connected",] == 0
        assert it.ask("/", "HEAD")[1] == ""
        assert [it.ask(path)[0].status for path in ("/runs/x", "/etc/passwd", "/runs/..%2f")] == [404, 404, 404]
        assert [it.ask("/", method)[0].status for method in ("POST", "DELETE")] == [501, 501]


def test_other_sites_do_not_read_it(tmp_path: Path) -> None:
    """A name of theirs may have the address of this machine (DNS rebinding)."""
    with site(tmp_path) as it:
        assert it.ask("/", host="evil.example")[0].status == 421
        assert it.ask("/", host=f"localhost:{it.port}")[0].status == 200


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    """In one line."""
    with site(tmp_path) as it:
        controller = Controller(it.world.store, lambda: it.world.broker, say=print)
        again = page.served(it.world.store, controller, ("127.0.0.1", it.port))
        with pytest.raises(UsageError, match="address already in use"):
            again.__enter__()


def test_a_browser_shows_it_live(tmp_path: Path) -> None:
    """The grid fills without a click; the page asks for nothing but itself, and says nothing on the console."""
    with site(tmp_path) as it, chromium() as browser:
        name = it.world.add(3, options())
        it.world.step()
        tab = browser.new_page()
        tab.set_default_timeout(15_000)
        heard: list[str] = []
        tab.on("console", lambda message: heard.append(message.text))
        tab.on("pageerror", lambda error: heard.append(str(error)))
        asked: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(it.url)
        tab.get_by_role("link", name=name).click()
        tab.locator(".hosts tr.running").first.wait_for()
        assert tab.locator(".hosts td.pending").count() == 6
        it.world.broker.work()
        it.world.record()
        it.world.step()
        tab.locator(".hosts tr.done").wait_for()
        assert tab.locator(".hosts tr.failed td.failed").count() == 2
        assert tab.locator(".hosts tr.deferred td.pending").count() == 2
        assert tab.locator(".hosts tr.done td.pulled").count() == 2
        assert {url.removeprefix(it.url) for url in asked} == {"", f"runs/{name}"}
        assert heard == []
