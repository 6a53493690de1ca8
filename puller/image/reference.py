"""Image references and platforms: parsed once, at the edge, by the grammar that the engine itself uses.

The only home of docker-image-py. Its defaults are the engine's: no registry means Docker Hub, a Docker Hub
name of one component lives under `library/`, no tag and no digest means the tag `latest`.
"""

import re
from dataclasses import dataclass, field
from typing import Self

_SYSTEMS = {"macos": "darwin"}
_ARCHITECTURES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386"}
_ALIASES: dict[str, tuple[str, str | None]] = {"armhf": ("arm", "v7"), "armel": ("arm", "v6")}
"""Architectures whose name says the variant, whatever else is written."""
_VARIANTS: dict[tuple[str, str | None], str | None] = {
    ("386", "*"): None,
    ("amd64", "v1"): None,
    ("arm64", "8"): None,
    ("arm64", "v8"): None,
    ("arm", None): "v7",
    **{("arm", digit): f"v{digit}" for digit in "5678"},
}
"""Variants as containerd's platforms package normalises them; None is the one that goes without saying."""
_PLATFORM_PART = re.compile(r"[a-z0-9_.-]+")
_SCHEME = re.compile(r"(?i)(?:https?|docker|oci)://")
_HUB, _HUB_TOO = "docker.io", "index.docker.io"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PLAIN = re.compile(
    # What comes before the first slash is a registry where it has a dot or a colon, and else a part of the repository.
    r"(?:(?P<registry>localhost(?::[0-9]+)?|(?=[^/]*[.:][^/]*/)[a-z0-9]+(?:[.-][a-z0-9]+)*(?::[0-9]+)?)/"
    r"|(?![^/]*[.:][^/]*/|localhost/))"
    rf"(?P<repository>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)
"""References as nearly all lists have them. Whatever does not match, right or wrong, the library reads."""
_SHORT = 63
"""Characters: 64 of them may be the ID of an image, which is no reference, and names may have 255."""
_LONGEST = 1024
"""Characters; the parts of a reference have 255 + 255 + 128 + 136 at most, and the grammar is quadratic."""
_PARTS_OF_A_PLATFORM = (2, 3)


@dataclass(frozen=True, slots=True)
class ImageReference:
    """One image as the field names it; two spellings of one image are equal."""

    registry: str
    """Host and port, such as `docker.io` or `localhost:5000`."""
    repository: str
    """The path inside the registry, such as `library/nginx`."""
    tag: str | None
    """`latest` where neither tag nor digest was written; None beside a digest without a tag."""
    digest: str | None
    """`sha256:…` where the reference is pinned."""
    text: str = field(compare=False)
    """What the user typed: people see this, comparison uses the rest."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a reference as `docker pull` would; raise ValueError with a reason that names the cure."""
        if len(text) <= _LONGEST and (plain := _PLAIN.fullmatch(text)) and _is_short(plain):
            return cls._of(plain["registry"] or _HUB, plain["repository"], plain["tag"], plain["digest"], text)
        if not text.isascii() or any(char <= " " or char == "\x7f" for char in text):
            # The library's \w and $ let some of these through.
            raise ValueError("invalid reference format: white space, a control or a non-ASCII character")
        if len(text) > _LONGEST:
            raise ValueError(f"invalid reference format: longer than {_LONGEST} characters")
        if scheme := _SCHEME.match(text):
            raise ValueError(f"invalid reference format: leave out {scheme.group()!r}")
        # The library's own library of regular expressions takes long to load.
        from docker_image.digest import InvalidDigest  # noqa: PLC0415
        from docker_image.reference import InvalidReference, Reference  # noqa: PLC0415

        try:
            parsed = Reference.parse_normalized_named(text)
        except (InvalidReference, InvalidDigest) as error:
            raise ValueError(str(error)) from None
        return cls._of(parsed.domain(), parsed.path(), parsed["tag"], parsed["digest"], text)

    @classmethod
    def _of(cls, registry: str, path: str, tag: str | None, digest: str | None, text: str) -> Self:
        repository = path if registry != _HUB or "/" in path else f"library/{path}"
        return cls(registry, repository, tag if tag or digest else "latest", digest, text)

    @property
    def name(self) -> str:
        """Registry and repository: `docker.io/library/nginx`."""
        return f"{self.registry}/{self.repository}"

    @property
    def canonical(self) -> str:
        """The whole name with every default written out: `docker.io/library/nginx:latest`."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"

    def __str__(self) -> str:
        """Say what the user typed."""
        return self.text


def _is_short(plain: re.Match[str]) -> bool:
    return (
        all(len(plain[part] or "") <= _SHORT for part in ("registry", "repository")) and plain["registry"] != _HUB_TOO
    )


def registry_name(text: str) -> str:
    """Read the name of a registry as references have it, such as `docker.io` or `localhost:5000`; raise ValueError."""
    try:
        parsed = ImageReference.parse(f"{text}/a/b")
    except ValueError:
        parsed = None
    host = _HUB if text.lower() == _HUB_TOO else text.lower()
    if parsed is None or parsed.registry != host or parsed.repository != "a/b":
        raise ValueError(f"{text!r} is not a registry such as docker.io or registry.example:5000")
    return host


def mirror_place(text: str) -> str:
    """Read where a mirror has its repositories, as `HOST[:PORT][/PREFIX]`; raise ValueError."""
    place = text.strip().rstrip("/")
    host, _, prefix = place.partition("/")
    try:
        parsed = ImageReference.parse(f"{place}/a")
    except ValueError:
        parsed = None
    if parsed is None or parsed.registry != host or parsed.repository != f"{prefix}/a".lstrip("/"):
        raise ValueError(f"{text!r} is not a mirror such as mirror.example:5000 or mirror.example/prefix")
    return place


@dataclass(frozen=True, slots=True)
class Platform:
    """An operating system and architecture, spelled as the OCI image index spells them."""

    os: str
    architecture: str
    variant: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `OS/ARCH[/VARIANT]`, folding aliases (`x86_64`, `aarch64`) as containerd does; raise ValueError."""
        parts = text.lower().split("/")
        if len(parts) not in _PARTS_OF_A_PLATFORM or not all(_PLATFORM_PART.fullmatch(part) for part in parts):
            raise ValueError(f"{text!r} is not a platform such as linux/amd64 or linux/arm/v7")
        system, machine = parts[:2]
        written = parts[2] if len(parts) == max(_PARTS_OF_A_PLATFORM) else None
        architecture, variant = _ALIASES.get(machine, (_ARCHITECTURES.get(machine, machine), written))
        for key in ((architecture, variant), (architecture, "*")):
            variant = _VARIANTS.get(key, variant)
        return cls(_SYSTEMS.get(system, system), architecture, variant)

    def __str__(self) -> str:
        """`linux/arm/v7`, as `docker pull --platform` takes it."""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)
