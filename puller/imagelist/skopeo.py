"""The YAML of skopeo-sync(1): registries, and for each its repositories with their tags or digests."""

import re
from collections.abc import Iterator, Sequence

from puller.imagelist.entry import BadLine, Item, Note, entry_of
from puller.imagelist.nodes import Node
from puller.imagelist.source import ListSource

_ASKING = {"images-by-tag-regex": "a regular expression", "images-by-semver": "a range of versions"}
_KEYS = {"images", "credentials", "tls-verify", "cert-dir", *_ASKING}

_HOST = re.compile(r"localhost|.*[.:].*")


def detect(documents: Sequence[Node], source: ListSource) -> bool:  # noqa: ARG001 - the signature of all formats
    """Tell whether every key is a registry with settings, and one of them surely a host."""
    registries = [registry for document in documents for registry in document.fields.values()]
    return (
        any(registry.fields.keys() & {"images", *_ASKING} for registry in registries)
        and all(registry.fields and registry.fields.keys() <= _KEYS for registry in registries)
        and not any(registry.get("images", "name") for registry in registries)
        and any(_HOST.fullmatch(name) for document in documents for name in document.fields)
    )


def parse(documents: Sequence[Node], source: ListSource) -> Iterator[Item]:  # noqa: ARG001
    """Yield the images with explicit tags and digests, and notes about all others."""
    for document in documents:
        for host, registry in document.fields.items():
            for repository, tags in registry.get("images").fields.items():
                yield from _repository(f"{host}/{repository}", tags)
            for key, what in _ASKING.items():
                for repository, rule in registry.get(key).fields.items():
                    text = f"{host}/{repository}: left out: only the registry can tell which tags match {what}"
                    yield Note(rule.source, text)


def _repository(name: str, tags: Node) -> Iterator[Item]:
    if not tags or tags.value == []:
        yield Note(tags.source, f"{name}: left out: no tags means all tags; list the tags to pull")
        return
    if not tags.items:
        yield BadLine(tags.source, name, "expected a list of tags")
    for tag in tags.items:
        if tag.text is None:
            yield BadLine(tag.source, name, "expected a tag or a digest")
        else:
            yield entry_of(f"{name}{'@' if ':' in tag.text else ':'}{tag.text}", tag.source)
