"""Dockerfiles (https://docs.docker.com/reference/dockerfile/): the images that a build of any stage starts from.

`FROM`, `COPY --from` and `RUN --mount=from=` that name no stage. The frontend of `# syntax=` is not listed: it is a
part of the builder and not of the image, and BuildKit resolves it by itself.
"""

import re
from typing import TYPE_CHECKING

from puller.imagelist.dockerlines import Instruction, instructions
from puller.imagelist.entry import BadLine, Entry, Item, Source, wanted
from puller.imagelist.variables import Expanded, expand

if TYPE_CHECKING:
    from collections.abc import Iterator


_FROM = re.compile(r"(?P<image>\S+)(?:\s+AS\s+(?P<stage>\S+))?", re.IGNORECASE)
_ARGUMENT = re.compile(r"""([A-Za-z_]\w*)(?:=((?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])*))?(?:\s+|$)""")
_QUOTED = re.compile(r'"((?:\\.|[^"\\])*)"|\'([^\']*)\'')
_FLAG = re.compile(r"--(\w[\w-]*)(?:=(\S*))?\s*")
_SCRATCH = "scratch"
_OF_THE_BUILD = ("BUILDPLATFORM", "BUILDOS", "BUILDARCH", "BUILDVARIANT",
                 "TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT")  # fmt: skip
_MARK = "\x00"


def parse(data: bytes, name: str) -> "Iterator[Item]":
    """Yield the images that a Dockerfile names, in order; `name` is what complaints call it."""
    reader = _Dockerfile(name)
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        yield BadLine(Source(name, data.count(b"\n", 0, error.start) + 1), "", "not valid UTF-8")
        return
    if "\0" in text:
        yield BadLine(Source(name, 1), "", "binary data, not a Dockerfile")
        return
    for instruction in instructions(text):
        yield from reader.take(instruction)
    if not reader.stages:
        yield BadLine(Source(name, 1), "", "not a Dockerfile: it has no FROM")


class _Dockerfile:
    """What is known so far: arguments before the first FROM, and the stages."""

    def __init__(self, name: str) -> None:
        self._name = name
        # The builder fills these in, for the platform of the build, which a list does not know.
        self._arguments = dict.fromkeys(_OF_THE_BUILD, _MARK)
        self.stages: list[str] = []

    def take(self, instruction: Instruction) -> "Iterator[Item]":
        """Yield the images of one instruction."""
        source = Source(self._name, instruction.line)
        if instruction.keyword == "ARG" and not self.stages:
            self._argument(instruction.rest)
        elif instruction.keyword == "FROM":
            yield from self._from(instruction.rest, source)
        elif instruction.keyword in ("COPY", "RUN"):
            flags, _ = _flags(instruction.rest)
            for name, value in flags:
                image = value if name == "from" and instruction.keyword == "COPY" else ""
                if name == "mount" and instruction.keyword == "RUN":
                    image = dict(part.partition("=")[::2] for part in _unquoted(value).split(",")).get("from", "")
                if image:
                    yield from self._other(_unquoted(image), source)

    def _argument(self, rest: str) -> None:
        for match in _ARGUMENT.finditer(rest):
            if match[2] is not None and match[1] not in _OF_THE_BUILD:
                try:
                    self._arguments[match[1]] = self._filled(match[2]).text
                except ValueError:
                    self._arguments.pop(match[1], None)

    def _from(self, rest: str, source: Source) -> "Iterator[Item]":
        flags, rest = _flags(rest)
        match = _FROM.fullmatch(rest.strip())
        if not match:
            self.stages.append("")
            yield BadLine(source, f"FROM {rest}", "expected FROM [--platform=…] IMAGE [AS NAME]")
            return
        try:
            image = self._filled(match["image"])
            platform = self._filled(dict(flags).get("platform", "")).text
        except ValueError as error:
            yield BadLine(source, match["image"], str(error))
        else:
            if not self._is_stage(image.text) and image.text.lower() != _SCRATCH:
                yield self._image(match["image"], image, None if _MARK in platform else platform, source)
        self.stages.append((match["stage"] or "").lower())

    def _image(self, written: str, image: Expanded, platform: str | None, source: Source) -> Item:
        if _MARK in image.text:
            return BadLine(source, written, "depends on the platform of the build")
        item = wanted(image.text, source, platform)
        if isinstance(item, Entry) or not image.unset:
            return item
        names = ", ".join(image.unset)
        return BadLine(source, written, f"no value for {names}: give a default, ARG {image.unset[0]}=…, before FROM")

    def _other(self, image: str, source: Source) -> "Iterator[Item]":
        """Read what COPY --from or a mount names: an earlier stage, by name or number, or an image."""
        if self._is_stage(image) or (image.isdecimal() and int(image) < len(self.stages)):
            return
        if "$" in image:
            yield BadLine(source, image, "no variables can stand here: name a stage, FROM … AS NAME")
        elif image.lower() != _SCRATCH:
            yield wanted(image, source)

    def _is_stage(self, image: str) -> bool:
        if _MARK not in image:
            return image.lower() in filter(None, self.stages)
        pattern = ".*".join(re.escape(part) for part in image.lower().split(_MARK))
        return any(re.fullmatch(pattern, stage) for stage in self.stages if stage)

    def _filled(self, text: str) -> Expanded:
        """Fill in arguments, and take away quotes; only single ones keep a dollar sign."""
        if text.startswith("'"):
            return Expanded(_unquoted(text))
        return expand(_unquoted(text), self._arguments, escape="\\")


def _flags(rest: str) -> tuple[list[tuple[str, str]], str]:
    """Take the flags from the beginning of what an instruction says."""
    flags = []
    while match := _FLAG.match(rest):
        flags.append((match[1].lower(), match[2] or ""))
        rest = rest[match.end() :]
    return flags, rest


def _unquoted(text: str) -> str:
    return _QUOTED.sub(lambda match: match[1] if match[1] is not None else match[2], text)
