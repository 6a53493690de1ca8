"""Prepares an error message for the rules: limits its length, removes wrappers, and replaces names by placeholders.

A repository may be called `denied`, a tag `429`, a host `timeout.example`, and must not match a rule. So names become
`<name>`, `<host>`, `<url>`, `<path>`, `<socket>` and so on.
"""

import re
from typing import NamedTuple

from puller.text import clean

LONGEST = 4096
"""Characters of a message that are shown."""
_HEAD, _TAIL = 4000, 2500
"""Characters of a long message that are read: the reason is at the beginning or at the end."""
_SHOWN_TAIL = 1000
_ESCAPES = {"\\u003c": "<", "\\u003e": ">", "\\u0026": "&", "\\n": " ", "\\r": " ", '\\"': '"'}


class Message(NamedTuple):
    """An error message, prepared for people and for the rules."""

    shown: str
    """For people: one line, no control characters, no secrets, at most `LONGEST` characters."""
    text: str
    """For the rules: lower case, names replaced, wrappers of HTTP clients removed."""
    engine_text: str
    """The part of `text` that comes from this host's engine, before it quotes a registry."""
    status: int | None
    """The HTTP status in a client's wrapper, if there is one."""


def read(message: str) -> Message:
    """Prepare a message of any length and content."""
    line = _both_ends(message)
    shown = line if len(line) <= LONGEST else f"{line[: LONGEST - _SHOWN_TAIL - 3]} … {line[-_SHOWN_TAIL:]}"
    plain = line
    for escape, char in _ESCAPES.items():
        plain = plain.replace(escape, char)
    wrapper = re.search(_WRAPPER, plain)
    status = int(next(filter(None, wrapper.groups()))) if wrapper else None
    text = re.sub(_NAME_PREFIX, r"\1<name>", re.sub(_WORD, _placeholder, re.sub(_WRAPPER, " ", plain))).lower()
    quote = re.search(_QUOTE, text)
    return Message(shown, text, text[: quote.start()] if quote else text, status)


def _both_ends(text: str) -> str:
    if len(text) <= _HEAD + _TAIL:
        return clean(text, _HEAD + _TAIL)
    # A secret that is cut in two is not recognised: so first cut more than needed, mask secrets, then cut again.
    words = text[-2 * _TAIL :].split(None, 1)
    tail = clean(words[1], 2 * _TAIL) if len(words) > 1 else ""
    return f"{clean(text, _HEAD)} {tail[-min(_TAIL, len(tail) // 2) :]}"


# Patterns are compiled at the first failure; most runs have none.
_WRAPPER = (
    r"\b([45]\d\d) (?:Client|Server) Error(?: for \S{1,800})?:[A-Za-z' -]{0,60}"
    r"(?:for url: \S{1,800}[A-Za-z' -]{0,60})?(?=\(|$)"
    r"|\(HTTP code (\d{3})\) [a-z ]{0,40}- "
    r"|\bAPI error \((\d{3})\): "
)
"""The text that HTTP clients put around an engine's message, with the engine's HTTP status."""
_QUOTE = (
    r"too ?many ?requests|error from registry|(?<!permission )(?<!access )\bdenied:|\bunauthorized\b|server message"
    r"|response body|unexpected (?:http )?status|(?:manifest|name|blob) unknown|\{ ?\"errors\""
    r"|^(?:[a-z]{1,20}(?:\[\d{1,9}\])?:? )?(?:error response from daemon: )?unknown: (?!failed to)"
)
"""The beginning of a registry's message: it is about the registry's disk and sockets, not this host's."""
_WORD = r"[^\s\"'`()<>,;|]+"
"""A word between spaces, quotes and brackets."""
_NAME_PREFIX = r"\b(denied for |manifest for |lookup |[Nn]o such image: |with reference |find image ')[^\s,']{1,300}"
"""A phrase that is followed by a name, which may look like an ordinary word."""
_PROSE = frozenset(
    {"i/o", "fork/exec", "input/output", "net/http", "archive/tar", "and/or", "username/password", "user/password"}
)
_ENGINES = (
    r"(?i)(?:unix|npipe|tcp|ssh|fd|http\+docker|https?\+unix)://|https?://(?:%2f|docker/v\d|[^/]{1,255}:237[56](?:/|$))"
    r"|/(?:v1\.\d\d/|version$|_ping$|info$)"
)
_SOCKET = r"(?i)(?:docker|podman|colima|buildkit|engine)[^:]{0,200}\.sock$|[\\/]pipe[\\/]|^docker[\w.-]{0,40}\.sock$"
_STORE = (
    r"(?i)[\\/](?:overlay2?|overlayfs|fuse-overlayfs|aufs|btrfs|zfs|vfs|devicemapper|windowsfilter|layerdb|imagedb"
    r"|containers[\\/]storage|io\.containerd\.[\w.-]{1,80}|lib[\\/](?:docker|containerd))(?:[\\/]|$)|GetImageBlob"
)
_HOST = r"(?!docker|urllib3|requests|socket|ssl|http|errno|io\.)(?=.{0,255}[a-z])[a-z\d-]+(?:\.[a-z\d-]+)+(?::\d+)?"


def _placeholder(match: re.Match[str]) -> str:
    """Return the placeholder of a word that is a name, or the word itself."""
    word = match[0]
    name = word.rstrip(":.!?")
    if "/" not in name and "\\" not in name:
        if "." not in name:
            return word
        kind = "<socket>" if re.search(_SOCKET, name) else "<host>" if re.fullmatch(_HOST, name) else name
    elif name.lower() in _PROSE:
        return word
    else:
        kind = _url_kind(name) if "://" in name else _path_kind(name)
    return kind + word[len(name) :]


def _url_kind(url: str) -> str:
    if url.endswith("containerd.sock"):
        return "<containerd>"
    if re.match(_ENGINES, url):
        return "<engine>"
    if "auth.docker.io" in url:
        return "<hub-auth>"
    if "docker.com" in url and "rate-limit" in url:
        return "<hub-limit>"
    return "<blob>" if "/blobs/" in url else "<url>"


def _path_kind(path: str) -> str:
    for placeholder, matches in (
        ("<containerd>", path.endswith("containerd.sock")),
        ("<socket>", re.search(_SOCKET, path)),
        ("<store>.tmp", "tmp" in path and re.search(_STORE, path)),
        ("<store>", re.search(_STORE, path)),
        ("<engine>", re.match(_ENGINES, path)),
        ("<config>", path.endswith(("/policy.json", "/registries.conf", "/storage.conf"))),
        ("<path>", path.startswith(("/", "\\")) or path[1:2] == ":"),
        ("<name>@digest", "@sha256:" in path),
    ):
        if matches:
            return placeholder
    return "<name>"
