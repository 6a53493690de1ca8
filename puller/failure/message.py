"""An engine's words made ready for the rules: bounded, unpacked, and with every name replaced by what it names.

A repository may be called `denied`, a tag `429`, a host `timeout.example`; none of them is a reason. After this the
words hold `<name>`, `<host>`, `<url>`, `<path>` and a few more places that rules ask for.
"""

import re
from dataclasses import dataclass
from functools import cache

from puller.text import clean

LONGEST = 4096
"""Characters of a message that are shown."""
_HEAD, _TAIL = 4000, 2500
"""Characters that are read of a long message: what is wrong stands first or last, never in the middle of a page."""
_SHOWN_TAIL = 1000


@dataclass(frozen=True, slots=True)
class Words:
    """A message as the rules see it."""

    shown: str
    """For people: one line, no control characters, no secrets, at most `LONGEST` characters."""
    said: str
    """For the rules: lower case, names replaced, envelopes of clients removed."""
    own: str
    """The part of `said` that this host's engine said itself; what follows was quoted from a registry."""
    status: int | None
    """The HTTP status on the envelope, where the text has one."""


def read(message: str) -> Words:
    """Read a message of any length and any content."""
    line = _both_ends(message)
    shown = line if len(line) <= LONGEST else f"{line[: LONGEST - _SHOWN_TAIL - 3]} … {line[-_SHOWN_TAIL:]}"
    plain = _unescape(line)
    envelope = _envelope().search(plain)
    status = int(next(filter(None, envelope.groups()))) if envelope else None
    said = _context().sub(r"\1<name>", _token().sub(_place, _envelope().sub(" ", plain))).lower()
    quote = _quote().search(said)
    return Words(shown, said, said[: quote.start()] if quote else said, status)


def _both_ends(text: str) -> str:
    if len(text) <= _HEAD + _TAIL:
        return clean(text, _HEAD + _TAIL)
    # A secret that a cut goes through is not known as one: cut first where nothing is shown, mask, and cut again.
    words = text[-2 * _TAIL :].split(None, 1)
    tail = clean(words[1], 2 * _TAIL) if len(words) > 1 else ""
    return f"{clean(text, _HEAD)} {tail[-min(_TAIL, len(tail) // 2) :]}"


def _unescape(line: str) -> str:
    for escaped, char in (
        ("\\u003c", "<"),
        ("\\u003e", ">"),
        ("\\u0026", "&"),
        ("\\n", " "),
        ("\\r", " "),
        ('\\"', '"'),
    ):
        line = line.replace(escaped, char)
    return line


@cache
def _envelope() -> re.Pattern[str]:
    """Match what HTTP clients put around an engine's words: the status is the engine's, the words may be another's."""
    return re.compile(
        r"\b([45]\d\d) (?:Client|Server) Error(?: for \S{1,800})?:[A-Za-z' -]{0,60}"
        r"(?:for url: \S{1,800}[A-Za-z' -]{0,60})?(?=\(|$)"
        r"|\(HTTP code (\d{3})\) [a-z ]{0,40}- "
        r"|\bAPI error \((\d{3})\): "
    )


@cache
def _quote() -> re.Pattern[str]:
    """Match where a registry's words begin: they are about its own disk and sockets, not about this host's."""
    return re.compile(
        r"too ?many ?requests|error from registry|(?<!permission )(?<!access )\bdenied:|\bunauthorized\b|server message"
        r"|response body|unexpected (?:http )?status|(?:manifest|name|blob) unknown|\{ ?\"errors\""
        r"|^(?:[a-z]{1,20}(?:\[\d{1,9}\])?:? )?(?:error response from daemon: )?unknown: (?!failed to)"
    )


@cache
def _token() -> re.Pattern[str]:
    """Match a word between white space, quotes and brackets."""
    return re.compile(r"[^\s\"'`()<>,;|]+")


@cache
def _context() -> re.Pattern[str]:
    """Match words after which a name follows that may look like any word."""
    return re.compile(
        r"\b(denied for |manifest for |lookup |[Nn]o such image: |with reference |find image ')[^\s,']{1,300}"
    )


_PROSE = frozenset(
    {"i/o", "fork/exec", "input/output", "net/http", "archive/tar", "and/or", "username/password", "user/password"}
)
_ENGINES = re.compile(
    r"(?i)(?:unix|npipe|tcp|ssh|fd|http\+docker|https?\+unix)://|https?://(?:%2f|docker/v\d|[^/]{1,255}:237[56](?:/|$))"
    r"|/(?:v1\.\d\d/|version$|_ping$|info$)"
)
_SOCKET = re.compile(
    r"(?i)(?:docker|podman|colima|buildkit|engine)[^:]{0,200}\.sock$|[\\/]pipe[\\/]|^docker[\w.-]{0,40}\.sock$"
)
_STORE = re.compile(
    r"(?i)[\\/](?:overlay2?|overlayfs|fuse-overlayfs|aufs|btrfs|zfs|vfs|devicemapper|windowsfilter|layerdb|imagedb"
    r"|containers[\\/]storage|io\.containerd\.[\w.-]{1,80}|lib[\\/](?:docker|containerd))(?:[\\/]|$)|GetImageBlob"
)
_HOST = re.compile(
    r"(?!docker|urllib3|requests|socket|ssl|http|errno|io\.)(?=.{0,255}[a-z])[a-z\d-]+(?:\.[a-z\d-]+)+(?::\d+)?"
)


def _place(match: re.Match[str]) -> str:
    """Say what a word names, if it is a name."""
    word = match[0]
    name = word.rstrip(":.!?")
    if "/" not in name and "\\" not in name:
        if "." not in name:
            return word
        place = "<socket>" if _SOCKET.search(name) else "<host>" if _HOST.fullmatch(name) else name
    elif name.lower() in _PROSE:
        return word
    else:
        place = _address(name) if "://" in name else _path(name)
    return place + word[len(name) :]


def _address(url: str) -> str:
    if url.endswith("containerd.sock"):
        return "<containerd>"
    if _ENGINES.match(url):
        return "<engine>"
    if "auth.docker.io" in url:
        return "<hub-auth>"
    if "docker.com" in url and "rate-limit" in url:
        return "<hub-limit>"
    return "<blob>" if "/blobs/" in url else "<url>"


def _path(path: str) -> str:
    for place, names_it in (
        ("<containerd>", path.endswith("containerd.sock")),
        ("<socket>", _SOCKET.search(path)),
        ("<store>.tmp", "tmp" in path and _STORE.search(path)),
        ("<store>", _STORE.search(path)),
        ("<engine>", _ENGINES.match(path)),
        ("<config>", path.endswith(("/policy.json", "/registries.conf", "/storage.conf"))),
        ("<path>", path.startswith(("/", "\\")) or path[1:2] == ":"),
        ("<name>@digest", "@sha256:" in path),
    ):
        if names_it:
            return place
    return "<name>"
