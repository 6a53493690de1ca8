"""What the client learns from a real registry, and what it makes of wrong answers."""

import gzip
import json
import re
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from puller.errors import FailureKind, RegistryError
from puller.image.digest import sha256
from puller.image.reference import ImageReference
from puller.registry.client import RegistryClient
from puller.registry.responses import Quota
from tests.lab import (
    DOCKER,
    OCI,
    Proxy,
    PushedImage,
    Registry,
    Request,
    Rule,
    faults,
    layer,
    push_image,
    push_index,
)
from tests.lab.images import Kind
from tests.unit.registry.conftest import AskingAgain, named

MANIFESTS = "/manifests/"


@pytest.fixture
def proxy(registry: Registry) -> Iterator[Proxy]:
    """Stand in front of the registry."""
    with Proxy(registry) as proxy:
        yield proxy


@pytest.mark.parametrize("kind", [DOCKER, OCI])
def test_images_and_indexes_are_described(registry: Registry, client: RegistryClient, kind: Kind) -> None:
    """By tag and by digest, with the digest that the engine shows."""
    name = "kinds/oci" if kind is OCI else "kinds/docker"
    image = push_image(registry, f"{name}/image", kind=kind)
    index = push_index(registry, f"{name}/index", "v1", {"linux/amd64": (), "linux/arm64": ()}, kind=kind)
    for pushed, media_type in ((image, kind.manifest), (index, kind.index)):
        for text in (pushed.reference, f"{pushed.reference}@{pushed.digest}"):
            reference = ImageReference.parse(text)
            described = client.head(reference)
            assert (described.digest, described.media_type, described.size) == (pushed.digest, media_type, pushed.size)
            assert described.quota is None
            manifest = client.manifest(reference)
            assert (manifest.digest, manifest.media_type, len(manifest.raw)) == (pushed.digest, media_type, pushed.size)
    entry = index.images["linux/arm64"]
    assert client.manifest(named(index), entry.digest).digest == entry.digest


def test_one_request_is_enough(proxy: Proxy, image: PushedImage, client: RegistryClient) -> None:
    """A HEAD is one HEAD, without a ping before it."""
    client.head(named(image, proxy.address))
    assert [(request.method, request.path) for request in proxy.log] == [("HEAD", "/v2/lab/app/manifests/v1")]


HEAD_REFUSALS = [faults.answer(status) for status in (200, 400, 401, 403, 404, 405, 500, 501)]


@pytest.mark.parametrize("rule", HEAD_REFUSALS)
def test_without_a_head_the_manifest_is_fetched(
    proxy: Proxy, image: PushedImage, client: RegistryClient, rule: faults.Action
) -> None:
    """Then the digest is ours."""
    proxy.use(Rule(MANIFESTS, rule, method="HEAD"))
    assert client.head(named(image, proxy.address)).digest == image.digest


def test_a_registry_that_refuses_heads_is_asked_for_no_other(
    registry: Registry, proxy: Proxy, image: PushedImage, client: RegistryClient
) -> None:
    """One HEAD in the whole run; a gateway error or a rate limit is no such refusal."""
    proxy.use(Rule(MANIFESTS, faults.answer(403), method="HEAD"))
    for _ in range(3):
        client.head(named(image, proxy.address))
    assert [request.method for request in proxy.log] == ["HEAD", "GET", "GET", "GET"]
    for status in (429, 502, 503, 504):
        with Proxy(registry, [Rule(MANIFESTS, faults.answer(status), method="HEAD")]) as other:
            with pytest.raises(RegistryError, match=f"status {status}"):
                client.head(named(image, other.address))
            assert [request.method for request in other.log] == ["HEAD"]


def test_a_refusal_has_the_words_of_the_get(proxy: Proxy, image: PushedImage, client: RegistryClient) -> None:
    """A HEAD has no body, and so no reason."""
    body = b'{"errors":[{"code":"DENIED","message":"not in your country"}]}'
    proxy.use(Rule(MANIFESTS, faults.answer(403), method="HEAD"), Rule(MANIFESTS, faults.answer(403, {}, body)))
    with pytest.raises(RegistryError, match="status 403, denied: not in your country"):
        client.head(named(image, proxy.address))


DIGEST = "sha256:" + "d" * 64
NO_MANIFESTS = {
    "a page": b"<!DOCTYPE html><html><body>Please log in</body></html>",
    "an error document": b'{"errors":[{"code":"UNAUTHORIZED","message":"log in"}]}',
    "nothing": b"",
    "a list": b"[]",
    "an object of another shape": b'{"schemaVersion": 2, "layers": 7, "config": {}}',
}


@pytest.mark.parametrize("body", NO_MANIFESTS.values(), ids=NO_MANIFESTS)
@pytest.mark.parametrize("sent", [OCI.manifest, "text/html", ""])
def test_only_a_document_of_the_right_shape_is_a_manifest(
    proxy: Proxy, image: PushedImage, client: RegistryClient, body: bytes, sent: str
) -> None:
    """Whatever its status and media type are."""
    proxy.use(Rule(MANIFESTS, faults.answer(200, {"Content-Type": sent} if sent else {}, body)))
    for ask in (client.head, client.manifest):
        with pytest.raises(RegistryError, match="sends no image manifest") as caught:
            ask(named(image, proxy.address))
        assert caught.value.kind is FailureKind.UNSUPPORTED_MANIFEST


@pytest.mark.parametrize("named_type", [None, OCI.index, DOCKER.index, OCI.manifest])
@pytest.mark.parametrize("sent", ["application/octet-stream", OCI.manifest, DOCKER.index, ""])
def test_the_document_says_what_it_is(
    proxy: Proxy, image: PushedImage, client: RegistryClient, named_type: str | None, sent: str
) -> None:
    """Its own media type first, if its shape agrees; then the server's; then its shape."""
    document: dict[str, object] = {"manifests": []} | ({"mediaType": named_type} if named_type else {})
    headers = {"Content-Type": sent} if sent else {}
    proxy.use(Rule(MANIFESTS, faults.answer(200, headers, json.dumps(document).encode())))
    expected = next((each for each in (named_type, sent) if each in {OCI.index, DOCKER.index}), OCI.index)
    assert client.manifest(named(image, proxy.address)).media_type == expected


@pytest.mark.parametrize("sent", [f"{DIGEST}, {DIGEST}", DIGEST])
def test_equal_digest_headers_are_one(proxy: Proxy, image: PushedImage, client: RegistryClient, sent: str) -> None:
    """Some proxies repeat the header."""
    headers = {"Content-Type": OCI.manifest, "Docker-Content-Digest": sent}
    proxy.use(Rule(MANIFESTS, faults.answer(200, headers), method="HEAD"))
    assert client.head(named(image, proxy.address)).digest == DIGEST


@pytest.mark.parametrize("sent", [f"{DIGEST}, sha256:{'e' * 64}", "md5:1", "junk"])
def test_a_digest_header_that_is_none_is_ignored(
    proxy: Proxy, image: PushedImage, client: RegistryClient, sent: str
) -> None:
    """Then the digest is ours."""
    headers = {"Content-Type": OCI.manifest, "Docker-Content-Digest": sent}
    proxy.use(Rule(MANIFESTS, faults.answer(200, headers), method="HEAD"))
    assert client.head(named(image, proxy.address)).digest == image.digest


@pytest.mark.parametrize("encode", [gzip.compress, zlib.compress, bytes])
def test_a_compressed_manifest_is_unpacked(
    proxy: Proxy, image: PushedImage, client: RegistryClient, encode: Callable[[bytes], bytes]
) -> None:
    """Before its digest is checked; also where the header is wrong, and nothing is compressed."""
    headers = {"Content-Type": OCI.manifest, "Content-Encoding": "gzip"}
    raw = client.manifest(named(image)).raw
    proxy.use(Rule(MANIFESTS, faults.answer(200, headers, encode(raw)), method="GET"))
    assert client.manifest(named(image, proxy.address), image.digest).raw == raw


def test_a_compressed_manifest_has_the_same_limit(proxy: Proxy, image: PushedImage, client: RegistryClient) -> None:
    """A small body that unpacks to gigabytes is refused."""
    headers = {"Content-Type": OCI.manifest, "Content-Encoding": "gzip"}
    proxy.use(Rule(MANIFESTS, faults.answer(200, headers, gzip.compress(bytes(100_000_000))), method="GET"))
    with pytest.raises(RegistryError, match="incomplete or too long"):
        client.manifest(named(image, proxy.address))


def test_a_manifest_without_a_digest_gets_one(proxy: Proxy, image: PushedImage, client: RegistryClient) -> None:
    """Computed from its bytes."""
    raw = b'{"config": {}, "layers": []}'
    proxy.use(Rule(MANIFESTS, faults.answer(200, {"Content-Type": "application/x; charset=utf-8"}, raw)))
    manifest = client.manifest(named(image, proxy.address))
    assert (manifest.digest, manifest.media_type, manifest.raw) == (sha256(raw), OCI.manifest, raw)


def test_other_content_is_not_believed(proxy: Proxy, image: PushedImage, client: RegistryClient) -> None:
    """Neither under a tag nor under a digest, neither by HEAD nor by GET."""
    by_tag = named(image, proxy.address)
    by_digest = ImageReference.parse(f"{by_tag.name}@{image.digest}")
    proxy.use(Rule(MANIFESTS, faults.corrupt, method="GET"))
    for reference in (by_tag, by_digest):
        with pytest.raises(RegistryError, match=f"wrong content for {image.digest}"):
            client.manifest(reference)
    wrong = sha256(b"other")
    headers = {"Docker-Content-Digest": wrong, "Content-Type": OCI.manifest}
    proxy.use(Rule(MANIFESTS, faults.answer(200, headers, b"other")))
    with pytest.raises(RegistryError, match=f"another digest, {wrong}"):
        client.head(by_digest)
    with pytest.raises(RegistryError, match=f"wrong content for {image.digest}"):
        client.manifest(by_digest)
    proxy.use(Rule(MANIFESTS, faults.answer(200, {"Docker-Content-Digest": "md5:abc"}, b"other")))
    with pytest.raises(RegistryError, match="sends no image manifest"):
        client.manifest(by_tag)


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (faults.short(100), "wrong content"),
        (faults.close(100), "unexpected EOF"),
        (faults.reset(100), "Connection reset by peer"),
        (faults.reset(), "Connection reset by peer"),
        (faults.answer(200, {}, b"x" * 10_000_000), "more than 4194304 bytes"),
    ],
)
def test_a_broken_answer_is_trouble(
    proxy: Proxy, image: PushedImage, client: RegistryClient, action: faults.Action, words: str
) -> None:
    """Cut, reset, shortened, endless; and the client is as good as before."""
    proxy.use(Rule(MANIFESTS, action, method="GET"))
    with pytest.raises(RegistryError, match=words):
        client.manifest(named(image, proxy.address))
    proxy.use()
    assert client.manifest(named(image, proxy.address)).digest == image.digest


def test_silence_has_an_end(proxy: Proxy, image: PushedImage) -> None:
    """Before the first byte, in the middle, and a byte at a time."""
    with RegistryClient(read=0.2) as client:
        for action in (faults.hang(30), faults.stall(100, 30)):
            proxy.use(Rule(MANIFESTS, action))
            with pytest.raises(RegistryError, match="no answer in time"):
                client.manifest(named(image, proxy.address))
    with RegistryClient(read=1) as client:
        proxy.use(Rule(MANIFESTS, faults.drip(40, 4)))
        with pytest.raises(RegistryError, match="too slow"):
            client.manifest(named(image, proxy.address))


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no"}]}', "status 404, manifest_unknown: no"),
        (403, b'{"errors":[{"code":"DENIED"},7]}', "status 403"),
        (503, b"<html>", "status 503"),
        (500, b"x" * 1_000_000, "status 500"),
        (502, b"[" * 50_000, "status 502"),
        (301, b"", "status 301"),
        (206, b"{}", "status 206"),
        (204, b"", "status 204"),
        (400, b"", "status 400"),
    ],
)
def test_a_status_is_told(
    proxy: Proxy, image: PushedImage, client: RegistryClient, status: int, body: bytes, words: str
) -> None:
    """With the registry's reason where it gives one."""
    proxy.use(Rule(MANIFESTS, faults.answer(status, {}, body)))
    with pytest.raises(RegistryError) as raised:
        client.manifest(named(image, proxy.address))
    assert str(raised.value) == f"{proxy.address}: {words}"
    assert raised.value.status == status


def test_nobody_there(client: RegistryClient) -> None:
    """Refused, and a name that cannot be resolved."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(RegistryError, match="Connection refused"):
        client.head(ImageReference.parse(f"127.0.0.1:{port}/a"))
    with pytest.raises(RegistryError, match="Name or service not known"):
        client.head(ImageReference.parse("registry.invalid/a"))


def test_the_next_address_is_tried(registry: Registry, image: PushedImage, client: RegistryClient) -> None:
    """A name may have several, and the first may be dead: nobody listens on ::1."""
    port = registry.address.rpartition(":")[2]
    assert client.head(ImageReference.parse(f"localhost:{port}/lab/app:v1")).digest == image.digest


def test_a_connection_that_nobody_takes() -> None:
    """Has a time limit of its own: the queue of a server that never accepts one is full."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as server,
        socket.create_connection(server.getsockname()),
        RegistryClient(connect=0.3) as client,
        pytest.raises(RegistryError, match="no connection in time") as raised,
    ):
        client.head(ImageReference.parse(f"127.0.0.1:{server.getsockname()[1]}/a"))
    assert raised.value.timed_out


def test_a_limited_registry_says_how_long(proxy: Proxy, image: PushedImage, client: RegistryClient) -> None:
    """Retry-After and quota, by the call that asks for it and in the trouble of any other."""
    reference = named(image, proxy.address)
    assert client.wait_of(reference) is None
    proxy.use(Rule(MANIFESTS, faults.answer(429, {"Retry-After": "11"})))
    assert client.wait_of(reference) == 11
    with pytest.raises(RegistryError) as raised:
        client.head(reference)
    assert raised.value.status == 429
    assert raised.value.wait == pytest.approx(11, abs=1)
    assert client.wait_of(reference) == pytest.approx(11, abs=1)
    assert (proxy.count("HEAD"), proxy.count("GET")) == (2, 0)


def test_a_limit_without_a_time_is_short_at_first(proxy: Proxy, image: PushedImage, client: RegistryClient) -> None:
    """Nobody knows when it ends: a second, and longer each time that it was not enough."""
    reference = named(image, proxy.address)
    proxy.use(Rule(MANIFESTS, faults.answer(429)))
    assert client.wait_of(reference) is None
    assert 0 < (client.wait_of(reference) or 0) <= 1
    patient = client.with_limits(rate_limit=5)
    with pytest.raises(RegistryError) as raised:
        patient.head(reference)
    assert (raised.value.status, proxy.count("HEAD")) == (429, 2)
    assert 1 < (client.wait_of(reference) or 0) <= 2


def test_the_quota_is_told(proxy: Proxy, image: PushedImage, client: RegistryClient) -> None:
    """Beside the digest, where the registry has one."""
    headers = {
        "Content-Type": OCI.manifest,
        "Docker-Content-Digest": image.digest,
        "RateLimit-Limit": "100;w=21600",
        "RateLimit-Remaining": "3;w=21600",
    }
    proxy.use(Rule(MANIFESTS, faults.answer(200, headers)))
    assert client.head(named(image, proxy.address)).quota == Quota(100, 3, 21600)


def test_blobs_whole_and_from_the_middle(registry: Registry, proxy: Proxy, client: RegistryClient) -> None:
    """A registry that takes no ranges is read from its first byte."""
    big = layer("blob", 300_000)
    reference = named(push_image(registry, "blob/app", layers=[big]), proxy.address)
    with client.blob(reference, big.digest) as blob:
        assert (b"".join(blob), blob.size) == (big.data, len(big.data))
    with client.blob(reference, big.digest, 100_000) as blob:
        assert (b"".join(blob), blob.size, blob.start) == (big.data[100_000:], len(big.data), 100_000)
    proxy.use(Rule("/blobs/", faults.answer(200, {}, big.data)))
    with client.blob(reference, big.digest, 100_000) as blob:
        assert (b"".join(blob), blob.size) == (big.data[100_000:], len(big.data))


def test_broken_blobs(registry: Registry, proxy: Proxy, client: RegistryClient) -> None:
    """Wrong bytes, a cut, a wrong range, a start behind the end, a digest that is none."""
    big = layer("broken", 300_000)
    reference = named(push_image(registry, "blob/broken", layers=[big]), proxy.address)
    for action, words in (
        (faults.corrupt, "wrong content"),
        (faults.short(9), "wrong content"),
        (faults.close(70_000), "unexpected EOF"),
        (faults.reset(70_000), "Connection reset"),
    ):
        proxy.use(Rule("/blobs/", action))
        with pytest.raises(RegistryError, match=words), client.blob(reference, big.digest) as blob:
            assert big.data.startswith(b"".join(blob))
    proxy.use(Rule("/blobs/", faults.answer(206, {"Content-Range": "bytes 0-9/300000"}, b"0123456789")))
    with pytest.raises(RegistryError, match="another range"), client.blob(reference, big.digest, 5):
        pass
    proxy.use()
    with pytest.raises(RegistryError) as raised, client.blob(reference, big.digest, 10**9):
        pass
    assert raised.value.status == 416
    with pytest.raises(RegistryError, match="not a digest"), client.blob(reference, "sha256:/../x"):
        pass


def test_a_blob_that_is_left_in_the_middle_does_no_harm(
    registry: Registry, proxy: Proxy, client: RegistryClient
) -> None:
    """Its connection is closed; the next request has another."""
    big = layer("left", 3_000_000)
    reference = named(push_image(registry, "blob/left", layers=[big]), proxy.address)
    with client.blob(reference, big.digest) as blob:
        next(iter(blob))
    with client.blob(reference, big.digest) as blob:
        assert b"".join(blob) == big.data


def test_redirects(registry: Registry, proxy: Proxy, image: PushedImage, client: RegistryClient) -> None:
    """To another registry and to a relative place; not to a file, not for ever."""
    reference = named(image, proxy.address)
    for target in (f"{registry.url}/v2/lab/app/manifests/v1", f"/v2/lab/app/manifests/{image.digest}"):
        proxy.use(Rule(r"/manifests/v1$", faults.answer(307, {"Location": target})))
        assert client.head(reference).digest == image.digest
        assert client.manifest(reference).digest == image.digest
    for target in ("file:///etc/passwd", "ftp://localhost/x", "gopher:x", "//[", "http://"):
        proxy.use(Rule(r"/manifests/v1$", faults.answer(302, {"Location": target})))
        with pytest.raises(RegistryError):
            client.head(reference)
    proxy.use(Rule(r"/manifests/v1$", faults.answer(302, {"Location": "v1"})))
    with pytest.raises(RegistryError, match="too many redirects"):
        client.head(reference)


def test_requests_are_logged_without_what_may_be_secret(
    registry: Registry, proxy: Proxy, image: PushedImage, client: RegistryClient, caplog: pytest.LogCaptureFixture
) -> None:
    """`-vv` shows method, address, status and time of each request, and no query of a signed URL."""
    caplog.set_level("DEBUG", "puller.registry")
    place = f"{registry.address}/v2/lab/app/manifests/v1"
    target = {"Location": f"http://user:s3cr3t@{place}?X-Amz-Signature=s3cr3t"}
    proxy.use(Rule(r"/manifests/v1$", faults.answer(307, target)))
    client.head(named(image, proxy.address))
    moved, found = caplog.messages[-2:]
    assert re.fullmatch(rf"HEAD {proxy.address}/v2/lab/app/manifests/v1: status 307, \d+ ms", moved)
    assert re.fullmatch(rf"HEAD {place}: status 200, \d+ ms", found)
    assert "s3cr3t" not in caplog.text


def test_many_threads_share_few_connections(proxy: Proxy, image: PushedImage) -> None:
    """Twenty threads with four hundred questions open no more connections than there are threads."""
    reference = named(image, proxy.address)
    opened: set[int] = set()
    lock = threading.Lock()
    enter = proxy.enter

    def counted(connection: socket.socket) -> None:
        with lock:
            opened.add(connection.getpeername()[1])
        enter(connection)

    proxy.enter = counted  # type: ignore[method-assign]
    with AskingAgain(connections=20) as client, ThreadPoolExecutor(20) as pool:
        digests = set(pool.map(lambda _: client.head(reference).digest, range(400)))
    assert digests == {image.digest}
    assert proxy.count("HEAD") == 400
    assert len(opened) <= 20


def test_closing_ends_what_is_under_way(proxy: Proxy, image: PushedImage) -> None:
    """A thread that waits for an answer gets its end; one that comes later does, too."""
    reference = named(image, proxy.address)
    client = RegistryClient()
    proxy.use(Rule(MANIFESTS, faults.hang(60)))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.head, reference)
        proxy.wait_for("HEAD")
        client.close()
        assert isinstance(waiting.exception(30), RegistryError)
    proxy.use()
    with pytest.raises(RegistryError):
        client.head(reference)
    client.close()


def test_no_netrc_no_cookies(proxy: Proxy, image: PushedImage, client: RegistryClient, home: Path) -> None:
    """Only credentials that were meant for a registry are ever sent, and nothing is remembered for it."""
    netrc = home / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\ndefault login me password secret\n")
    netrc.chmod(0o600)
    headers = {"Docker-Content-Digest": image.digest, "Content-Type": OCI.manifest, "Set-Cookie": "a=b"}
    proxy.use(Rule(MANIFESTS, faults.answer(200, headers)))
    for _ in range(2):
        client.head(named(image, proxy.address))
    assert [_sent(request, "Authorization", "Cookie") for request in proxy.log] == [(None, None)] * 2


def _sent(request: Request, *names: str) -> tuple[str | None, ...]:
    return tuple(request.header(name) for name in names)
