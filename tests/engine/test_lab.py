"""The lab does what the other tests rely on."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from typing import TYPE_CHECKING

import pytest
import requests

from tests.lab import (
    DOCKER,
    HOST_PLATFORM,
    LAB_ACCOUNT,
    OCI,
    Engine,
    Proxy,
    Registry,
    Rule,
    WorldError,
    apt,
    family,
    faults,
    layer,
    mounts,
    parse,
    push_image,
    push_index,
    unpacked,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.lab import PushedImage
    from tests.lab.images import Kind

BLOBS = "/blobs/"
SIZE = 20_000


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    """Give all tests here one registry."""
    with Registry() as running:
        yield running


@pytest.fixture(scope="module")
def shared_engine() -> Iterator[Engine]:
    """Give all tests here one engine."""
    with Engine() as running:
        yield running


@pytest.fixture
def engine(shared_engine: Engine) -> Engine:
    """Give each test the engine without any image."""
    shared_engine.wipe()
    return shared_engine


@pytest.fixture(scope="module")
def image(registry: Registry) -> PushedImage:
    """Give the proxy's tests an image with one layer of a known size."""
    return push_image(registry, "lab/proxied", layers=[layer("proxied", SIZE)])


@pytest.fixture
def proxy(registry: Registry) -> Iterator[Proxy]:
    """Give each test a proxy without rules."""
    with Proxy(registry) as running:
        yield running


def blob_url(proxy: Proxy, image: PushedImage) -> str:
    """Say where the image's layer is to be had through the proxy."""
    return f"{proxy.url}/v2/{image.repository}{BLOBS}{image.layers[0].digest}"


def fetch(url: str) -> requests.Response:
    """Get an address on a connection of its own, whatever proxy the machine has."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=20)


def read_until_broken(proxy: Proxy, image: PushedImage) -> tuple[bytes, type[BaseException] | None]:
    """Read the layer from a bare connection; return what came and how it broke."""
    connection = http.client.HTTPConnection(proxy.address, timeout=20)
    connection.request("GET", blob_url(proxy, image).removeprefix(proxy.url))
    received = b""
    with contextlib.closing(connection):
        try:
            response = connection.getresponse()
            while data := response.read1(1024):
                received += data
        except (OSError, http.client.HTTPException) as error:
            return received, type(error)
    return received, None


def test_engine_leaves_nothing_behind() -> None:
    """An engine answers while its block is open, and then its processes, mounts and files are gone."""
    with Engine() as running:
        pid, containerd, directory = running.pid, running._containerd_pid(), running.directory
        assert containerd is not None
        assert running.version()
        assert running.images() == []
    for process in (pid, containerd):
        assert wait_until(lambda process=process: not is_running(process), 5)  # type: ignore[misc]
    assert mounts.mounted_below(directory) == []
    assert not directory.exists()


def is_running(pid: int) -> bool:
    """Tell whether a process lives; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_engine_survives_a_crash(registry: Registry) -> None:
    """A killed engine can be started again and still has its images."""
    kept = push_image(registry, "lab/kept")
    with Engine() as running:
        assert running.cli("pull", kept.reference).returncode == 0
        running.kill()
        running.start()
        assert kept.digest in str(running.inspect(kept.reference)["RepoDigests"])


def test_engine_that_cannot_start_shows_its_log() -> None:
    """An option dockerd does not know gives a WorldError with dockerd's words, and nothing stays."""
    broken = Engine(options=["--no-such-option"])
    with pytest.raises(WorldError, match="unknown flag"), broken:
        pass
    assert not broken.directory.exists()


def test_engine_offers_the_store_it_was_asked_for(shared_engine: Engine) -> None:
    """A dockerd without the containerd store is refused, rather than tested with the wrong one."""
    if not shared_engine.version().startswith("20."):
        pytest.skip("the installed engine has the containerd store")
    with pytest.raises(WorldError, match="containerd image store"), Engine(parse("installed+containerd")):
        pass


def test_image_is_pulled_by_the_docker_command(engine: Engine, registry: Registry) -> None:
    """An engine pulls a pushed image and finds the digest that the push reported."""
    image = push_image(registry, "lab/app", layers=[layer("one"), layer("two", 5000)])
    pulled = engine.cli("pull", image.reference)
    assert pulled.returncode == 0, pulled.stderr
    assert f"Digest: {image.digest}" in pulled.stdout
    assert engine.inspect(image.reference)["Id"] == image.config_digest


@pytest.mark.parametrize("kind", [OCI, DOCKER], ids=["oci", "docker"])
def test_index_is_pulled_by_the_docker_command(engine: Engine, registry: Registry, kind: Kind) -> None:
    """An engine picks its own platform's image from an index, and names the index's digest."""
    name = "lab/oci" if kind is OCI else "lab/list"
    platforms = {HOST_PLATFORM: [layer("host")], "linux/s390x": [layer("mainframe")]}
    index = push_index(registry, name, "v1", platforms, kind=kind)
    pulled = engine.cli("pull", index.reference)
    assert pulled.returncode == 0, pulled.stderr
    assert f"Digest: {index.digest}" in pulled.stdout
    assert engine.inspect(index.reference)["Id"] == index.images[HOST_PLATFORM].config_digest


def test_wiped_engine_has_no_images(engine: Engine, registry: Registry) -> None:
    """After a wipe an image with two names is gone, and a pull fetches its layer anew."""
    image = push_image(registry, "lab/twice")
    assert engine.cli("pull", image.reference).returncode == 0
    assert engine.cli("tag", image.reference, "lab/other:v2").returncode == 0
    engine.wipe()
    assert engine.images() == []
    assert "Pull complete" in engine.cli("pull", image.reference).stdout


def test_removed_image_may_be_gone_already(engine: Engine, registry: Registry) -> None:
    """Removing an image twice is no error."""
    image = push_image(registry, "lab/removed")
    assert engine.cli("pull", image.reference).returncode == 0
    engine.remove_image(image.reference)
    engine.remove_image(image.reference)
    with pytest.raises(WorldError, match="404"):
        engine.inspect(image.reference)


def test_registry_lets_in_its_account_only() -> None:
    """A registry with an account refuses a stranger; pushes to it work."""
    with Registry(LAB_ACCOUNT) as guarded:
        push_image(guarded, "lab/secret")
        assert fetch(f"{guarded.url}/v2/").status_code == 401


def test_layers_are_reproducible() -> None:
    """The same seed and size give the same layer, another seed another one."""
    assert layer.__wrapped__("seed", 100) == layer("seed", 100)
    assert layer("other", 100).digest != layer("seed", 100).digest


def test_proxy_counts_what_a_pull_asks(engine: Engine, proxy: Proxy, image: PushedImage) -> None:
    """A pull through the proxy shows up in its log: one HEAD and one GET of the manifest, two blobs."""
    assert engine.cli("pull", image.at(proxy.address)).returncode == 0
    assert proxy.count("HEAD", "/manifests/") == 1
    assert proxy.count("GET", "/manifests/") == 1
    assert proxy.count("GET", BLOBS) == 2
    assert proxy.in_flight() == 0
    proxy.forget()
    assert proxy.log == []


def test_proxy_answers_a_tls_hello_at_once(proxy: Proxy) -> None:
    """An engine that tries TLS first is told at once that this is plain HTTP."""
    host, _, port = proxy.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as client:
        client.sendall(b"\x16\x03\x01")
        assert client.recv(100).startswith(b"HTTP/1.0 400")


def test_proxy_passes_bodies_and_statuses(proxy: Proxy, image: PushedImage) -> None:
    """A request with a body reaches the registry whole, and its status comes back."""
    manifests = f"{proxy.url}/v2/{image.repository}/manifests"
    with requests.Session() as session:
        session.trust_env = False
        body = session.get(f"{manifests}/v1", headers={"Accept": DOCKER.manifest}, timeout=20).content
        put = session.put(f"{manifests}/again", data=body, headers={"Content-Type": DOCKER.manifest}, timeout=20)
    assert put.status_code == 201
    assert put.headers["Docker-Content-Digest"] == image.digest


def test_proxy_keeps_repeated_headers(proxy: Proxy, image: PushedImage) -> None:
    """Several Accept lines, as engines send them, all reach the registry: the last one counts as well."""
    connection = http.client.HTTPConnection(proxy.address, timeout=20)
    with contextlib.closing(connection):
        connection.putrequest("HEAD", f"/v2/{image.repository}/manifests/{image.tag}")
        for accept in (OCI.manifest, OCI.index, DOCKER.manifest):
            connection.putheader("Accept", accept)
        connection.endheaders()
        assert connection.getresponse().headers["Docker-Content-Digest"] == image.digest


def test_rules_are_tried_in_order_and_used_up(proxy: Proxy, image: PushedImage) -> None:
    """The first rule that matches and is not used up decides; a request without one is forwarded."""
    proxy.use(
        Rule(BLOBS, faults.answer(429, {"Retry-After": "3"}, b"slow down"), method="GET", times=1),
        Rule(BLOBS, faults.forward, times=1),
        Rule(BLOBS, faults.answer(503)),
    )
    first, second, third = (fetch(blob_url(proxy, image)) for _ in range(3))
    assert (first.status_code, first.headers["Retry-After"], first.content) == (429, "3", b"slow down")
    assert second.content == image.layers[0].data
    assert third.status_code == 503
    assert fetch(f"{proxy.url}/v2/").ok
    assert [request.status for request in proxy.log] == [429, 200, 503, 200]


@pytest.mark.parametrize("act", [faults.delay(0.01), faults.stall(100, 0.01), faults.drip(1e8, 4096)])
def test_slow_answers_are_whole(proxy: Proxy, image: PushedImage, act: faults.Action) -> None:
    """Delay, stall and drip change when the body comes, not what it is."""
    proxy.use(Rule(BLOBS, act))
    assert fetch(blob_url(proxy, image)).content == image.layers[0].data


def test_reset_breaks_off_after_so_many_bytes(proxy: Proxy, image: PushedImage) -> None:
    """The client gets exactly the bytes sent before the RST, and then a connection reset."""
    proxy.use(Rule(BLOBS, faults.reset(5000)))
    assert read_until_broken(proxy, image) == (image.layers[0].data[:5000], ConnectionResetError)


def test_close_ends_early_in_an_orderly_way(proxy: Proxy, image: PushedImage) -> None:
    """The client gets the bytes sent before, and then an end of file where more was promised."""
    proxy.use(Rule(BLOBS, faults.close(5000)))
    received, _ = read_until_broken(proxy, image)
    assert received == image.layers[0].data[:5000]
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        fetch(blob_url(proxy, image))


def test_short_claims_to_be_whole(proxy: Proxy, image: PushedImage) -> None:
    """The client gets less, and a length that says so."""
    proxy.use(Rule(BLOBS, faults.short(5000)))
    answer = fetch(blob_url(proxy, image))
    assert answer.headers["Content-Length"] == "5000"
    assert answer.content == image.layers[0].data[:5000]


def test_corrupt_keeps_the_length(proxy: Proxy, image: PushedImage) -> None:
    """The client gets as many bytes, but not the same."""
    proxy.use(Rule(BLOBS, faults.corrupt))
    received = fetch(blob_url(proxy, image)).content
    assert len(received) == len(image.layers[0].data)
    assert received[0] != image.layers[0].data[0]
    assert received[1:] == image.layers[0].data[1:]


def test_hang_never_answers(proxy: Proxy, image: PushedImage) -> None:
    """The client gets a reset connection and no answer."""
    proxy.use(Rule(BLOBS, faults.hang(0.01)))
    assert read_until_broken(proxy, image) == (b"", ConnectionResetError)
    assert proxy.log[0].status is None


def test_held_requests_are_in_flight_together(proxy: Proxy, registry: Registry) -> None:
    """Requests held until an event are counted as overlapping, by themselves and by repository."""
    release = threading.Event()
    proxy.use(Rule(BLOBS, faults.hold(release)))
    images = family(registry, 2, prefix="lab/held", bases=1, base_layers=1, base_size=10)
    urls = [f"{proxy.url}/v2/{image.repository}{BLOBS}{each.digest}" for image in images for each in image.layers]
    threads = [threading.Thread(target=fetch, args=(url,)) for url in urls]
    for thread in threads:
        thread.start()
    proxy.wait_for("GET", BLOBS, count=4)
    assert proxy.in_flight("GET", BLOBS) == 4
    release.set()
    for thread in threads:
        thread.join()
    assert proxy.max_in_flight(BLOBS) == 4
    assert proxy.max_in_flight(r"/v2/(.+)/blobs/") == 2
    proxy.forget()
    fetch(urls[0])
    fetch(urls[1])
    assert proxy.max_in_flight(BLOBS) == 1


def test_requests_one_after_the_other_do_not_overlap(proxy: Proxy, image: PushedImage) -> None:
    """What a client asks for as soon as it has the last byte before is not counted as overlapping."""
    proxy.use(Rule(BLOBS, faults.close(10), method="GET", times=20))
    for _ in range(20):
        read_until_broken(proxy, image)
    with requests.Session() as session:
        session.trust_env = False
        for _ in range(50):
            assert session.get(blob_url(proxy, image), timeout=20).ok
            assert session.head(blob_url(proxy, image), timeout=20).ok
            assert proxy.in_flight() == 0
    assert proxy.max_in_flight() == 1


def test_client_that_leaves_ends_its_request(proxy: Proxy, image: PushedImage) -> None:
    """A stalled request ends in the log as soon as its client is gone."""
    proxy.use(Rule(BLOBS, faults.stall(100, 600)))
    client = http.client.HTTPConnection(proxy.address, timeout=20)
    client.request("GET", blob_url(proxy, image).removeprefix(proxy.url))
    client.getresponse().close()
    proxy.wait_for("GET", BLOBS)
    client.close()
    assert wait_until(lambda: proxy.in_flight() == 0, 10)


@pytest.mark.parametrize("act", [faults.stall(100, 600), faults.hang(600), faults.hold(threading.Event(), 600)])
def test_closing_ends_what_waits(registry: Registry, image: PushedImage, act: faults.Action) -> None:
    """Closing the proxy breaks off a request that would wait for minutes, and leaves no thread."""
    before = set(threading.enumerate())
    with Proxy(registry, [Rule(BLOBS, act)]) as closing:
        client = threading.Thread(target=read_until_broken, args=(closing, image))
        client.start()
        closing.wait_for("GET", BLOBS)
    client.join(20)
    assert set(threading.enumerate()) <= before


def test_waiting_for_a_request_that_never_comes_fails(proxy: Proxy) -> None:
    """The wait for requests is bounded, and says what was missing."""
    with pytest.raises(WorldError, match="0 instead of 2 requests"):
        proxy.wait_for("GET", BLOBS, count=2, seconds=0.01)


def test_specs_name_engines(tmp_path: Path) -> None:
    """A spec is a source and a store; a wrong one is refused in words."""
    dockerd = tmp_path / "dockerd"
    dockerd.touch()
    assert (parse("installed").store, parse("installed").label) == ("graph", "installed+graph")
    own = parse(f"{dockerd}+containerd")
    assert (own.dockerd, own.store) == (dockerd, "containerd")
    with pytest.raises(WorldError, match="must be one of graph, containerd"):
        parse("installed+overlay")
    with pytest.raises(WorldError, match="there is no file"):
        parse("/no/such/dockerd")
    with pytest.raises(WorldError, match=r"cannot run .*Permission denied"), Engine(own):
        pass


def test_missing_engine_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without dockerd the message names the package."""
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(WorldError, match=r"apt-get install docker\.io"):
        parse("installed")


def test_mirror_is_read_from_either_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Debian mirror comes from apt's own configuration, old format or new, and not from other vendors' entries."""
    monkeypatch.setattr(apt, "APT", tmp_path)
    monkeypatch.setattr(apt, "_codename", lambda: "bookworm")
    (tmp_path / "sources.list.d").mkdir()
    with pytest.raises(WorldError, match="bookworm"):
        apt.mirror()
    one_line = tmp_path / "sources.list"
    one_line.write_text("# deb x\ndeb [arch=amd64 signed-by=/k.gpg] http://old.test/debian bookworm main\n")
    assert apt.mirror() == apt.Source("http://old.test/debian", ("bookworm",), "/k.gpg")
    one_line.unlink()
    (tmp_path / "sources.list.d/debian.sources").write_text(
        "Types: deb\nURIs: http://tools.test\nSuites: stable\nComponents: main\n\n"
        "# note\nTypes: deb deb-src\nURIs: http://new.test/debian\nSuites: bookworm bookworm-updates\n"
        "Components: main contrib\nSigned-By:\n -----BEGIN PGP\n .\n"
    )
    assert apt.mirror() == apt.Source("http://new.test/debian", ("bookworm", "bookworm-updates"), apt.DEFAULT_KEYRING)


def test_newer_engine_is_unpacked_and_pulls(registry: Registry) -> None:
    """An engine of Debian sid, with the containerd store, runs here, pulls an image, and forgets it when wiped."""
    image = push_image(registry, "lab/newer", layers=[layer("newer")])
    with Engine(unpacked("sid")) as newer:
        for _ in range(2):
            pulled = newer.cli("pull", image.reference)
            assert pulled.returncode == 0, pulled.stderr
            assert "Pull complete" in pulled.stdout
            assert newer.inspect(image.reference)["Id"] == image.digest
            newer.wipe()
            assert newer.images() == []
