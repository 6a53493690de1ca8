"""A container engine that misbehaves in every way we know, each at a Unix socket of its own.

Every socket speaks the Engine API as an engine that has no images, and can pull any, but for the one thing its
behaviour is about. Nothing is really pulled.
"""

import asyncio
import json
import re
import sys
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, unquote, urlsplit

from tests.lab.raw_http import Act, Exchange, Table, head, main
from tests.lab.unsafe_text import ESCAPES, LINE_ESCAPES, SECRET, SECRETS

MEGABYTE = 1 << 20
IDENTITY = "sha256:" + "1" * 64
DIGEST = "sha256:" + "2" * 64
LAYER = "0123456789ab"
TABLE = Table()

_INFO = {
    "ID": "lab",
    "OSType": "linux",
    "Architecture": "x86_64",
    "DockerRootDir": "/var/lib/docker",
    "Driver": "overlay2",
    "DriverStatus": [["Backing Filesystem", "extfs"]],
    "ServerVersion": "28.5.2",
    "RegistryConfig": {"InsecureRegistryCIDRs": ["127.0.0.0/8"], "IndexConfigs": {}, "Mirrors": []},
    "HttpProxy": "",
    "HttpsProxy": "",
    "NoProxy": "",
    "SystemTime": "2026-11-28T20:00:00Z",
}
_PING = {"Api-Version": "1.41", "Server": "Docker/28.5.2 (linux)", "Ostype": "linux"}
_WELL = (
    {"status": "Pulling from lab/image", "id": "v1"},
    {"status": "Pulling fs layer", "progressDetail": {}, "id": LAYER},
    {"status": "Downloading", "progressDetail": {"current": 500, "total": 1000}, "id": LAYER},
    {"status": "Download complete", "progressDetail": {}, "id": LAYER},
    {"status": "Pull complete", "progressDetail": {}, "id": LAYER},
    {"status": f"Digest: {DIGEST}"},
    {"status": "Status: Downloaded newer image for lab/image:v1"},
)


def path_of(exchange: Exchange) -> str:
    """Return what is asked for, without the version of the API."""
    return re.sub(r"^/v[^/]+", "", unquote(urlsplit(exchange.target).path)) or "/"


async def healthy(exchange: Exchange) -> None:
    """Answer as an engine does that is well."""
    path = path_of(exchange)
    answers: Mapping[str, object] = {
        "/info": _INFO,
        "/version": {"ApiVersion": "1.41", "Version": "28.5.2"},
        "/images/json": _images(exchange),
        "/containers/json": [],
        "/system/df": {"LayersSize": 0, "Images": [], "Containers": [], "Volumes": [], "BuildCache": []},
    }
    if path == "/_ping":
        await exchange.reply(200, _PING, b"OK")
    elif path in answers:
        await exchange.json(answers[path])
    elif path == "/images/create":
        await _begin_stream(exchange)
        for message in _WELL:
            await say(exchange, message)
        await arrive(exchange)
    elif found := re.fullmatch(r"/images/(.+)/(json|history|tag)", path):
        await _image(exchange, found[1], found[2])
    elif exchange.method == "DELETE":
        await exchange.json([])
    else:
        await exchange.json({"message": f"page not found: {path}"}, 404)


async def _image(exchange: Exchange, name: str, kind: str) -> None:
    if not exchange.server.state.get("arrived"):
        await exchange.json({"message": f"No such image: {name}"}, 404)
    elif kind == "tag":
        await exchange.reply(201)
    else:
        await exchange.json([] if kind == "history" else inspected(name))


def inspected(name: str) -> dict[str, object]:
    """Describe an image that was looked up by this name."""
    repository = re.sub(r"(@.*|:[^/]*)$", "", name)
    return {
        "Id": IDENTITY,
        "RepoTags": [f"{repository}:v1"],
        "RepoDigests": [f"{repository}@{DIGEST}"],
        "Os": "linux",
        "Architecture": "amd64",
        "Size": 1000,
        "RootFS": {"Type": "layers", "Layers": [DIGEST]},
    }


def _images(exchange: Exchange) -> list[dict[str, object]]:
    name = exchange.server.names.get("arrived")
    return [inspected(name) | {"Containers": -1}] if name else []


async def _begin_stream(exchange: Exchange) -> None:
    await exchange.send(head(200, {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}))


async def say(exchange: Exchange, message: object) -> None:
    """Send one message of a stream; bytes are taken as they are."""
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    await exchange.chunk(data + b"\r\n")


async def arrive(exchange: Exchange) -> None:
    """End a stream; the image is there."""
    query = parse_qs(urlsplit(exchange.target).query)
    exchange.server.names["arrived"] = f"{query['fromImage'][0]}:{query.get('tag', ['latest'])[0]}"
    exchange.server.state["arrived"] = 1
    await exchange.chunk(b"")


def _at(*paths: str, act: Act) -> Act:
    """Misbehave when asked for one of these; the text is the begin of the path, or `*` and its end."""

    async def chosen(exchange: Exchange) -> None:
        path = path_of(exchange)
        if any(path.endswith(each[1:]) if each.startswith("*") else path.startswith(each) for each in paths):
            await act(exchange)
        else:
            await healthy(exchange)

    return chosen


def _add(name: str, words: str, act: Act, *, harmless: bool = False, unknown: bool = False) -> None:
    async def named(exchange: Exchange) -> None:
        await act(exchange)

    named.__name__ = name
    TABLE.add(words, harmless=harmless, unknown=unknown)(named)


async def _hang(exchange: Exchange) -> None:
    await exchange.hang()


def _saying(document: object) -> Act:
    async def act(exchange: Exchange) -> None:
        await exchange.json(document)

    return act


def _stream(*messages: object, arrives: bool = False) -> Act:
    """Pull by sending these messages."""

    async def act(exchange: Exchange) -> None:
        await _begin_stream(exchange)
        for message in messages:
            await say(exchange, message)
        await (arrive(exchange) if arrives else exchange.chunk(b""))

    return _at("/images/create", act=act)


async def _flood(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    await exchange.flood(b"[" * (64 << 10))


async def _drip(exchange: Exchange) -> None:
    await exchange.drip(head(200, {"X-Filler": "a" * 1000}))


# Questions that are never answered, or without end.

_add("hangs_on_info", "answers pings, and never /info", _at("/info", act=_hang), harmless=True)
_add("hangs_on_images", "never lists its images", _at("/images/json", act=_hang), harmless=True)
_add(
    "hangs_on_questions", "answers pings and pulls, and nothing else", _at("/info", "/images/json", "*/json", act=_hang)
)
_add("hangs_on_inspect", "never describes an image", _at("*:v1/json", act=_hang))
_add("drips_info", "sends one byte a second of /info", _at("/info", act=_drip), harmless=True)
_add("drips_inspect", "describes an image at one byte a second", _at("*:v1/json", act=_drip))
_add("info_without_end", "sends /info without end", _at("/info", act=_flood), harmless=True)
_add("images_without_end", "lists images without end", _at("/images/json", act=_flood), harmless=True)
_add("hangs_on_pull", "never begins to pull", _at("/images/create", act=_hang))
_add("hangs_on_everything", "accepts connections, and says nothing", _hang)


# Pings.


def _ping(fields: Mapping[str, str]) -> Act:
    async def act(exchange: Exchange) -> None:
        await exchange.reply(200, {**_PING, **fields}, b"OK")

    return _at("/_ping", act=act)


for _name, _version in (
    ("escapes", LINE_ESCAPES),
    ("huge", "1." + "9" * 5000),
    ("of_words", "latest"),
    ("empty", ""),
    ("negative", "-1.-1"),
    ("1e400", "1e400"),
    ("path", "1.41/../../x?a=b#c"),
    ("of_1_mb", "1.41" + "0" * MEGABYTE),
):
    _add(
        f"version_{_name}",
        f"introduces itself with the version {_version[:20]!r}",
        _ping({"Api-Version": _version}),
        harmless=True,
    )
_add(
    "server_escapes",
    "names itself with terminal sequences",
    _ping({"Server": f"Docker/{LINE_ESCAPES}{SECRET} (x)"}),
    harmless=True,
)
_add("ping_drips", "sends one byte a second of a ping", _at("/_ping", act=_drip))
_add("ping_without_end", "sends a ping without end", _at("/_ping", act=_flood))


# Pulls.

_add("stream_empty", "ends a pull without a word", _stream())
_add("stream_lies", "says that an image is here that is not", _stream(*_WELL))
_add("error_empty", "fails without a reason", _stream({"error": "", "errorDetail": {"message": ""}}), unknown=True)
_add("error_of_no_form", "fails with a list as reason", _stream({"error": [1], "errorDetail": [2]}), unknown=True)
_add(
    "error_escapes",
    "fails with terminal sequences and secrets",
    _stream({"error": ESCAPES + SECRETS, "errorDetail": {"message": ESCAPES + SECRETS}}),
    unknown=True,
)
_add("error_huge", "fails with 10 MB of reasons", _stream({"error": "x" * (10 * MEGABYTE)}), unknown=True)
_add(
    "status_escapes",
    "reports with terminal sequences",
    _stream(*({"status": ESCAPES + SECRETS, "id": text} for text in (LAYER, ESCAPES)), *_WELL, arrives=True),
    harmless=True,
)
_add(
    "ids_escapes",
    "names layers with terminal sequences",
    _stream(*({"status": "Downloading", "id": f"{number}{ESCAPES}"} for number in range(100)), *_WELL, arrives=True),
    harmless=True,
)
_add(
    "digest_escapes",
    "names a digest with terminal sequences",
    _stream({"status": f"Digest: sha256:{ESCAPES}"}, *_WELL[:-2], arrives=True),
    harmless=True,
)
_add(
    "messages_of_wrong_types",
    "sends numbers, lists and null as messages",
    _stream(1, None, [], "x", {"status": 5, "id": []}, {"status": None, "progressDetail": 7}, *_WELL, arrives=True),
    harmless=True,
)
_add("messages_nested", "sends a message that is nested too deeply", _stream(b"[" * 100_000, *_WELL))
_add("messages_no_json", "sends what is no JSON", _stream(b"<html>" + ESCAPES.encode(), *_WELL))
_add(
    "numbers_of_no_form",
    "counts bytes in texts, negatives and infinities",
    _stream(
        *(
            b'{"status": "Downloading", "id": "%s", "progressDetail": {"current": %s, "total": %s}}'
            % (LAYER.encode(), str(current).encode(), str(total).encode())
            for current, total in (
                ('"5"', '"x"'),
                (-5, -1),
                ("1e400", "-1e400"),
                ("NaN", "Infinity"),
                (10**400, 1),
                (1 << 70, 1 << 80),
                ("true", "[]"),
                (5, 0),
                (1.5, 0.1),
            )
        ),
        *_WELL,
        arrives=True,
    ),
    harmless=True,
)


async def _line_of_100_mb(exchange: Exchange) -> None:
    await _begin_stream(exchange)
    await exchange.chunk(b'{"status": "')
    for _ in range(1600):
        await exchange.chunk(b"A" * (64 << 10))
    await say(exchange, b'"}')
    await exchange.chunk(b"")


async def _drips_messages(exchange: Exchange) -> None:
    await _begin_stream(exchange)
    number = 0
    while True:
        await say(exchange, {"status": "Downloading", "id": LAYER, "progressDetail": {"current": 5, "total": 1000}})
        await asyncio.sleep(0.5)
        number += 1


async def _drips_bytes(exchange: Exchange) -> None:
    await _begin_stream(exchange)
    while True:
        await exchange.chunk(b" ")
        await asyncio.sleep(0.5)


async def _floods_messages(exchange: Exchange) -> None:
    await _begin_stream(exchange)
    for number in range(10**9):
        await say(
            exchange,
            {"status": "Downloading", "id": f"{number:012x}", "progressDetail": {"current": number, "total": 1}},
        )
        if number % 100 == 0:
            await asyncio.sleep(0.01)


async def _cut(exchange: Exchange) -> None:
    await _begin_stream(exchange)
    await say(exchange, _WELL[2])
    exchange.close()


_add("line_of_100_mb", "sends a message of 100 MB", _at("/images/create", act=_line_of_100_mb))
_add("drips_messages", "repeats the same message for ever", _at("/images/create", act=_drips_messages))
_add("drips_spaces", "sends spaces for ever", _at("/images/create", act=_drips_bytes))
_add("floods_messages", "names new layers for ever", _at("/images/create", act=_floods_messages))
_add("cuts_the_stream", "closes in the middle of a pull", _at("/images/create", act=_cut))


# What it says of itself and of its images.

_DOCUMENTS: tuple[tuple[str, str, object], ...] = (
    ("info_list", "sends a list as /info", [1]),
    ("info_null", "sends null as /info", None),
    ("info_types", "sends wrong types in /info", dict.fromkeys(_INFO, 5)),
    ("info_lists", "sends lists in /info", {key: [[{}]] for key in _INFO}),
    (
        "info_escapes",
        "sends terminal sequences and secrets in /info",
        dict.fromkeys(_INFO, ESCAPES + SECRETS) | {"RegistryConfig": {"Mirrors": [ESCAPES + SECRETS]}},
    ),
    ("info_nested", "sends /info that is nested too deeply", b'{"a":' * 100_000),
    ("info_root", "says that its data is at an odd place", _INFO | {"DockerRootDir": "\x00/../" + "a" * 10_000}),
    (
        "info_clock",
        "has a clock that is none",
        _INFO | {"SystemTime": "99999-99-99T99:99:99Z", "MemTotal": -1, "NCPU": "x"},
    ),
)
for _name, _words, _document in _DOCUMENTS:
    _add(_name, _words, _at("/info", act=_saying(_document)), harmless=True)
_LISTS: tuple[tuple[str, str, object], ...] = (
    ("images_map", "sends a map as its images", {"a": 1}),
    ("images_null", "sends null as its images", None),
    (
        "images_types",
        "sends images of wrong types",
        [1, None, [], {"Id": 5, "RepoTags": 5, "RepoDigests": {}, "Size": []}],
    ),
    (
        "images_sizes",
        "has images of absurd sizes",
        b'[{"Id": "a", "RepoTags": ["a:b"], "Size": -5}, {"Size": 1e400}, {"Size": "x"}]',
    ),
    ("images_escapes", "has images whose names are terminal sequences", [inspected(f"{ESCAPES}:v1") | {"Id": ESCAPES}]),
    ("million_images", "has a million images", b"[" + b",".join([b"{}"] * 1_000_000) + b"]"),
    ("images_nested", "sends images that are nested too deeply", b"[" * 200_000),
)
for _name, _words, _document in _LISTS:
    _add(_name, _words, _at("/images/json", act=_saying(_document)), harmless=True)


def _describing(change: Callable[[dict[str, object]], object]) -> Act:
    async def act(exchange: Exchange) -> None:
        name = path_of(exchange).removeprefix("/images/").removesuffix("/json")
        await exchange.json(change(inspected(name)))

    return _at("*:v1/json", act=act)


_add("inspect_list", "describes an image by a list", _describing(lambda _: [1]))
_add("inspect_types", "describes an image by wrong types", _describing(lambda image: dict.fromkeys(image, 5)))
_add("inspect_empty", "describes an image by nothing", _describing(lambda _: {}))
_add(
    "inspect_escapes",
    "describes an image by terminal sequences",
    _describing(lambda image: dict.fromkeys(image, ESCAPES)),
)


if __name__ == "__main__":
    main(TABLE, sys.argv[1:])
