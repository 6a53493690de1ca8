"""What may go, decided without an engine: examples, and anything at all."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings, strategies as st

from puller.engine.model import Container, ImageContents, LocalImage, LocalImages
from puller.image.reference import ImageReference
from puller.prune.planner import EngineState, PrunePlan, Reason, Removable, plan_prune
from puller.prune.pull_record import PulledName

REPOSITORIES = ("a.io/x", "b.io/y")
TAGS = tuple(f"{repository}:{tag}" for repository in REPOSITORIES for tag in ("v1", "v2"))
IDS = ("sha256:" + "1" * 64, "sha256:" + "2" * 64, "sha256:" + "3" * 64)


def entry(name: str, identity: str = IDS[0], *, day: int = 1, new: bool = True, named: bool = True) -> PulledName:
    """Remember a name, brought and last wanted on a day."""
    moment = f"2026-11-{day:02}T00:00:00Z"
    return PulledName(name, identity, None, moment, moment, new, named)


def pin(repository: str, identity: str) -> str:
    """Name an image by digest; here an image's ID and its digest are the same, as on the containerd store."""
    return f"{repository}@{identity}"


def scene(
    *images: LocalImage, containers: tuple[Container, ...] = (), contents: tuple[ImageContents, ...] = ()
) -> EngineState:
    """Build an engine."""
    return EngineState(LocalImages(images), {content.identity: content for content in contents}, containers)


def plan(known: list[PulledName], at: EngineState, *wanted: str, keep_last: int = 0) -> PrunePlan:
    """Plan with lists of these references."""
    return plan_prune(known, at, map(ImageReference.parse, wanted), keep_last=keep_last)


def test_the_longest_unwanted_goes_first() -> None:
    """And of two images that were wanted last on one day, the one that was brought first."""
    images = [LocalImage(identity, (tag,)) for identity, tag in zip(IDS, TAGS, strict=False)]
    known = [entry(TAGS[0], IDS[0], day=3), entry(TAGS[1], IDS[1], day=2), entry(TAGS[2], IDS[2], day=3)]
    going = plan(known, scene(*images)).removable
    assert [each.targets for each in going] == [(TAGS[1],), (TAGS[0],), (TAGS[2],)]


@pytest.mark.parametrize(
    ("image", "known", "wanted", "expected"),
    [
        (LocalImage(IDS[0], (TAGS[0],)), [entry(TAGS[0])], (), (TAGS[0],)),
        (LocalImage(IDS[0], (TAGS[0],)), [entry(TAGS[0])], (TAGS[0],), Reason.LISTED),
        (
            LocalImage(IDS[0], (TAGS[0],), (pin("a.io/x", IDS[0]),)),
            [entry(TAGS[0])],
            (pin("a.io/x", IDS[0]),),
            Reason.LISTED,
        ),
        (LocalImage(IDS[0], TAGS[:2]), [entry(TAGS[0]), entry(TAGS[1])], (TAGS[1],), (TAGS[0],)),
        (LocalImage(IDS[0], (TAGS[0], TAGS[2])), [entry(TAGS[0], new=False)], (), (TAGS[0],)),
        (LocalImage(IDS[0], (TAGS[0],)), [entry(TAGS[0], new=False)], (), Reason.NOT_OURS),
        (LocalImage(IDS[0], (TAGS[0],)), [entry(TAGS[0], named=False)], (), Reason.NOT_OURS),
        (LocalImage(IDS[0], (), (pin("a.io/x", IDS[0]),)), [entry(TAGS[0], named=False)], (), (pin("a.io/x", IDS[0]),)),
        (LocalImage(IDS[0]), [entry(TAGS[0], named=False)], (), (IDS[0],)),
        (LocalImage(IDS[0]), [entry(TAGS[0], named=False, new=False)], (), Reason.NOT_OURS),
        (LocalImage(IDS[0], (), (pin("b.io/y", IDS[0]),)), [entry(TAGS[0], named=False)], (), Reason.NOT_OURS),
        (
            LocalImage(IDS[0], (TAGS[0],), (pin("a.io/x", IDS[0]),)),
            [entry(pin("a.io/x", IDS[0]))],
            (),
            Reason.NOT_OURS,
        ),
        (
            LocalImage(IDS[0], (TAGS[0], pin("a.io/x", IDS[0]))),
            [entry(TAGS[0])],
            (),
            Reason.NOT_OURS,
        ),
        (
            LocalImage(IDS[0], (TAGS[0], pin("a.io/x", IDS[0]))),
            [entry(pin("a.io/x", IDS[0])), entry(TAGS[0])],
            (),
            (TAGS[0], pin("a.io/x", IDS[0])),
        ),
    ],
    ids=[
        "brought", "listed", "listed by digest", "one of two tags", "a second name for another's image",
        "only name of another's image", "tagged by somebody since", "lost its tag", "lost all names",
        "another's image lost its tag", "known by a digest of another repository", "a digest that serves another's tag",
        "a tag that would take another's digest along", "tag and digest",
    ],
)  # fmt: skip
def test_one_image(
    image: LocalImage, known: list[PulledName], wanted: tuple[str, ...], expected: tuple[str, ...] | Reason
) -> None:
    """What goes of it, or why it stays."""
    made = plan(known, scene(image), *wanted)
    if isinstance(expected, Reason):
        assert [each.reason for each in made.kept] == [expected]
        assert made.removable == ()
    else:
        assert [each.targets for each in made.removable] == [expected]


def test_an_image_that_is_needed_stays() -> None:
    """For a container, by the image's ID or by its name, for an image built on it; the plan says which."""
    image, known = LocalImage(IDS[0], (TAGS[0],)), [entry(TAGS[0])]
    for used in (IDS[0], TAGS[0]):
        (stays,) = plan(known, scene(image, containers=(Container("web", used),))).kept
        assert (stays.reason, stays.detail) == (Reason.IN_USE, "web")
    child = LocalImage(IDS[1], (TAGS[3],))
    (stays,) = plan(known, scene(image, child, contents=(ImageContents(IDS[1], (), parent=IDS[0]),))).kept
    assert (stays.reason, stays.detail) == (Reason.BUILT_ON, TAGS[3])


def test_the_newest_of_each_repository_stay() -> None:
    """By the order in which they were brought, although the clock was ahead once; another repository has its own."""
    images = [LocalImage(IDS[0], (TAGS[0],)), LocalImage(IDS[1], (TAGS[1],)), LocalImage(IDS[2], (TAGS[2],))]
    known = [entry(TAGS[1], IDS[1], day=9), entry(TAGS[0], IDS[0], day=2), entry(TAGS[2], IDS[2], day=1)]
    made = plan(known, scene(*images), keep_last=1)
    assert [each.targets for each in made.removable] == [(TAGS[1],)]
    assert {each.reason for each in made.kept} == {Reason.RECENT}


@dataclass
class World:
    """An engine that removes as both kinds do, and who named what."""

    containerd: bool
    tags: dict[str, str]
    """Name → ID."""
    pins: set[tuple[str, str]]
    """Repository and ID of what was pulled by digest."""

    def __post_init__(self) -> None:
        """Begin with all images, some of them without any name."""
        self.images = set(IDS)

    def held(self) -> list[LocalImage]:
        """Say what the engine would list."""
        found = []
        for identity in sorted(self.images):
            tags = [name for name, of in self.tags.items() if of == identity]
            pins = [pin(repository, of) for repository, of in sorted(self.pins) if of == identity]
            derived = [pin(name.rpartition(":")[0], identity) for name in tags]
            names = (*tags, *pins) if self.containerd else tuple(tags)
            found.append(LocalImage(identity, names, tuple(dict.fromkeys((*pins, *derived)))))
        return found

    def remove(self, going: Removable) -> None:
        """Remove each target as the engine does."""
        identity = going.image.identity
        for target in going.targets:
            if target == identity:
                assert identity not in self.tags.values()
                self.images.discard(identity)
                continue
            repository = target.partition("@")[0] if "@" in target else target.rpartition(":")[0]
            if "@" in target:
                self.pins.discard((repository, identity))
            else:
                self.tags.pop(target, None)
                if not any(of == identity and name.startswith(repository) for name, of in self.tags.items()):
                    self.pins.discard((repository, identity))
            if identity not in self.tags.values() and identity not in {of for _, of in self.pins}:
                self.images.discard(identity)


names = st.sampled_from([*TAGS, *(pin(repository, identity) for repository in REPOSITORIES for identity in IDS)])
worlds = st.builds(
    World,
    st.booleans(),
    st.dictionaries(st.sampled_from(TAGS), st.sampled_from(IDS)),
    st.sets(st.tuples(st.sampled_from(REPOSITORIES), st.sampled_from(IDS))),
)


@st.composite
def situations(draw: st.DrawFn) -> tuple[World, list[PulledName], list[str]]:
    """Make an engine, what puller remembers of it (and some of that is long over), and what lists name."""
    world = draw(worlds)
    standing = [(name, image.identity) for image in world.held() for name in (*image.tags, *image.digests)]
    pairs = st.tuples(st.sampled_from(TAGS), st.sampled_from(IDS))
    remembered = draw(st.lists(st.sampled_from(standing) | pairs if standing else pairs, unique=True, max_size=6))
    known = [
        entry(name, identity, day=draw(st.integers(1, 9)), new=draw(st.booleans()), named=draw(st.booleans()))
        for name, identity in remembered
    ]
    wanted = draw(st.lists(st.sampled_from([name for name, _ in standing]) if standing else names, max_size=2))
    return world, known, wanted


@settings(max_examples=200, deadline=None)
@given(situations(), st.sets(st.sampled_from(IDS), max_size=1))
def test_nothing_goes_that_is_listed_used_or_not_ours(
    situation: tuple[World, list[PulledName], list[str]], used: set[str]
) -> None:
    """Whatever the engine holds and puller remembers: what others named, lists name and containers use is left."""
    world, known, wanted = situation
    containers = tuple(Container("c", identity) for identity in used)
    held = world.held()
    before_tags, before_pins = dict(world.tags), set(world.pins)
    made = plan(known, scene(*held, containers=containers), *wanted)
    ours = {(each.name, each.identity) for each in known if each.named}
    brought = {each.identity for each in known if each.new}
    reachable = {image.identity for image in held if {*image.tags, *image.digests} & set(wanted)}
    for going in made.removable:
        world.remove(going)
    for name, identity in before_tags.items():
        assert world.tags.get(name) == identity or ((name, identity) in ours and name not in wanted)
    if world.containerd:
        for repository, identity in before_pins - world.pins:
            assert (pin(repository, identity), identity) in ours
    assert used <= world.images
    assert reachable <= world.images
    assert set(IDS) - world.images <= brought
