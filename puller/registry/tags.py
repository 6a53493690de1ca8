"""Lists of tags, page by page (OCI distribution spec "Listing Tags")."""

import json
import re
from urllib.parse import urljoin, urlsplit

PATH = "/v2/{repository}/tags/list?n=1000"
_NEXT = re.compile(r'<([^<>]{1,4096})>\s*;(?:[^,<>]{0,256};)?\s*rel="?next"?(?![\w-])', re.IGNORECASE)


def tags_in(body: bytes) -> list[str]:
    """Read one page; raises ValueError when it is no list of tags."""
    try:
        tags = json.loads(body)["tags"]
    except (LookupError, TypeError, RecursionError):
        raise ValueError("no tags") from None
    if tags is None:
        return []  # what docker-registry says of a repository whose tags have gone
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise ValueError("no tags")
    return tags


def next_page(link: str, path: str) -> str | None:
    """Return the path of the next page; only ever one of the same registry, whatever host the header names.

    Raises ValueError when it is no path that a registry can have.
    """
    found = _NEXT.search(link)
    if found is None:
        return None
    target = urlsplit(urljoin(f"http://registry{path}", found[1]))
    if not target.path.startswith("/v2/"):
        raise ValueError(found[1])
    return f"{target.path}?{target.query}"
