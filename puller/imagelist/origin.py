"""The names of puller.imagelist.source as puller.imagelist.url uses them, until that module uses the new ones."""

from puller.imagelist import source
from puller.imagelist.source import ComposeOptions as ComposeWay, ListSource as Origin

__all__ = ["LARGEST", "ComposeWay", "Origin", "bounded"]

LARGEST = source.LARGEST


def bounded(data: bytes, name: str) -> bytes:
    """Raise ListError for data that is larger than a structured file may be."""
    return source.bounded(data, name, LARGEST)
