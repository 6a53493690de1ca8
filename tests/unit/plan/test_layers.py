"""What a pull will fetch and unpack, calculated by hand; real engines are in tests/engine/test_plan.py."""

from puller.image.manifest import Descriptor, ImageManifest
from puller.plan.layers import (
    GROWTH,
    Estimate,
    LayerAccount,
    Stock,
    chain_ids,
    disk_needed,
    disk_needed_at_least,
    new_layers,
    unpacked_size,
)
from puller.plan.sizes import likeliest_size

GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest(letter: str) -> str:
    """Make a digest that tells its letter."""
    return f"sha256:{letter.encode().hex()[:2] * 32}"


def blob(name: str, size: int = 100, unpacked: int | None = 300) -> Descriptor:
    """Make a layer; a capital is the same layer as the small letter, otherwise compressed."""
    return Descriptor(digest(name), size, GZIP, diff_id=digest(name.lower() + "d"), unpacked=unpacked)


def image(name: str, *layers: Descriptor) -> ImageManifest:
    """Make an image whose manifest has 10 bytes and whose config has 5."""
    return ImageManifest((Descriptor(f"sha256:m-{name}", 10),), Descriptor(f"sha256:c-{name}", 5), layers)


def held(*layers: Descriptor, keeps_blobs: bool = False) -> Stock:
    """Hold one image of these layers, which came from a registry."""
    chains = chain_ids(layer.diff_id or "" for layer in layers)
    return Stock(keeps_blobs, chains=frozenset(chains), blobs=frozenset(layer.digest for layer in layers))


A, B, C = blob("a"), blob("b", 200), blob("c", 400)
EMPTY, EMPTY_CONTAINERD = Stock(), Stock(keeps_blobs=True)


def test_shared_layers_are_counted_once_in_list_order() -> None:
    """The first image pays for the base, the second for its own layer only."""
    for stock in (EMPTY, EMPTY_CONTAINERD):
        ledger = LayerAccount(stock)
        first, second = ledger.add(image("1", A, B)), ledger.add(image("2", A, B, C))
        assert (first.download, first.missing, first.layers, first.unpacked) == (315, 2, 2, 600)
        assert (second.download, second.missing, second.layers, second.unpacked) == (415, 1, 3, 300)


def test_the_same_image_under_another_name_is_free() -> None:
    """Its manifest is known, and with it all the rest."""
    ledger = LayerAccount(EMPTY)
    ledger.add(image("1", A))
    assert ledger.add(image("1", A)).download == 0
    assert (
        ledger.add(ImageManifest((Descriptor("sha256:other", 10),), Descriptor("sha256:c-1", 5), (A,))).download == 10
    )


def test_another_order_is_another_chain() -> None:
    """The graph store fetches all of it again; the containerd store has the blobs, and only unpacks."""
    graph, containerd = (LayerAccount(held(A, B, keeps_blobs=keeps)).add(image("1", B, A)) for keeps in (False, True))
    assert (graph.blobs, graph.unpacked) == (300, 600)
    assert (containerd.blobs, containerd.unpacked) == (0, 600)


def test_another_compression_matters_to_the_graph_store_only() -> None:
    """It finds layers by the digest that it pulled; the containerd store by what is in them. Nothing is unpacked."""
    packed = blob("A", 90)
    graph, containerd = (
        LayerAccount(held(A, B, keeps_blobs=keeps)).add(image("1", packed, B)) for keeps in (False, True)
    )
    assert (graph.blobs, graph.unpacked) == (290, 0)
    assert (containerd.blobs, containerd.unpacked) == (0, 0)


def test_a_layer_twice_in_an_image_is_fetched_once() -> None:
    """But unpacked twice."""
    for stock in (EMPTY, EMPTY_CONTAINERD):
        estimate = LayerAccount(stock).add(image("1", A, A))
        assert (estimate.blobs, estimate.unpacked) == (100, 600)


def test_layers_of_unknown_content_count_as_missing_once() -> None:
    """An artifact's config names no diff IDs: digests stand in for them."""
    unknown = Descriptor(digest("u"), 70, GZIP)
    ledger = LayerAccount(EMPTY)
    assert ledger.add(image("1", unknown)).blobs == 70
    assert ledger.add(image("2", unknown)).blobs == 0


def test_only_new_layers_are_worth_measuring() -> None:
    """Those that are there, and an image that is there whole, are not asked about."""
    assert list(new_layers(image("1", A, C), held(A, B))) == [C]
    assert not list(new_layers(image("1", A), Stock(configs=frozenset({"sha256:c-1"}))))


def test_sizes_are_known_or_guessed_or_as_they_are() -> None:
    """A measured size is believed, an uncompressed layer stays as it is, and any other grows."""
    assert unpacked_size(blob("a", 100, 123)) == 123
    assert unpacked_size(blob("a", 100, None)) == 100 * GROWTH
    assert unpacked_size(Descriptor(digest("a"), 100, "application/vnd.oci.image.layer.v1.tar")) == 100


def test_the_size_in_a_gzip_trailer_is_modulo_four_gigabytes() -> None:
    """The likeliest of the sizes that it may be is taken; one that is too small to be true is not."""
    giga = 1 << 30
    assert likeliest_size(300, 100) == 300
    assert likeliest_size(98, 100) == 98
    assert likeliest_size(10, 100) is None
    assert likeliest_size(giga, 2 * giga) == 5 * giga
    assert likeliest_size(3 * giga, giga) == 3 * giga
    assert likeliest_size(2 * giga, 4 * giga) == 10 * giga


def test_room_is_for_what_lies_there_at_once() -> None:
    """The containerd store keeps blobs; the graph store has some of them for a time, and one of them for certain."""
    small, large = (Estimate(size, 1, 1, size * 3, size, size * 4, size) for size in (10, 100))
    both = [small, large]
    assert disk_needed(both, keeps_blobs=True) == disk_needed_at_least(both, keeps_blobs=True) == 330 + 110
    assert disk_needed(both, keeps_blobs=False) == 330 + 110
    assert disk_needed_at_least(both, keeps_blobs=False) == 400  # the large one by itself
    assert disk_needed_at_least([large, large], keeps_blobs=False) == 600 + 100
    assert disk_needed_at_least([], keeps_blobs=False) == disk_needed([], keeps_blobs=False) == 0
