"""What puller remembers of its pulls, and the file that it is kept in."""

import json
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from puller.engine.model import ImageContents, LocalImage, LocalImages
from puller.errors import PullerError
from puller.image.reference import ImageReference
from puller.model import PullOutcome, PullRequest, Status
from puller.prune.planner import freed_bytes
from puller.prune.pull_record import PulledName, PullRecord, after_pulls
from puller.text import parse_bytes
from tests.lab.second_user import as_root, attack

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
NAME, NOW, EARLIER = "a.io/x:v1", "2026-11-23T00:00:00Z", "2026-11-01T00:00:00Z"
KNOWN = PulledName(NAME, ONE, ONE, EARLIER, EARLIER, new=True)


def outcome(text: str = NAME, status: Status = Status.PULLED, digest: str | None = None) -> PullOutcome:
    """End a pull."""
    return PullOutcome.of(PullRequest(ImageReference.parse(text)), status, digest=digest)


def held(identity: str, *tags: str, digest: str = "") -> LocalImage:
    """Hold an image under tags, with a digest where it has one."""
    return LocalImage(identity, tags, tuple(f"{tag.rpartition(':')[0]}@{digest}" for tag in tags if digest))


@pytest.mark.parametrize(
    ("before", "after", "ended", "brought"),
    [
        ([], [held(ONE, NAME)], outcome(), [(NAME, ONE, True)]),
        ([held(ONE, NAME)], [held(ONE, NAME)], outcome(), []),
        ([held(ONE, "b.io/y:v1")], [held(ONE, NAME, "b.io/y:v1")], outcome(), [(NAME, ONE, False)]),
        ([held(TWO, NAME)], [held(ONE, NAME)], outcome(), [(NAME, ONE, True)]),
        ([], [held(ONE, NAME)], outcome(status=Status.UP_TO_DATE), []),
        ([], [held(ONE, NAME, digest=TWO)], outcome(digest=ONE), []),
        ([], [], outcome(), []),
        ([], [held(ONE, NAME)], outcome(status=Status.FAILED), []),
    ],
    ids=[
        "pulled", "there before", "there under another name", "moved", "came from elsewhere meanwhile",
        "moved on meanwhile", "gone meanwhile", "failed",
    ],
)  # fmt: skip
def test_what_a_pull_brought(
    before: list[LocalImage], after: list[LocalImage], ended: PullOutcome, brought: list[tuple[str, str, bool]]
) -> None:
    """Only what puller pulled and nobody else had or moved."""
    made = after_pulls((), [ended], NOW, LocalImages(before), LocalImages(after))
    assert [(entry.name, entry.identity, entry.new) for entry in made] == brought


def test_a_moved_tag_leaves_an_image_that_puller_brought() -> None:
    """The old image stays known, not its name; where somebody else had brought it, neither."""
    after = LocalImages([held(TWO, NAME), LocalImage(ONE)])
    old, new = after_pulls([KNOWN], [outcome()], NOW, LocalImages([held(ONE, NAME)]), after)
    assert (old.named, old.new, new.identity, new.named) == (False, True, TWO, True)
    (only,) = after_pulls([KNOWN._replace(new=False)], [outcome()], NOW, LocalImages([held(ONE, NAME)]), after)
    assert only.identity == TWO


def test_a_run_that_pulls_nothing_notes_what_it_wanted() -> None:
    """An image that is up to date run by run is not old; bad lines of a list do no harm."""
    bad = PullOutcome("not a reference", ("not a reference",), Status.FAILED)
    (entry,) = after_pulls([KNOWN], [outcome(status=Status.UP_TO_DATE), bad], NOW)
    assert (entry.brought, entry.wanted) == (EARLIER, NOW)


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PullRecord:
    """Remember in a folder of the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return PullRecord("ID:WITH/odd..characters")


def _add(number: int) -> None:
    PullRecord("ID:WITH/odd..characters").update(lambda known: (*known, KNOWN._replace(name=f"a.io/x:{number}")))


def _die(known: tuple[PulledName, ...]) -> tuple[PulledName, ...]:
    os.kill(os.getpid(), signal.SIGKILL)
    return known


def _die_while_writing() -> None:
    PullRecord("ID:WITH/odd..characters").update(_die)


def test_two_runs_at_once_and_a_kill_lose_nothing(memory: PullRecord, tmp_path: Path) -> None:
    """Whoever dies with the file in hand leaves it as it was, and nobody waits for it."""
    memory.update(lambda _: [KNOWN])
    context = multiprocessing.get_context("fork")
    killed = context.Process(target=_die_while_writing)
    killed.start()
    killed.join()
    assert (killed.exitcode, memory.read()) == (-signal.SIGKILL, (KNOWN,))
    several = [context.Process(target=_add, args=(number,)) for number in range(4)]
    for each in several:
        each.start()
    for each in several:
        each.join()
    assert {entry.name for entry in memory.read()} == {NAME, *(f"a.io/x:{number}" for number in range(4))}
    assert memory.path.parent == tmp_path / "puller" / "brought"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema": "puller.brought/9"}', '{"schema": null'])
def test_a_file_that_puller_did_not_write_is_told(memory: PullRecord, text: str) -> None:
    """In one line, with what to do; it is not overwritten."""
    memory.path.parent.mkdir(parents=True)
    memory.path.write_text(text)
    with pytest.raises(PullerError, match="move it away"):
        memory.update(lambda known: known)
    assert memory.path.read_text() == text


def test_the_file_says_which_engine_it_is_about(memory: PullRecord) -> None:
    """Its name is made safe, so another engine's may be the same."""
    assert memory.read() == ()
    memory.update(lambda _: [KNOWN])
    assert json.loads(memory.path.read_text())["engine"] == "ID:WITH/odd..characters"
    with pytest.raises(PullerError, match="another engine"):
        PullRecord("ID_WITH_odd..characters").read()


def test_a_record_under_the_wrong_name_is_read_and_renamed(memory: PullRecord) -> None:
    """Some versions wrote another schema: nobody's record is lost, and the next change puts it right."""
    memory.update(lambda _: [KNOWN])
    document = json.loads(memory.path.read_text())
    assert document["schema"] == "puller.brought/1"
    memory.path.write_text(json.dumps(document | {"schema": "puller.prune.brought/1"}))
    assert memory.read() == (KNOWN,)
    memory.update(lambda known: (entry._replace(wanted=NOW) for entry in known))
    assert json.loads(memory.path.read_text())["schema"] == "puller.brought/1"


def test_shared_layers_are_free_with_their_last_image() -> None:
    """A layer of an image that stays is never counted, nor twice one that two images share."""
    sizes = {ONE: (10, 0, 5), TWO: (10, 7), "stays": ()}
    contents = {
        ONE: ImageContents(ONE, ("base", "a"), size=15),
        TWO: ImageContents(TWO, ("base", "b"), size=17),
    }
    going = [LocalImage(ONE, size=15), LocalImage(TWO)]
    assert freed_bytes(going, contents, lambda identity: sizes[identity], keeps_blobs=False) == {ONE: 5, TWO: 17}
    assert freed_bytes(going, contents, lambda identity: sizes[identity], keeps_blobs=True) == {ONE: 5, TWO: 34}
    stays = contents | {"stays": ImageContents("stays", ("base",), size=10)}
    assert freed_bytes(going, stays, lambda identity: sizes[identity], keeps_blobs=False) == {ONE: 5, TWO: 7}
    assert freed_bytes(going, contents, lambda _: (1, 2, 3), keeps_blobs=False) == {ONE: 15, TWO: 17}


@pytest.mark.parametrize(
    ("text", "size"), [("20GB", 20 * 10**9), ("512MiB", 512 << 20), ("1.5 k", 1500), ("4096", 4096), ("1tb", 10**12)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    """As people write them."""
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "20 GB free", "1PB", "1e9"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """With an example of one."""
    with pytest.raises(ValueError, match="20GB"):
        parse_bytes(text)


@as_root
@pytest.mark.parametrize("mode", [0o644, 0o666])
def test_a_record_is_believed_only_if_it_is_ours(theirs: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    """One that another user wrote, or could have written, would let `prune` remove what puller did not bring."""
    monkeypatch.setenv("XDG_STATE_HOME", str(theirs.parent))
    (theirs.parent / "puller").mkdir()
    record = PullRecord("engine")
    if mode == 0o644:
        theirs.rename(record.path.parent)
        document = json.dumps({"schema": "puller.brought/1", "engine": "engine", "images": [KNOWN._asdict()]})
        attack(f"echo '{document}' > engine.json", record.path.parent)
    else:
        record.update(lambda _: [KNOWN])
        record.path.chmod(mode)
    with pytest.raises(PullerError, match=r"cannot read .*(belongs to another user|other users may write)"):
        record.read()
    with pytest.raises(PullerError):
        record.update(lambda known: known)
