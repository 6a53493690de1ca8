"""How much room images will leave behind: at most so much, with layers that they share counted once. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from puller.engine.model import ImageContents, LocalImage
from puller.plan.layers import chain_ids


def freed(
    going: Sequence[LocalImage],
    contents: Mapping[str, ImageContents],
    layer_sizes: Callable[[str], Sequence[int]],
    *,
    keeps_blobs: bool,
) -> dict[str, int]:
    """Say for images in the order of their going how many bytes each frees at most, by ID.

    A layer is free when the last image that has it has gone. What a size holds beside the layers, such as the blobs
    that the containerd store keeps, is counted with each image, although images may share that, too: hence at most.
    That store's list counts blobs and what is unpacked, its inspect only blobs.
    """
    users: dict[str, int] = {}
    for each in contents.values():
        for chain in chain_ids(each.layers):
            users[chain] = users.get(chain, 0) + 1
    found: dict[str, int] = {}
    for image, content in ((image, contents[image.identity]) for image in going if image.identity in contents):
        steps = layer_sizes(image.identity)
        size = image.size or content.size + (sum(steps) if keeps_blobs else 0)
        sizes = _by_layer(content, steps)
        shared = 0
        for chain, layer in zip(chain_ids(content.layers), sizes, strict=True):
            users[chain] -= 1
            shared += layer if users[chain] else 0
        found[image.identity] = max(size - shared, 0)
    return found


def _by_layer(content: ImageContents, steps: Sequence[int]) -> Iterable[int]:
    """Match the steps of a build with layers; where that is ambiguous, no layer is known to be shared.

    Some steps make no layer, and they add nothing.
    """
    for sizes in (steps, [size for size in steps if size]):
        if len(sizes) == len(content.layers):
            return sizes
    return [0] * len(content.layers)
