"""What an engine has: its images, its containers, and a description of the engine itself."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from puller.http.proxies import ProxyVariables
from puller.image.reference import ImageReference, Platform


class LocalImage(NamedTuple):
    """One image of an engine, with all its names there, in full (`docker.io/library/nginx:1.27`)."""

    identity: str
    """The image ID: the digest of its config on the graph store, of its manifest on the containerd store."""
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    """As `NAME@DIGEST`."""
    size: int = 0
    """Unpacked bytes, as the engine counts them; 0 where it does not report them."""
    platforms: tuple[Platform, ...] = ()
    """The platforms whose content is complete; empty where the engine's list does not tell, as on the graph store."""

    def digests_in(self, name: str) -> tuple[str, ...]:
        """Return the image's digests in one repository, such as `docker.io/library/nginx`."""
        prefix = f"{name}@"
        return tuple([text[len(prefix) :] for text in self.digests if text.startswith(prefix)])


class ImageContents(NamedTuple):
    """The layers and the origin of one image."""

    identity: str
    layers: tuple[str, ...]
    """Digests of the unpacked layers (diff IDs), base first."""
    platform: Platform | None = None
    size: int = 0
    """Bytes, as the engine counts them; 0 where it does not report them."""
    parent: str | None = None
    """The ID of the image that this one was built on here; None for pulled images and for those built by BuildKit."""
    pins: tuple[str, ...] = ()
    """Each `NAME@DIGEST` that was pulled or tagged under that name; only the containerd store lists them."""


class Container(NamedTuple):
    """A container of an engine, running or not."""

    name: str
    image: str
    """The image ID, or the image's name where the engine reports no ID."""


class LocalImages:
    """All images of an engine at one moment."""

    def __init__(self, images: Iterable[LocalImage] = ()) -> None:
        self.images = tuple(images)
        self._by_name = {name: image for image in self.images for name in (*image.tags, *image.digests)}
        self._by_identity = {image.identity: image for image in self.images}

    def of(self, identity: str) -> LocalImage | None:
        """Find an image by its ID."""
        return self._by_identity.get(identity)

    def named(self, name: str) -> LocalImage | None:
        """Find an image by its full name with tag or digest."""
        return self._by_name.get(name)

    def tagged(self, reference: ImageReference) -> LocalImage | None:
        """Find the image that has the reference's tag; None for a reference without a tag."""
        return self._by_name.get(f"{reference.name}:{reference.tag}") if reference.tag else None

    def pinned(self, reference: ImageReference) -> LocalImage | None:
        """Find the image that has the reference's digest; None for a reference without a digest."""
        return self._by_name.get(f"{reference.name}@{reference.digest}") if reference.digest else None

    def find(self, reference: ImageReference) -> LocalImage | None:
        """Find the image of a reference, by its digest if it has one, otherwise by its tag."""
        return self.pinned(reference) if reference.digest else self.tagged(reference)


class EngineInfo(NamedTuple):
    """What an engine reports about itself; what it does not report is None or empty."""

    platform: Platform | None = None
    """The platform that it pulls by default."""
    keeps_platforms: bool = False
    """Whether one tag can hold several platforms: true for the containerd store, false for the graph store."""
    data_root: str | None = None
    """The directory of its images, on its own host."""
    local: bool = False
    insecure: tuple[str, ...] = ()
    """Registries, and networks in CIDR notation, for which it uses HTTP or does not verify certificates."""
    version: str | None = None
    driver: str | None = None
    """The storage driver or snapshotter: `overlay2`, `overlayfs`, `vfs`."""
    mirrors: tuple[str, ...] = ()
    """URLs of its mirrors of Docker Hub, in the order in which it tries them."""
    proxies: ProxyVariables | None = None
    """The engine's own proxies; None where it does not report them."""
    clock: datetime | None = None
    """The engine's time when it was asked."""
    identity: str | None = None
    """The engine's ID, the same whichever way it is reached; podman has none."""
    host: str | None = None
    """The name of its host, as that host knows it."""

    @property
    def own_name(self) -> tuple[str, str] | None:
        """What tells engines apart: cloned hosts may have engines with one ID. None if it is not known."""
        return (self.identity, self.host or "") if self.identity else None


def full_name(text: str) -> str:
    """Write an engine's short name (`nginx:1.27`) in full; faster than parsing, for names that an engine printed."""
    first, slash, _ = text.partition("/")
    if not slash:
        return f"docker.io/library/{text}"
    if "." in first or ":" in first or first == "localhost":
        return text
    return f"docker.io/{text}"
