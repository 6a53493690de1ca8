"""Dockerfiles (https://docs.docker.com/reference/dockerfile/): the images that a build needs.

These are the images in `FROM`, `COPY --from` and `RUN --mount=from=`, unless they name a stage. The frontend in
`# syntax=` is not listed: BuildKit fetches it itself. The package `dockerfile` (BuildKit's parser, in Go) has wheels
for x86-64 with glibc only, and does not expand arguments; so the lines are parsed here.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice

from puller.imagelist.builds import NO_BUILD, Build
from puller.imagelist.entry import BadLine, Item, Note, Source, entry_of
from puller.imagelist.variables import Expanded, expand

_FROM = re.compile(r"(?P<image>\S+)(?:\s+AS\s+(?P<stage>\S+))?", re.IGNORECASE)
_ARGUMENT = re.compile(r"""([A-Za-z_]\w*)(?:=((?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])*))?(?:\s+|$)""")
_QUOTED = re.compile(r'"((?:\\.|[^"\\])*)"|\'([^\']*)\'')
_FLAG = re.compile(r"--(\w[\w-]*)(?:=(\S*))?\s*")
_OF_THE_BUILD = ("BUILDPLATFORM", "BUILDOS", "BUILDARCH", "BUILDVARIANT",
                 "TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT")  # fmt: skip
_MARK = "\x00"
_IMAGE_CONTEXT = "docker-image://"
# Parser directives come first, and end at the first other line.
_ESCAPE = re.compile(r"(?i)(?:[ \t]*#[ \t]*\w+[ \t]*=.*\n)*?[ \t]*#[ \t]*escape[ \t]*=[ \t]*([\\`])[ \t]*(?:\n|$)")
_SYNTAX = re.compile(r"(?i)(?:[ \t]*#[ \t]*\w+[ \t]*=.*\n)*?[ \t]*#[ \t]*syntax[ \t]*=[ \t]*(\S+)")
_HEREDOC = re.compile(r"(?<![<\w$(])\d*<<(-?)(['\"]?)([A-Za-z_][\w.]*)\2")
_MOST_HEREDOCS = 20
_DIGITS = 7
"""Digits of a number that surely is no stage's."""
_MOST_COMPARED = 1000
"""Stages whose names are compared with an image that depends on the platform."""
_WITH_HEREDOC = {"RUN", "COPY", "ADD"}
_TEMPLATE = re.compile(r"(?im)^[ \t]*(?:\{\{|\{%|<%)|^[ \t]*FROM[^\n]*(?:\{\{|\{%|<%|%%\w+%%|@@\w+@@)")
"""A template of Go, Jinja, Ruby or the like; `{{` in other instructions may be a format of docker's."""
_TEMPLATE_NAME = re.compile(r"(?i)\.(?:template|te?mpl|tpl|j2|jinja2?|in|erb|m4|mustache|gotmpl)$")


def parse(data: bytes, name: str, build: Build = NO_BUILD, *, is_member: bool = False) -> Iterator[Item]:
    """Yield the images of a Dockerfile, in order; `name` is the file's name in messages.

    `build` has values of its arguments, and additional contexts. In a directory what is no Dockerfile is left out.
    """
    reader = _Dockerfile(build)
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        yield BadLine(Source(name, data.count(b"\n", 0, error.start) + 1), "", "not valid UTF-8")
        return
    if "\0" in text:
        yield BadLine(Source(name, 1), "", "binary data, not a Dockerfile")
        return
    template = _TEMPLATE.search(text)
    if template or (is_member and _TEMPLATE_NAME.search(name)):
        where = Source(name, text.count("\n", 0, template.start()) + 1 if template else 1)
        yield BadLine(where, "", "an unrendered template: render it first", is_template=True)
        return
    if frontend := _SYNTAX.match(text):
        where = Source(name, text.count("\n", 0, frontend.end()) + 1)
        yield Note(where, "the frontend, which BuildKit pulls itself", frontend[1], is_detail=True)
    first, is_empty = 0, True
    for keyword, rest, line in _instructions(text):
        first = first or (line if keyword == "FROM" else 0)
        for item in reader.images(keyword, rest, Source(name, line)):
            is_empty = False
            yield item
    if not first:
        why = "not a Dockerfile: it has no FROM"
        yield Note(Source(name, 1), f"left out: {why}") if is_member else BadLine(Source(name, 1), "", why)
    elif is_empty:
        yield Note(Source(name, first), "starts from scratch, nothing to pull")


class _Dockerfile:
    """The arguments before the first FROM, and the stages read so far."""

    def __init__(self, build: Build) -> None:
        self._build = build
        # The builder sets these to the platform of the build, which is not known here.
        self._arguments = dict.fromkeys(_OF_THE_BUILD, _MARK)
        self.stages = 0
        self._names: set[str] = set()

    def images(self, keyword: str, rest: str, source: Source) -> Iterator[Item]:
        if keyword == "ARG" and not self.stages:
            self._argument(rest)
        elif keyword == "FROM":
            yield from self._from(rest, source)
        elif keyword in ("COPY", "RUN"):
            for name, value in _flags(rest)[0]:
                image = value if name == "from" and keyword == "COPY" else ""
                if name == "mount" and keyword == "RUN":
                    image = dict(part.partition("=")[::2] for part in _unquoted(value).split(",")).get("from", "")
                if image:
                    yield from self._other(_unquoted(image), source)

    def _argument(self, rest: str) -> None:
        for match in _ARGUMENT.finditer(rest):
            if match[1] in self._build.arguments:
                self._arguments[match[1]] = self._build.arguments[match[1]]
            elif match[2] is not None and match[1] not in _OF_THE_BUILD:
                try:
                    self._arguments[match[1]] = self._expanded(match[2]).text
                except ValueError:
                    self._arguments.pop(match[1], None)

    def _from(self, rest: str, source: Source) -> Iterator[Item]:
        flags, rest = _flags(rest)
        match = _FROM.fullmatch(rest.strip())
        if not match:
            self.stages += 1
            yield BadLine(source, f"FROM {rest}", "expected FROM [--platform=…] IMAGE [AS NAME]")
            return
        try:
            image = self._expanded(match["image"])
            platform = self._expanded(dict(flags).get("platform", "")).text
        except ValueError as error:
            yield BadLine(source, match["image"], str(error))
        else:
            if image.text in self._build.contexts:
                yield self._context(image.text, source)
            elif image.text in self._build.made:
                yield Note(source, "a service of the Compose file builds it, nothing to pull", image.text)
            elif not self._is_stage(image.text) and image.text.lower() != "scratch":
                yield from self._image(match["image"], image, None if _MARK in platform else platform, source)
        self.stages += 1
        if match["stage"]:
            self._names.add(match["stage"].lower())

    def _image(self, written: str, image: Expanded, platform: str | None, source: Source) -> Iterator[Item]:
        names, first = ", ".join(image.unset), "".join(image.unset[:1])
        item = entry_of(image.text, source, platform)
        if _MARK in image.text:
            yield BadLine(source, written, "depends on the platform: add the image with --image")
        elif image.unset and (isinstance(item, BadLine) or not image.text[-1].isalnum()):
            fix = f"set it with --build-arg {first}=VALUE, or write a default before FROM (ARG {first}=VALUE)"
            yield BadLine(source, written, f"no value for {names}: {fix}", is_template=True)
        else:
            if image.unset:
                yield Note(source, f"no value for {names}: replaced by an empty string", written)
            yield item

    def _context(self, name: str, source: Source) -> Item:
        """Read the name of an additional context, which counts more than an image or a stage of this name."""
        text = self._build.contexts[name]
        if text.startswith(_IMAGE_CONTEXT):
            return entry_of(text.removeprefix(_IMAGE_CONTEXT), source)
        return Note(source, f"an additional context of {self._build.name}, nothing to pull", name)

    def _other(self, image: str, source: Source) -> Iterator[Item]:
        """Read the value of COPY --from or of a mount: the name or number of an earlier stage, or an image."""
        if image in self._build.contexts:
            yield self._context(image, source)
        elif self._is_stage(image) or (image.isdecimal() and len(image) < _DIGITS and int(image) < self.stages):
            return
        elif "$" in image:
            yield BadLine(source, image, "variables are not allowed here: use a stage, FROM … AS NAME")
        elif image.lower() != "scratch":
            yield entry_of(image, source)

    def _is_stage(self, image: str) -> bool:
        if _MARK not in image:
            return image.lower() in self._names
        pattern = ".*".join(map(re.escape, image.lower().split(_MARK)))
        return any(re.fullmatch(pattern, stage) for stage in islice(self._names, _MOST_COMPARED))

    def _expanded(self, text: str) -> Expanded:
        """Expand arguments and remove quotes; there is no expansion in single quotes."""
        plain = _unquoted(text)
        return Expanded(plain) if text.startswith("'") else expand(plain, self._arguments, escape="\\")


def _flags(rest: str) -> tuple[list[tuple[str, str]], str]:
    """Split the flags of an instruction from the rest."""
    flags = []
    while match := _FLAG.match(rest):
        flags.append((match[1].lower(), match[2] or ""))
        rest = rest[match.end() :]
    return flags, rest


def _unquoted(text: str) -> str:
    return _QUOTED.sub(lambda match: match[1] if match[1] is not None else match[2], text)


def _instructions(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield the keyword of each instruction in capitals, the rest on one line, and the number of its first line."""
    text = text.replace("\r\n", "\n")
    lines, directive = text.split("\n"), _ESCAPE.match(text)
    continued = re.compile(re.escape(directive[1] if directive else "\\") + r"[ \t]*$")
    number, start, rest, more = 0, 0, "", 0
    ends: dict[str, list[int]] = defaultdict(list)
    """The numbers of the lines with a text, in order; those that start with tabs in `tabbed`, without the tabs."""
    tabbed: dict[str, list[int]] = defaultdict(list)
    while number < len(lines):
        line, number = lines[number], number + 1
        if line.strip() and not line.lstrip().startswith("#"):  # neither ends a continued line
            part, more = continued.subn("", line)
            start, rest = start or number, rest + part
        if not start or (more and number < len(lines)):
            continue
        keyword, rest = [*re.split("[ \t]+", rest.strip(), maxsplit=1), ""][:2]
        # The lines of here-documents are skipped; one without an end is ignored.
        for dash, _, word in _HEREDOC.findall(rest)[:_MOST_HEREDOCS] if keyword.upper() in _WITH_HEREDOC else ():
            if not ends:
                for at, each in enumerate(lines):
                    ends[each].append(at)
                    if each.startswith("\t"):
                        tabbed[each.lstrip("\t")].append(at)
            options = (ends[word], tabbed[word] if dash else [])
            found = [each[at] for each in options if (at := bisect_left(each, number)) < len(each)]
            number = min(found, default=number - 1) + 1
        yield keyword.upper(), rest, start
        start, rest = 0, ""
