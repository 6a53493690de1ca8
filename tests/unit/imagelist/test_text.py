"""The text list, line by line."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given, strategies as st

from puller.imagelist import BadLine, Entry
from puller.imagelist.text import parse
from tests.unit.imagelist.shown import shown as shown_item

LONGEST = 64 * 1024


def items(data: bytes, name: str = "images.txt") -> list[Entry | BadLine]:
    """Parse bytes as a list."""
    return list(parse(io.BytesIO(data), name))


def shown(data: bytes) -> list[str]:
    """Write what a list means in one string for each item."""
    return [
        str(item)
        if isinstance(item, BadLine)
        else f"{item.source} {item.platform} {item.reference.canonical} <{item.reference.text}>"
        for item in items(data)
    ]


def controls(text: str) -> list[str]:
    """Name the characters that could move, colour or reorder a terminal's text."""
    return [char for char in text if unicodedata.category(char) in ("Cc", "Cs") or "\u202a" <= char <= "\u202e"]


NGINX = "docker.io/library/nginx:latest <nginx>"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\n \n\t\r\n", []),
        (b"# all\n  # is a comment\n#", []),
        (b"nginx", [f"images.txt:1 None {NGINX}"]),
        (b"nginx\n", [f"images.txt:1 None {NGINX}"]),
        (b"nginx\r\nnginx\r\n", [f"images.txt:1 None {NGINX}", f"images.txt:2 None {NGINX}"]),
        (b"\n\n# x\nnginx", [f"images.txt:4 None {NGINX}"]),
        (b"\xef\xbb\xbfnginx\n", [f"images.txt:1 None {NGINX}"]),
        (b"\xef\xbb\xbf# only a comment\n", []),
        (b"nginx\n\xef\xbb\xbfnginx\n", [f"images.txt:1 None {NGINX}", f"images.txt:2 None {NGINX}"]),
        (b" \t nginx \t \n", [f"images.txt:1 None {NGINX}"]),
        ("\u00a0nginx\u00a0\n".encode(), [f"images.txt:1 None {NGINX}"]),
        (b"nginx # the web\n", [f"images.txt:1 None {NGINX}"]),
        (b"nginx\t#the web # again\n", [f"images.txt:1 None {NGINX}"]),
        ("nginx # größer \u202e\n".encode(), [f"images.txt:1 None {NGINX}"]),
        (b"--platform=linux/arm64 nginx\n", [f"images.txt:1 linux/arm64 {NGINX}"]),
        (b"  --platform=linux/x86_64 \t nginx # c\n", [f"images.txt:1 linux/amd64 {NGINX}"]),
        (b"nginx\rnginx", ['images.txt:1: one image reference per line: "nginx nginx"']),
    ],
)
def test_what_a_list_means(data: bytes, expected: list[str]) -> None:
    """Comments, blank lines, CRLF, a BOM and white space are tolerated; the text as typed is kept."""
    assert shown(data) == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("nginx redis", "one image reference per line"),
        ("FROM nginx", "one image reference per line"),
        ("nginx:1#comment", "invalid reference format"),
        ("--platform", "write it as --platform=OS/ARCH REFERENCE, before the image"),
        ("nginx --platform linux/arm64", "write it as --platform=OS/ARCH REFERENCE, before the image"),
        ("--platform=linux/arm64", "no image reference after the platform"),
        ("--platform=linux/arm64 # nginx", "no image reference after the platform"),
        ("--platform=arm64 nginx", "'arm64' is not a platform such as linux/amd64 or linux/arm/v7"),
        ("--platform= nginx", "'' is not a platform such as linux/amd64 or linux/arm/v7"),
        ("--platform=$BUILDPLATFORM nginx", "'$BUILDPLATFORM' is not a platform"),
        ("nginx --platform=linux/arm64", "unknown option; only --platform=OS/ARCH is allowed, before the image"),
        ("--platform=linux/arm64 --platform=linux/amd64 nginx", "unknown option; only --platform=OS/ARCH is allowed"),
        ("--platform=linux/arm64 nginx redis", "one image reference per line"),
        ("NGINX", "must be lowercase"),
    ],
)
def test_a_bad_line_gets_a_reason_that_names_the_cure(line: str, reason: str) -> None:
    """A line that is no reference is a value with its number, and the lines around it are read."""
    before, bad, after = items(f"redis\n{line}\nubuntu\n".encode())
    assert isinstance(before, Entry)
    assert isinstance(after, Entry)
    assert isinstance(bad, BadLine)
    assert str(bad).startswith("images.txt:2: ")
    assert reason in bad.reason


@pytest.mark.parametrize(
    "line",
    [
        "nginx; rm -rf /",
        "nginx;id",
        "$(id)",
        "`id`",
        "nginx|sh",
        "nginx&&id",
        "--help",
        "-v /:/host",
        "--platform=linux/amd64 --privileged",
        "--platform=linux/amd64;id nginx",
        "nginx:\x1b[31m",
        "nginx:\x1b]0;owned\x07",
        "\x9b31mnginx",
        "ngi\x08nx",
        "nginx\u202egpj",
        "ngіnx",  # noqa: RUF001 - the Cyrillic letter is the example
        "../../etc/passwd",
        "file:///etc/passwd",
        "https://alice:hunter2@registry.example/x",
        "https://alice:hunter2@registry.example/x one more",
        "docker://alice:hunter2@registry.example/x:1",
        "https://registry.example/x?token=hunter2",
    ],
)
def test_a_hostile_name_is_refused_by_line_number(line: str) -> None:
    """What could be an option, a command, a terminal sequence or a secret is refused and cannot be seen."""
    good, bad = items(f"nginx\n{line}\n".encode())
    assert isinstance(good, Entry)
    assert isinstance(bad, BadLine)
    assert str(bad).startswith("images.txt:2: ")
    assert controls(str(bad)) == []
    assert "hunter2" not in repr(bad)


@pytest.mark.parametrize(
    "data", [b"a\0b", b"#\0\n", b"\0", b"\x7fELF\x02\x01\0\0\nnginx\n", "nginx\n".encode("utf-16-le")]
)
def test_a_nul_byte_ends_the_reading(data: bytes) -> None:
    """A binary file is one complaint, not a thousand."""
    assert shown(data) == ["images.txt:1: binary data, not a text list"]


def test_a_nul_byte_in_the_middle_keeps_what_came_before() -> None:
    """Lines before binary data are read; nothing after it is."""
    assert shown(b"nginx\na\0\nredis") == [f"images.txt:1 None {NGINX}", "images.txt:2: binary data, not a text list"]


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["\ufeffnginx\nredis\n", "\ufeff\u6f22"])
def test_utf16_is_called_by_its_name(codec: str, text: str) -> None:
    """A list saved by an editor as UTF-16 gets the cure, with or without a NUL byte in it."""
    (complaint,) = shown(text.encode(codec))
    assert complaint == "images.txt:1: binary data, not a text list: it looks like UTF-16, save it as UTF-8"


def test_a_line_that_is_not_utf8_is_one_bad_line() -> None:
    """Bytes that are no UTF-8 spoil their own line only."""
    assert shown(b"ng\xffinx\nnginx\n") == [
        'images.txt:1: not valid UTF-8: "ng\ufffdinx"',
        f"images.txt:2 None {NGINX}",
    ]


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("extra", [1, 2, LONGEST, 3 * LONGEST + 5])
def test_a_line_that_is_too_long_is_one_bad_line(extra: int, end: bytes) -> None:
    """Whatever its length, such a line is one complaint, and the next line keeps its number."""
    long, *rest = shown(b"n" * (LONGEST + extra) + end + (b"nginx\n" if end else b""))
    assert long.startswith('images.txt:1: longer than 64 KiB: "nnnn')
    assert len(long) < 130
    assert rest == ([f"images.txt:2 None {NGINX}"] if end else [])


def test_a_line_of_just_64_kib_is_read() -> None:
    """The limit itself is allowed: only what is beyond it is too long."""
    assert shown(b"nginx #".ljust(LONGEST, b"x") + b"\nnginx") == [
        f"images.txt:1 None {NGINX}",
        f"images.txt:2 None {NGINX}",
    ]


def test_an_endless_line_is_never_held() -> None:
    """The stream is asked for a bounded number of bytes at a time."""

    class Endless(io.BytesIO):
        asked = 0
        largest = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            self.asked += 1
            self.largest = max(self.largest, size)
            return b"n" * size if self.asked <= 100 else b"\n"

    stream = Endless()
    first = next(parse(stream, "endless"))
    assert isinstance(first, BadLine)
    assert stream.asked == 1
    assert 0 < stream.largest <= LONGEST + 1


LINES = st.lists(
    st.one_of(st.binary(max_size=60), st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace")))
)


@given(LINES.map(b"\n".join))
def test_arbitrary_bytes_are_entries_or_bad_lines(data: bytes) -> None:
    """No bytes make the parser raise, and no complaint carries a control character."""
    numbers = []
    for item in items(data):
        numbers.append(item.source.line)
        if isinstance(item, BadLine):
            assert controls(str(item) + item.text + item.reason) == []
            assert str(item).startswith(f"images.txt:{item.source.line}: ")
        else:
            assert item.reference.canonical.isascii()
    assert numbers == sorted(set(numbers), key=lambda number: number or 0)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("--platform linux/arm64 a:1", "f:1 linux/arm64 a:1"),
        ("${base}/a:1", 'bad f:1: contains a variable: fill it in first (envsubst): "${base}/a:1"'),
        ("a:$TAG", 'bad f:1: contains a variable: fill it in first (envsubst): "a:$TAG"'),
        ("a:{{ tag }}", 'bad f:1: contains a variable: fill it in first (envsubst): "a:{{ tag }}"'),
        ("oci://r.io/a", 'bad f:1: a chart or another artifact, no image: take it out of the list: "oci://r.io/a"'),
    ],
)
def test_what_other_tools_write(line: str, found: str) -> None:
    """Taken where it means an image, else told what it is."""
    (item,) = items(line.encode(), "f")
    assert shown_item([item]) == [found]
