"""A registry with its token server and blob store that misbehaves in every way we know, each at a port of its own.

Every port has a small image under every name, and serves it well but for the one thing its behaviour is about.
"""

import sys

from tests.lab.hostile import blobs, heads, manifests, numbers, redirects, tokens
from tests.lab.hostile.image import TABLE
from tests.lab.raw_http import main

__all__ = ["TABLE", "blobs", "heads", "manifests", "numbers", "redirects", "tokens"]

if __name__ == "__main__":
    main(TABLE, sys.argv[1:])
