"""What an engine holds, asked once for a whole run: images by tag and by digest, and what kind of engine it is."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from puller.image.reference import ImageReference, Platform


@dataclass(frozen=True, slots=True)
class LocalImage:
    """One image of an engine, with all the names it goes by there, in full (`docker.io/library/nginx:1.27`)."""

    identity: str
    """The image's ID: the digest of its config on the graph store, of its manifest on the containerd store."""
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    """As `NAME@DIGEST`."""
    size: int = 0
    """Bytes, unpacked, as the engine counts them; 0 where it does not say."""
    platforms: tuple[Platform, ...] = ()
    """For which of them all is there; empty where the engine's list does not say, as on the graph store."""

    def digests_in(self, name: str) -> tuple[str, ...]:
        """Give the digests by which it is known in one repository, such as `docker.io/library/nginx`."""
        return tuple(digest for known, _, digest in (text.partition("@") for text in self.digests) if known == name)


@dataclass(frozen=True, slots=True)
class ImageContents:
    """What one held image is made of."""

    identity: str
    layers: tuple[str, ...]
    """Digests of the layers unpacked (diff IDs), base first."""
    platform: Platform | None = None
    size: int = 0
    """Bytes, as the engine counts them; 0 where it does not say."""
    parent: str | None = None
    """The ID of the image that it was built on here; what was pulled has none, and BuildKit leaves none."""
    pins: tuple[str, ...] = ()
    """The `NAME@DIGEST` that somebody pulled or tagged as such; only the containerd store tells them from its tags."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container of an engine, in whatever state."""

    name: str
    image: str
    """The image's ID, or its name where the engine tells nothing else."""


class LocalImages:
    """All images of an engine at one moment."""

    def __init__(self, images: Iterable[LocalImage] = ()) -> None:
        """Index the images by every name."""
        self.images = tuple(images)
        self._by_name = {name: image for image in self.images for name in (*image.tags, *image.digests)}
        self._by_identity = {image.identity: image for image in self.images}

    def of(self, identity: str) -> LocalImage | None:
        """Find an image by its ID."""
        return self._by_identity.get(identity)

    def named(self, name: str) -> LocalImage | None:
        """Find an image by a name in full, with its tag or its digest."""
        return self._by_name.get(name)

    def tagged(self, reference: ImageReference) -> LocalImage | None:
        """Find what the reference's tag stands for in the engine; None where it has no tag, or the engine none."""
        return self._by_name.get(f"{reference.name}:{reference.tag}") if reference.tag else None

    def pinned(self, reference: ImageReference) -> LocalImage | None:
        """Find the image that the engine knows under the reference's digest."""
        return self._by_name.get(f"{reference.name}@{reference.digest}") if reference.digest else None


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Through which proxies somebody leads to the web; empty where through none."""

    http: str = ""
    https: str = ""
    exceptions: str = ""
    """What NO_PROXY says: hosts and networks that are reached directly."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine says of itself; what it does not say is None or empty."""

    platform: Platform | None = None
    """What it pulls where no platform is asked for."""
    keeps_platforms: bool = False
    """Whether one tag can hold several platforms there: the containerd store can, the graph-driver store cannot."""
    data_root: str | None = None
    """Where it keeps images, on its own host."""
    local: bool = False
    """Whether that host is this one."""
    insecure: tuple[str, ...] = ()
    """Registries, and networks in CIDR notation, that it talks to without TLS or without checking it."""
    version: str | None = None
    driver: str | None = None
    """What unpacks layers there: `overlay2`, `overlayfs`, `vfs`."""
    mirrors: tuple[str, ...] = ()
    """URLs of its mirrors of Docker Hub, in the order in which it tries them."""
    proxies: ProxySettings | None = None
    """What it goes through itself; None where it does not say."""
    clock: datetime | None = None
    """What time it was there when it was asked."""
    identity: str | None = None
    """What it calls itself by, wherever it is reached; podman has no such thing."""


def full_name(text: str) -> str:
    """Write an engine's short name (`nginx:1.27`) in full; cheaper than parsing, for names that an engine made."""
    first, slash, _ = text.partition("/")
    if not slash:
        return f"docker.io/library/{text}"
    if "." in first or ":" in first or first == "localhost":
        return text
    return f"docker.io/{text}"
