"""Image references and platforms, parsed with the engine's own grammar (docker-image-py).

Defaults are the engine's: without a registry Docker Hub, on Docker Hub `library/` before a name of one component, and
without a tag or digest the tag `latest`.
"""

import re
from typing import Final, NamedTuple, Self

_SYSTEMS = {"macos": "darwin"}
_ARCHITECTURES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386"}
_ALIASES: dict[str, tuple[str, str | None]] = {"armhf": ("arm", "v7"), "armel": ("arm", "v6")}
"""Architecture names that imply the variant, whatever variant is written."""
_VARIANTS: dict[tuple[str, str | None], str | None] = {
    ("386", "*"): None, ("amd64", "v1"): None, ("arm64", "8"): None, ("arm64", "v8"): None,
    ("arm", None): "v7", ("arm", "5"): "v5", ("arm", "6"): "v6", ("arm", "7"): "v7", ("arm", "8"): "v8",
}  # fmt: skip
"""Variants as containerd's platforms package normalises them; None is the default variant."""
_PLATFORM = re.compile(r"([a-z0-9_.-]+)/([a-z0-9_.-]+)(?:/([a-z0-9_.-]+))?")
_SCHEME = re.compile(r"(?i)(?:https?|docker|oci)://")
_HUB, _HUB_ALIAS = "docker.io", "index.docker.io"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PLAIN = re.compile(
    # The part before the first slash is a registry if it has a dot or a colon, else part of the repository.
    r"(?:(?P<registry>localhost(?::[0-9]+)?|(?=[^/]*[.:][^/]*/)[a-z0-9]+(?:[.-][a-z0-9]+)*(?::[0-9]+)?)/"
    r"|(?![^/]*[.:][^/]*/|localhost/))"
    rf"(?P<repository>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)
"""The usual references, read without the library; anything else, valid or not, is read by the library."""
_SHORT = 63
"""Characters: 64 hexadecimal ones may be an image ID, which is not a reference."""
_LONGEST = 1024
"""Characters: a reference has at most 255 + 255 + 128 + 136, and the library takes quadratic time."""


class ImageReference:
    """An image reference; two spellings of the same image are equal."""

    __slots__ = ("canonical", "digest", "name", "registry", "repository", "tag", "text")

    def __init__(self, registry: str, repository: str, tag: str | None, digest: str | None, text: str) -> None:
        self.registry: Final = registry
        """Host and port, such as `docker.io` or `localhost:5000`."""
        self.repository: Final = repository
        """The path inside the registry, such as `library/nginx`."""
        self.tag: Final = tag
        """`latest` if neither tag nor digest was written; None for a digest without a tag."""
        self.digest: Final = digest
        """`sha256:…` if the reference has one."""
        self.text: Final = text
        """What the user typed: messages show it, comparison ignores it."""
        self.name: Final = f"{registry}/{repository}"
        """Registry and repository, such as `docker.io/library/nginx`."""
        self.canonical: Final = f"{self.name}{f':{tag}' if tag else ''}{f'@{digest}' if digest else ''}"
        """The full reference with every default, such as `docker.io/library/nginx:latest`."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ImageReference) and self.canonical == other.canonical

    def __hash__(self) -> int:
        return hash(self.canonical)

    def __repr__(self) -> str:
        return f"ImageReference({self.canonical!r}, text={self.text!r})"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a reference as `docker pull` does; raises ValueError with the reason."""
        if len(text) <= _LONGEST and (plain := _PLAIN.fullmatch(text)):
            registry, repository, tag, digits = plain.groups()
            if len(repository) <= _SHORT and len(registry or "") <= _SHORT and registry != _HUB_ALIAS:
                return cls._of(registry or _HUB, repository, tag, digits, text)
        if not text.isascii() or any(char <= " " or char == "\x7f" for char in text):
            # The library's \w and $ accept some of these.
            raise ValueError("invalid reference format: white space, a control or a non-ASCII character")
        if len(text) > _LONGEST:
            raise ValueError(f"invalid reference format: longer than {_LONGEST} characters")
        if scheme := _SCHEME.match(text):
            raise ValueError(f"invalid reference format: leave out {scheme.group()!r}")
        from docker_image import digest, reference  # noqa: PLC0415 - imports regex; most lists do not need it

        try:
            parsed = reference.Reference.parse_normalized_named(text)
        except (reference.InvalidReference, digest.InvalidDigest) as error:
            raise ValueError(str(error)) from None
        return cls._of(parsed.domain(), parsed.path(), parsed["tag"], parsed["digest"], text)

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Parse a reference; None if it is invalid."""
        try:
            return cls.parse(text)
        except ValueError:
            return None

    @classmethod
    def _of(cls, registry: str, path: str, tag: str | None, digest: str | None, text: str) -> Self:
        repository = path if registry != _HUB or "/" in path else f"library/{path}"
        return cls(registry, repository, tag if tag or digest else "latest", digest, text)

    def with_digest(self, digest: str | None) -> "ImageReference":
        """Return the reference with this digest, or with none, and the same tag and text."""
        return ImageReference(self.registry, self.repository, self.tag, digest, self.text)

    def with_tag(self, tag: str | None) -> "ImageReference":
        """Return the reference with this tag and no digest, and the same text."""
        return ImageReference(self.registry, self.repository, tag, None, self.text)

    def __str__(self) -> str:
        return self.text


def registry_name(text: str) -> str:
    """Parse a registry as references name it, such as `docker.io` or `localhost:5000`; raises ValueError."""
    parsed = ImageReference.read(f"{text}/a/b")
    host = _HUB if text.lower() == _HUB_ALIAS else text.lower()
    if parsed is None or parsed.registry != host or parsed.repository != "a/b":
        raise ValueError(f"{text!r} is not a registry such as docker.io or registry.example:5000")
    return host


def mirror_place(text: str) -> str:
    """Parse the address of a mirror, `HOST[:PORT][/PREFIX]`; raises ValueError."""
    place = text.strip().rstrip("/")
    host, _, prefix = place.partition("/")
    parsed = ImageReference.read(f"{place}/a")
    if parsed is None or parsed.registry != host or parsed.repository != f"{prefix}/a".lstrip("/"):
        raise ValueError(f"{text!r} is not a mirror such as mirror.example:5000 or mirror.example/prefix")
    return place


class Platform(NamedTuple):
    """An operating system, architecture and variant, spelled as in an OCI image index."""

    os: str
    architecture: str
    variant: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `OS/ARCH[/VARIANT]`, with aliases normalised (`x86_64`) as in containerd; raises ValueError."""
        match = _PLATFORM.fullmatch(text.lower())
        if not match:
            raise ValueError(f"{text!r} is not a platform such as linux/amd64 or linux/arm/v7")
        system, machine, written = match.groups()
        architecture, variant = _ALIASES.get(machine, (_ARCHITECTURES.get(machine, machine), written))
        for key in ((architecture, variant), (architecture, "*")):
            variant = _VARIANTS.get(key, variant)
        return cls(_SYSTEMS.get(system, system), architecture, variant)

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)
