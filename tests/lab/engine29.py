"""An engine as release 29 with the containerd store behaves, where it differs from older ones.

Its answers were recorded from a dockerd 29.7.2 (API 1.56): one limit of downloads over all pulls, in which a pull that
waits says nothing, not even the head of its answer; platforms of images only in the list of images; and attestations
that are pulled with their image. It fetches from real registries over plain HTTP, and unpacks nothing.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.lab.fakes import EngineAnswer, FakeEngine
from tests.lab.images import DOCKER, HOST_PLATFORM, OCI
from tests.lab.layers import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

STEP = 1 << 20
"""Bytes between two messages about a layer."""
ACCEPT = ", ".join(kind for family in (OCI, DOCKER) for kind in (family.index, family.manifest))
SECONDS = 120
ATTESTS = "vnd.docker.reference.digest"
"""The annotation by which an entry of an index names the image that it is about."""
_CHUNK = 64 << 10


class FetchError(Exception):
    """What a registry does not have, in the engine's words."""


class Pull:
    """One pull: a stream of messages, and the content that it fetches."""

    def __init__(self, engine: Engine29, answer: EngineAnswer, address: str, repository: str) -> None:
        self._engine = engine
        self._answer = answer
        self._lock = threading.Lock()
        self.address = address
        self.repository = repository

    def say(self, status: str, layer: str = "", **fields: object) -> None:
        """Send a message, about a layer if one is named."""
        named = {"id": layer[7:19]} if layer else {}
        with self._lock:
            self._answer.message(status=status, **fields, **named)

    def manifest(self, reference: str) -> bytes:
        """Fetch a manifest in one of the engine's slots; raises FetchError."""
        if reference not in self._engine.content:
            with self._engine.slots:
                data = b"".join(self.read("manifests", reference))
            self._engine.content[digest_of(data)] = data
            return data
        return self._engine.content[reference]

    def blob(self, part: Mapping[str, Any], *, layer: bool) -> None:
        """Fetch a blob in one of the engine's slots, and tell of its bytes; raises FetchError."""
        engine, digest, data, told = self._engine, part["digest"], b"", STEP
        if digest in engine.content:
            return
        if layer:
            self.say("Pulling fs layer", digest, progressDetail={})
        with engine.slots:
            for chunk in self.read("blobs", digest):
                data += chunk
                if engine.rate:
                    time.sleep(len(chunk) / engine.rate)
                if layer and len(data) >= told:
                    told += STEP
                    self.say("Downloading", digest, progressDetail={"current": len(data), "total": part["size"]})
        engine.content[digest] = data
        self.say("Download complete", digest, progressDetail={"hidecounts": True})
        if layer:
            self.say("Pull complete", digest, progressDetail={})

    def read(self, kind: str, reference: str) -> Iterator[bytes]:
        """Yield what the registry has; raises FetchError."""
        path = f"/v2/{self.repository}/{kind}/{reference}"
        with closing(http.client.HTTPConnection(self.address, timeout=SECONDS)) as connection:
            connection.request("GET", path, headers={"Accept": ACCEPT})
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise FetchError(f"content at https://{self.address}{path} not found: not found")
            while chunk := answer.read(_CHUNK):
                yield chunk


class Engine29(FakeEngine):
    """The engine, behind a socket."""

    def __init__(self, folder: Path, *, downloads: int = 3, rate: int = 0) -> None:
        """Fetch so many manifests and blobs at once over all pulls, each at `rate` bytes a second; 0 is any."""
        scripts = {
            "/_ping": lambda answer: answer.answer(b"OK", Api_Version="1.56", Server="Docker/29.7.2 (linux)"),
            "/version": lambda answer: answer.answer(json.dumps(VERSION).encode()),
            "/info": lambda answer: answer.answer(json.dumps(INFO).encode()),
            "/images/json": self._list,
            "/images/create": self._create,
            "/images/": self._image,
        }
        super().__init__(folder, scripts)
        self.slots = threading.Semaphore(downloads)
        self.rate = rate
        self.content: dict[str, bytes] = {}
        """Manifests and blobs, by digest."""
        self.names: dict[str, str] = {}
        """The digest of each `NAME:TAG`."""

    def _create(self, answer: EngineAnswer) -> None:
        query = parse_qs(urlsplit(answer.path).query)
        name, tag = query["fromImage"][0], query.get("tag", ["latest"])[0]
        address, _, repository = name.partition("/")
        pull = Pull(self, answer, address, repository)
        try:
            top = pull.manifest(tag)
        except FetchError as error:
            answer.answer(json.dumps({"message": str(error)}).encode(), 404)
            return
        answer.begin(Content_Type="application/json", Transfer_Encoding="chunked")
        try:
            known = set(self.content)
            pull.say(f"Pulling from {repository}", f"sha256:{tag}")
            self._fetch(pull, json.loads(top), query.get("platform", [HOST_PLATFORM])[0])
        except FetchError as error:
            pull.say("", error=str(error), errorDetail={"message": str(error)})
        else:
            digest, full = digest_of(top), f"{name}@{tag}" if ":" in tag else f"{name}:{tag}"
            fresh = set(self.content) - known or self.names.get(full) != digest
            self.names[full] = digest
            pull.say(f"Digest: {digest}")
            pull.say(f"Status: {'Downloaded newer image' if fresh else 'Image is up to date'} for {full}")
        answer.message()

    def _fetch(self, pull: Pull, top: dict[str, Any], platform: str) -> None:
        """Fetch the image of a platform, and the attestations of its manifest with what refers to them."""
        entries = top.get("manifests")
        if entries is None:
            self._fetch_image(pull, top)
            return
        chosen = next((each for each in entries if platform_of(each.get("platform", {})) == platform), None)
        if chosen is None:
            raise FetchError(f"no match for platform in manifest: not found ({platform})")
        about = [each for each in entries if each.get("annotations", {}).get(ATTESTS) == chosen["digest"]]
        manifests = [json.loads(pull.manifest(each["digest"])) for each in (chosen, *about)]
        for manifest in manifests:
            self._fetch_image(pull, manifest)
        for each in about:
            with suppress(FetchError):
                list(pull.read("referrers", each["digest"]))
            with suppress(FetchError):
                list(pull.read("manifests", each["digest"].replace(":", "-")))

    def _fetch_image(self, pull: Pull, manifest: dict[str, Any]) -> None:
        layers = manifest["layers"]
        with ThreadPoolExecutor(len(layers) + 1) as pool:
            fetches = [pool.submit(pull.blob, manifest["config"], layer=False)]
            fetches += [pool.submit(pull.blob, layer, layer=True) for layer in layers]
            for each in fetches:
                each.result()

    def _list(self, answer: EngineAnswer) -> None:
        asked = parse_qs(urlsplit(answer.path).query).get("manifests") == ["1"]
        images = [
            {
                "Id": digest,
                **self._named(digest),
                "Size": 0,
                **({"Manifests": self._manifests(digest)} if asked else {}),
            }
            for digest in dict.fromkeys(self.names.values())
        ]
        answer.answer(json.dumps(images).encode())

    def _image(self, answer: EngineAnswer) -> None:
        url = urlsplit(answer.path)
        found = re.fullmatch(r"(?:/v[\d.]+)?/images/(.+?)(?:/(json|history|tag))?", unquote(url.path))
        name, what, query = found[1] if found else "", found[2] if found else "", parse_qs(url.query)
        digest = self.names.get(name) or (name if name in self.names.values() else None)
        if digest is None and "@" in name:  # an image is found by any name of its repository
            names = [each for each in self.names if each.startswith(f"{name.partition('@')[0]}:")]
            digest = next((self.names[each] for each in names if self.names[each] == name.partition("@")[2]), None)
        if digest is None:
            answer.answer(json.dumps({"message": f"No such image: {name}"}).encode(), 404)
        elif what == "tag":
            self.names[f"{query['repo'][0]}:{query.get('tag', ['latest'])[0]}"] = digest
            answer.answer(b"", 201)
        elif what == "json":
            self._inspect(answer, name, digest, query)
        elif what == "history":
            answer.answer(b"[]")
        else:
            self.names = {each: value for each, value in self.names.items() if name not in (each, value)}
            answer.answer(b"[]")

    def _inspect(self, answer: EngineAnswer, name: str, digest: str, query: Mapping[str, list[str]]) -> None:
        """Describe the image of the asked platform, or else of the host's: without that, by empty texts."""
        asked = platform_of(json.loads(query["platform"][0])) if "platform" in query else None
        there = [each for each in self._manifests(digest) if each["Available"] and each["Kind"] == "image"]
        wanted = asked or HOST_PLATFORM
        chosen = next((each for each in there if platform_of(each["ImageData"]["Platform"]) == wanted), None)
        if asked and chosen is None:
            words = f"image with reference {name} was found but does not provide the specified platform ({asked})"
            answer.answer(json.dumps({"message": words}).encode(), 404)
            return
        own = chosen["ImageData"]["Platform"] if chosen else {}
        image = {
            "Id": digest,
            **self._named(digest),
            "Os": own.get("os", ""),
            "Architecture": own.get("architecture", ""),
            "Variant": own.get("variant", ""),
            "Size": chosen["Size"]["Total"] if chosen else 0,
            "RootFS": {"Type": "layers", "Layers": self._config(chosen["ID"])["rootfs"]["diff_ids"]} if chosen else {},
        }
        answer.answer(json.dumps(image).encode())

    def _named(self, digest: str) -> dict[str, list[str]]:
        names = [name for name, each in self.names.items() if each == digest]
        repositories = dict.fromkeys(re.sub(r"(@.*|:[^/]*)$", "", name) for name in names)
        return {
            "RepoTags": [name for name in names if "@" not in name],
            "RepoDigests": [f"{each}@{digest}" for each in repositories],
        }

    def _manifests(self, digest: str) -> list[dict[str, Any]]:
        """List the manifests of an index, or the only one, as `manifests=1` does."""
        top = json.loads(self.content[digest])
        entries = top.get("manifests") or [{"digest": digest, "platform": self._config(digest) if top else {}}]
        found = []
        for each in entries:
            kind = "attestation" if ATTESTS in each.get("annotations", {}) else "image"
            raw = self.content.get(each["digest"])
            parts = [*(part := json.loads(raw))["layers"], part["config"]] if raw else []
            there = bool(parts) and all(part["digest"] in self.content for part in parts)
            size = sum(part["size"] for part in parts)
            own = {key: value for key, value in each["platform"].items() if key in ("os", "architecture", "variant")}
            manifest = {
                "ID": each["digest"],
                "Kind": kind,
                "Available": there,
                "Size": {"Total": size, "Content": size},
            }
            found.append(manifest | ({"ImageData": {"Platform": own}} if kind == "image" else {}))
        return found

    def _config(self, manifest: str) -> dict[str, Any]:
        config: dict[str, Any] = json.loads(self.content[json.loads(self.content[manifest])["config"]["digest"]])
        return config


def platform_of(fields: Mapping[str, str]) -> str:
    """Write a platform as `linux/arm/v7`."""
    return "/".join(fields[key] for key in ("os", "architecture", "variant") if fields.get(key))


VERSION = {
    "Version": "29.7.2",
    "ApiVersion": "1.56",
    "MinAPIVersion": "1.40",
    "Components": [{"Name": "Engine", "Version": "29.7.2", "Details": {}}],
}
INFO = {
    "ID": "engine-29",
    "ServerVersion": "29.7.2",
    "OSType": HOST_PLATFORM.split("/")[0],
    "Architecture": HOST_PLATFORM.split("/")[1],
    "Driver": "overlayfs",
    "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
    "DockerRootDir": "/var/lib/docker",
    "RegistryConfig": {"InsecureRegistryCIDRs": ["127.0.0.0/8"], "IndexConfigs": {}, "Mirrors": []},
}
