"""Text for people: untrusted text made safe, sizes, durations, times and tables."""

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache

# C0 and C1 controls, line and paragraph separators, and the marks that reorder text on a screen.
_CONTROL = r"[\x00-\x1f\x7f-\x9f\u061c\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+"
# Remove a terminal sequence whole, not only its first byte, which would leave "[31m".
_ESCAPE = r"\x1b(?:\[[0-?]{0,64}[ -/]{0,16}[@-~]|\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)|[@-Z\\-_])"
_VALUE = r"(?:[^\s&\"',\\]|\\(?![\"'])){1,8192}"
_SENSITIVE_KEYS = (
    r"(?:auth|token|password|passwd|secret|sig|signature|identitytoken|registrytoken|credential"
    r"|x-amz-signature|x-amz-security-token|x-goog-signature)"
)
_HEADERS = r"(?:(?:proxy-)?authorization|x-registry-auth)"
_HEADER_VALUE = rf"(?:(?:basic|bearer|digest)\s{{1,4}}{_VALUE}|(?=[^\s\d]{{0,64}}\d){_VALUE})"
_SECRETS = (
    (r"(?<=://)[^\s/\"']+@", "***@"),
    # user:password@host without a scheme; a tag before a digest looks similar.
    (r"(?<![\w.@/+-])[\w.+-]{1,256}:[^\s/@\"']{1,1024}@(?!sha\d{3}:)", "***@"),
    # A secret has a scheme or a digit: "authorization: authorization failed" is the engine's prose.
    (rf"\b({_HEADERS}[\"']?\s{{0,4}}[:=]\s{{0,4}}[\"']?){_HEADER_VALUE}", r"\1***"),
    (r"\b(bearer|basic)\s{1,4}[\w.~+/=-]{20,8192}", r"\1 ***"),
    # name=value, or "name": value, also with its quotes escaped, as Go prints JSON; a bare colon is prose ("invalid
    # username/password: unauthorized").
    (rf"((?<![a-z0-9]){_SENSITIVE_KEYS}(?:=|\\?[\"']\s{{0,4}}[:=]\s{{0,4}})\\?[\"']?){_VALUE}", r"\1***"),
)
_SIZE = r"(\d+(?:\.\d+)?) ?(?:([kMGT])(i?))?B?"
_DURATION = r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?"
_PLAIN = re.compile(r"(?:[\w.,/:()-]+(?: [\w.,/:()-]+)*)?", re.ASCII)
"""Most names of images, engines and commands: only a secret after one of the next words could look so."""
_BEFORE_SECRETS = ("auth", "bearer", "basic")
_PINNED = re.compile(r"@(sha\d{3}:[0-9a-f]{12})[0-9a-f]+")
_PINNED_TAG = re.compile(r"(:[\w.-]+)@sha\d{3}:[0-9a-f]+")
_WIDEST = 64
"""Characters: a cell with more does not widen its column, only its own row is longer."""
_LIMIT = 4096
_LONGEST_DURATION = 365 * 24 * 3600
"""Seconds: a longer one is a mistake, and with a few more digits it would overflow timers."""


def clean(text: str, limit: int = _LIMIT) -> str:
    """Make untrusted text one safe line: no control characters, no secrets, at most `limit` characters."""
    if len(text) <= limit and _PLAIN.fullmatch(text) and not any(word in text.lower() for word in _BEFORE_SECRETS):
        return text
    head = text[: max(limit, _LIMIT) * 4]  # longer than the result: a secret that is cut could not be recognised
    line = " ".join(re.sub(_CONTROL, " ", re.sub(_ESCAPE, "", head)).split())
    for pattern, replacement in _secrets():
        line = pattern.sub(replacement, line)
    return shorten(line if len(head) == len(text) else line + "…", limit)


@cache
def _secrets() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Compile the patterns at the first use: `puller --version` has no untrusted text."""
    return tuple((re.compile(pattern, re.IGNORECASE), replacement) for pattern, replacement in _SECRETS)


def source_name(text: str) -> str:
    """Return a path or URL for people: without the user, password, query and fragment, any of which may be secret."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    place = re.split(r"[?#]", rest, maxsplit=1)[0]
    # A password may contain `@`, `/`, `?` and `#`, although it should not. What has brackets is an IPv6 address.
    if re.match(r"(?!\[[\da-f:.]+\]?(?::\d*)?(?:/|$))[^/]*(?:@|:(?!\d*(?:/|$)))", place, re.IGNORECASE):
        place = place.rpartition("@")[2] if "@" in place else "***"
    return f"{scheme}://{place}"


def shorten(text: str, width: int) -> str:
    """Cut `text` to `width` characters, including an ellipsis if something was cut."""
    return text if len(text) <= width else text[: width - 1] + "…"


def parse_duration(text: str) -> float:
    """Parse `30s`, `5m`, `1h30m`, `30d` or `2.5` (seconds) and return seconds; raises ValueError for anything else."""
    match = re.fullmatch(_DURATION, text.strip())
    if match is None or not any(match.groups()):
        raise ValueError(f"{shorten(text, 40)!r} is not a duration such as 30s, 5m or 1h30m")
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    total = days * 86_400 + hours * 3600 + minutes * 60 + seconds
    if total > _LONGEST_DURATION:
        raise ValueError(f"{shorten(text, 40)!r} is a duration longer than a year")
    return total


def parse_bytes(text: str) -> int:
    """Parse `20GB` (10⁹), `512MiB` (2²⁰), `1.5TB` or `4096` and return bytes; raises ValueError for anything else."""
    match = re.fullmatch(_SIZE, text.strip(), re.IGNORECASE)
    if match is None:
        raise ValueError(f"{shorten(text, 40)!r} is not a size such as 20GB or 512MiB")
    number, unit, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** " KMGT".index((unit or " ").upper()))


def parse_rate(text: str) -> int:
    """Parse `50MB/s` or `50MB` and return bytes per second; raises ValueError for anything else and below 1 B/s."""
    rate = parse_bytes(text.strip().removesuffix("/s"))
    if rate < 1:
        raise ValueError("the bandwidth must be at least 1B/s")
    return rate


def format_seconds(seconds: float) -> str:
    """Format a duration: `0.4s`, `12s`, `3m05s`, `1h30m`."""
    if seconds < 10:  # noqa: PLR2004 - under ten seconds a tenth is worth showing
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def timestamp(moment: datetime) -> str:
    """Format a time in UTC to the second, as in RFC 3339."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_bytes(count: float) -> str:
    """Format a number of bytes in decimal units, as the docker CLI does: `512B`, `3.4MB`."""
    if count < 999.5:  # noqa: PLR2004 - rounds to three digits
        return f"{count:.0f}B"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.95:  # noqa: PLR2004 - likewise, with a decimal
            return f"{count:.1f}{unit}"
    return f"{count / 1000:.1f}TB"


def counted(number: int, noun: str) -> str:
    """Return `1 image` or `2 images`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def stop_words(message: str) -> str:
    """Return why a run or an image was stopped, for people."""
    return clean(message).replace("interrupted by SIGINT", "interrupted (Ctrl-C)")


def plain_error(error: Exception) -> str:
    """Return an error in words: that of the system without its number, as `/proc/x: no such file or directory`."""
    if not isinstance(error, OSError) or not error.strerror:
        return clean(str(error))
    name = f"{error.filename}: " if isinstance(error.filename, str) else ""
    return clean(f"{name}{error.strerror[:1].lower()}{error.strerror[1:]}")


def short_reference(text: str, *, tag_only: bool = False) -> str:
    """Shorten the digest of a reference for people; `tag_only` leaves it out beside a tag, for tables that have it."""
    return _PINNED.sub(r"@\1", _PINNED_TAG.sub(r"\1", text) if tag_only else text) if "@" in text else text


def aligned(rows: Sequence[tuple[str, ...]], right: Collection[int]) -> Iterator[str]:
    """Format rows as columns; the columns with the indexes in `right` are right-aligned."""
    widths = [
        max((len(cell) for cell in column if len(cell) <= _WIDEST), default=0) for column in zip(*rows, strict=True)
    ]
    for row in rows:
        cells = (
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()
