"""Images as files: written with the names that were asked for, and read only as far as they can be understood."""

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import monotonic

import pytest

from puller.blobs import download, load
from puller.blobs.export import layout_settings, open_layout
from puller.blobs.load import LayoutImages, LoadEngine
from puller.blobs.loopback_registry import LoopbackRegistry
from puller.errors import EngineError, ExitCode, FailureClass, FailureKind, PullerError, UsageError
from puller.image.manifest import descriptors_in
from puller.image.oci_layout import blob_path, read_index
from puller.image.reference import ImageReference
from puller.model import Report, Status
from puller.pull.session import PullSession
from puller.registry.client import RegistryClient
from puller.settings import Policy, PrefetchSettings, RegistrySettings, RetryPolicy, Settings, Timeouts
from tests.lab import (
    DOCKER,
    HOST_PLATFORM,
    OCI,
    Proxy,
    PushedImage,
    Registry,
    Rule,
    faults,
    layer,
    push_image,
    push_index,
)
from tests.lab.fakes import FakeBackend, pull_all
from tests.lab.samples import request
from tests.unit.blobs.conftest import SMALL

SILENT = "127.0.0.1:9"
"""A registry where nobody listens."""
NO_RETRY = RetryPolicy(retries=0, second_pass=False)


@pytest.fixture(params=["oci", "archive"])
def kind(request: pytest.FixtureRequest) -> str:
    """Write a folder, or an archive."""
    return str(request.param)


def export(
    path: Path, kind: str, text: str, settings: Settings | None = None, platform: str | None = HOST_PLATFORM
) -> Report:
    """Fetch one image into a file or folder."""
    settings = layout_settings(settings or Settings(retry=NO_RETRY))
    with (
        RegistryClient.of(settings) as registries,
        open_layout(path, settings, registries, archive=kind == "archive") as layout,
        PullSession(layout, registries, settings) as session,
    ):
        return session.pull([request(text, platform)])


def index_of(path: Path) -> str:
    """Read the index of a folder or an archive."""
    if path.is_dir():
        return (path / "index.json").read_text()
    with tarfile.open(path) as tar, closing(tar.extractfile("index.json") or io.BytesIO()) as file:
        return file.read().decode()


@pytest.mark.parametrize("tag", [":v1", "@"])
@pytest.mark.parametrize("alive", [True, False])
def test_an_image_from_a_mirror_has_the_name_that_was_asked_for(
    tmp_path: Path, kind: str, proxy: Proxy, image: PushedImage, tag: str, alive: bool
) -> None:
    """And no other one: nothing in the files speaks of the mirror."""
    registry = proxy.address if alive else SILENT
    text = f"{registry}/prefetch/app{tag}" + (image.digest if tag == "@" else "")
    settings = Settings(retry=NO_RETRY, registries={registry: RegistrySettings(mirrors=(image.address,))})
    report = export(tmp_path / "images", kind, text, settings)
    assert report.ok, report.outcomes[0].failure
    index = index_of(tmp_path / "images")
    assert [each.name and each.name.text for each in read_index(index)] == [text]
    assert image.address not in index


def test_platforms_of_a_name_from_a_mirror_do_not_get_in_each_others_way(
    tmp_path: Path, kind: str, registry: Registry
) -> None:
    """Both are pulled under the mirror's name, and none of them leaves it or misses it."""
    platforms = {f"linux/{machine}": [layer(f"mirrored-{machine}")] for machine in ("amd64", "arm64", "s390x")}
    index = push_index(registry, "prefetch/mirrored", "v1", platforms)
    text, mirror = index.at(SILENT), {SILENT: RegistrySettings(mirrors=(registry.address,))}
    settings = layout_settings(Settings(retry=NO_RETRY, registries=mirror))
    with (
        RegistryClient.of(settings) as registries,
        open_layout(tmp_path / "images", settings, registries, archive=kind == "archive") as layout,
        PullSession(layout, registries, settings) as session,
    ):
        report = session.pull([request(text, platform) for platform in platforms])
    assert report.ok, [(each.attempts, each.failure) for each in report.outcomes]
    images = LayoutImages(tmp_path / "images")
    assert [each.name and each.name.text for each in images.named] == [text]
    assert all(images.blob(each.layers[0].digest) for each in index.images.values())


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("gzip", gzip.compress),
        ("bzip2", bz2.compress),
        ("xz", lzma.compress),
        ("zstd", lambda data: b"\x28\xb5\x2f\xfd" + data),
        ("lz4", lambda data: b"\x04\x22\x4d\x18" + data),
    ],
)
def test_a_compressed_archive_is_named_as_such(tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    """With the program that unpacks it."""
    packed = tmp_path / "packed"
    packed.write_bytes(pack(b"index.json" * 1000))
    with pytest.raises(UsageError, match=rf"is compressed with {name}: decompress it first \({name} -d"):
        LayoutImages(packed)


@pytest.mark.parametrize("unpacked", [True, False])
def test_the_old_format_of_docker_save_is_named_as_such(tmp_path: Path, unpacked: bool) -> None:
    """It has no digests; `docker load` reads it."""
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps([{"Config": "a.json", "RepoTags": ["a:1"], "Layers": []}]))
    path = folder if unpacked else tmp_path / "saved.tar"
    if not unpacked:
        with tarfile.open(path, "w") as tar:
            tar.add(folder / "manifest.json", "manifest.json")
    with pytest.raises(UsageError, match=r"old format of docker save, without index\.json: use docker load"):
        LayoutImages(path)


def test_a_fifo_is_no_archive(tmp_path: Path) -> None:
    """Nobody waits for somebody who writes into it."""
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UsageError, match="is neither a folder nor a file"):
        LayoutImages(tmp_path / "fifo")
    (tmp_path / "blobs").mkdir()
    os.mkfifo(tmp_path / "index.json")
    with pytest.raises(UsageError, match=r"it has no index\.json"):
        LayoutImages(tmp_path)


def test_an_archive_of_very_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the number that is allowed."""
    monkeypatch.setattr(load, "_MOST_FILES", 1000)
    with tarfile.open(tmp_path / "many.tar", "w") as tar:
        for number in range(1001):
            tar.addfile(tarfile.TarInfo(f"blobs/sha256/{number}"))
    with pytest.raises(UsageError, match="has more than 1,000 files"):
        LayoutImages(tmp_path / "many.tar")


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (faults.answer(404), FailureKind.BLOB_UNKNOWN),
        (faults.answer(403), FailureKind.ACCESS_DENIED),
        (faults.answer(401), FailureKind.TOKEN_EXPIRED),
        (faults.answer(500), FailureKind.REGISTRY_5XX),
        (faults.answer(502), FailureKind.REGISTRY_5XX),
        (faults.short(0), FailureKind.UNEXPECTED_EOF),
        (faults.close(0), FailureKind.UNEXPECTED_EOF),
        (faults.reset(0), FailureKind.CONNECTION_RESET),
        (faults.corrupt, FailureKind.DIGEST_MISMATCH),
    ],
)
def test_the_failure_of_a_blob_is_the_failure_of_its_image(
    tmp_path: Path, proxy: Proxy, act: faults.Action, kind: FailureKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its kind, whatever happened."""
    monkeypatch.setattr(download, "_BACKOFF", 0)
    proxy.use(Rule(f"/blobs/{SMALL.digest}", act))
    why = export(tmp_path / "images", "oci", f"{proxy.address}/prefetch/app:v1").outcomes[0].failure
    assert why
    assert why.kind is kind, why


def test_a_foreign_layer_is_named_as_such(tmp_path: Path, registry: Registry, proxy: Proxy) -> None:
    """A registry need not have the layers of a Windows base image, for example."""
    image = push_image(registry, "foreign/app", layers=[layer("foreign")])
    with RegistryClient() as client:
        raw = client.manifest(ImageReference.parse(image.reference)).raw
    raw = raw.replace(DOCKER.layer.encode(), b"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")
    proxy.use(
        Rule("/manifests/", faults.answer(200, {"Content-Type": DOCKER.manifest}, raw)),
        Rule(f"/blobs/{image.layers[0].digest}", faults.answer(404)),
    )
    why = export(tmp_path / "images", "oci", image.at(proxy.address)).outcomes[0].failure
    assert why
    assert why.kind is FailureKind.BLOB_UNKNOWN
    assert why.message.endswith("a foreign layer, which its publisher distributes")


@pytest.mark.parametrize("damaged", ["manifest", "layer"])
def test_damaged_files_fail_for_good(tmp_path: Path, proxy: Proxy, image: PushedImage, damaged: str) -> None:
    """No other attempt can change what they contain, so the exit code does not ask for one."""
    target = tmp_path / "images"
    assert export(target, "oci", f"{proxy.address}/prefetch/app:v1").ok
    if damaged == "manifest":
        path = target / blob_path(image.digest)
        path.write_bytes(path.read_bytes().replace(b"schemaVersion", b"schemaversion"))
    images = LayoutImages(target)
    backend = FakeBackend(otherwise=EngineError("filesystem layer verification failed for digest sha256:00"))
    with closing(LoopbackRegistry(images)) as server:
        engine = LoadEngine(backend, images.requests(None), server)
        report = pull_all([*images.requests(None)], engine, Settings(policy=Policy.ALWAYS))
    (outcome,) = report.outcomes
    assert outcome.failure
    assert (outcome.failure.kind, outcome.failure.failure_class, len(outcome.attempts), report.exit_code) == (
        FailureKind.DIGEST_MISMATCH,
        FailureClass.PERMANENT,
        1,
        ExitCode.FAILED,
    )
    assert bool(backend.attempts) is (damaged == "layer")


@pytest.mark.parametrize(
    ("limits", "kind"),
    [(Timeouts(attempt=1, stall=60), FailureKind.TIMEOUT), (Timeouts(stall=1), FailureKind.STALLED)],
)
def test_a_blob_that_drips_does_not_hold_its_image(
    tmp_path: Path, proxy: Proxy, limits: Timeouts, kind: FailureKind
) -> None:
    """The limits of a pull are those of an export."""
    proxy.use(Rule(f"/blobs/{SMALL.digest}", faults.drip(10, 1)))
    began = monotonic()
    report = export(
        tmp_path / "images", "oci", f"{proxy.address}/prefetch/app:v1", Settings(retry=NO_RETRY, timeouts=limits)
    )
    why = report.outcomes[0].failure
    assert why
    assert why.kind is kind
    assert monotonic() - began < 8


@pytest.mark.parametrize("extras", [True, False])
def test_attestations_and_signatures_travel_with_their_image(
    tmp_path: Path, kind: str, registry: Registry, proxy: Proxy, extras: bool
) -> None:
    """They are in the files, unless they are not wanted, and the engine that loads the image can ask for them."""
    index = push_index(registry, "prefetch/signed", "v1", {HOST_PLATFORM: [SMALL]}, attested=True)
    attestation = index.images[f"attestation of {HOST_PLATFORM}"]
    signature = push_image(registry, "prefetch/signed", "", [layer("signature")], kind=OCI, subject=index)
    tags = [f"{index.digest.replace(':', '-')}.{suffix}" for suffix in ("sig", "att", "sbom")]
    tags.append(f"{index.images[HOST_PLATFORM].digest.replace(':', '-')}.sig")
    cosigned = [push_image(registry, "prefetch/signed", tag, [layer(tag)], kind=OCI) for tag in tags]
    listed = {"digest": signature.digest, "size": signature.size, "mediaType": OCI.manifest}
    document = json.dumps({"schemaVersion": 2, "manifests": [listed]}).encode()
    proxy.use(Rule(f"/referrers/{index.digest}", faults.answer(200, {"Content-Type": OCI.index}, document)))
    target, settings = tmp_path / "images", Settings(prefetch=PrefetchSettings(extras=extras))
    for _ in range(2):
        assert export(target, kind, index.at(proxy.address), settings).ok
    images = LayoutImages(target)
    for each in (attestation, signature, *cosigned):
        assert bool(images.document(each.digest)) is bool(images.blob(each.layers[0].digest)) is extras
    found = [images.document(tag) for tag in tags]
    assert [each.digest if each else None for each in found] == [each.digest if extras else None for each in cosigned]
    names = [each.name.canonical for each in images.named if each.name]
    assert sorted(names) == sorted(each.at(proxy.address) for each in (index, *(cosigned if extras else ())))
    referrers = images.referrers(index.digest)
    assert referrers
    assert [each.digest for each in descriptors_in(referrers)] == ([signature.digest] if extras else [])
    assert [request.reference.text for request in images.requests(None)] == [index.at(proxy.address)]


def test_a_registry_that_answers_for_any_tag_adds_no_signature(
    tmp_path: Path, kind: str, proxy: Proxy, image: PushedImage
) -> None:
    """The image alone is in the files, and its platform is still compared with the requested one."""
    text = f"{proxy.address}/prefetch/app:v1"
    with RegistryClient() as client:
        raw = client.manifest(request(text).reference).raw
    proxy.use(Rule("/manifests/sha256-", faults.answer(200, {"Content-Type": DOCKER.manifest}, raw)))
    assert export(tmp_path / "images", kind, text).ok
    assert [(each.digest, each.signs) for each in LayoutImages(tmp_path / "images").named] == [(image.digest, False)]
    why = export(tmp_path / "other", kind, text, platform="linux/s390x").outcomes[0].failure
    assert why
    assert why.kind is FailureKind.NO_MATCHING_PLATFORM


@pytest.mark.parametrize("text", ["junk", "[]", "[" * 100_000, '{"manifests": 5}'])
def test_a_folder_with_another_index_is_refused_before_anything_is_fetched(
    tmp_path: Path, proxy: Proxy, text: str
) -> None:
    """With the reason; `load` says the same."""
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(PullerError, match=r"index\.json is not"):
        export(tmp_path, "oci", f"{proxy.address}/prefetch/app:v1")
    assert proxy.log == []
    with pytest.raises(UsageError, match="cannot be read as an OCI image layout"):
        LayoutImages(tmp_path)


@pytest.mark.parametrize("gone", ["manifest", "layer"])
def test_an_image_whose_files_are_gone_is_not_present(
    tmp_path: Path, proxy: Proxy, image: PushedImage, gone: str
) -> None:
    """Its name in the index is not enough."""
    text, settings = f"{proxy.address}/prefetch/app:v1", Settings(policy=Policy.MISSING)
    assert export(tmp_path, "oci", text).ok
    assert export(tmp_path, "oci", text, settings, None).outcomes[0].status is Status.PRESENT
    (tmp_path / blob_path(image.digest if gone == "manifest" else SMALL.digest)).unlink()
    assert export(tmp_path, "oci", text, settings, None).outcomes[0].status is not Status.PRESENT
    assert all((tmp_path / blob_path(digest)).exists() for digest in (image.digest, SMALL.digest))
