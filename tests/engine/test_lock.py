"""Locks from a real registry: what is written, what is kept, what has moved; no engine has a part in it."""

import shlex
import subprocess
from pathlib import Path

import pytest

from puller.image.reference import ImageReference
from tests.engine.conftest import Puller
from tests.lab import HOST_PLATFORM, OCI, Proxy, Registry, Rule, family, faults, layer, push_image, push_index

MANIFEST = r"/manifests/"


@pytest.fixture
def puller(tmp_path: Path) -> Puller:
    """Run puller where no engine can be reached."""
    return Puller("unix:///nonexistent/docker.sock", tmp_path)


@pytest.fixture
def lock(puller: Puller) -> Path:
    """Name a lock that is not there yet."""
    return puller.folder / "images.lock"


def rows(text: str) -> list[str]:
    """Give a lock's lines without its header."""
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_every_tag_of_two_lists_is_pinned(registry: Registry, puller: Puller) -> None:
    """Sorted, once each, to stdout; the header says from what, and every line is a reference."""
    pushed = family(registry, 3, prefix="lock/two")
    first = puller.list(pushed[2].reference, pushed[0].reference, name="first.txt")
    second = puller.list(pushed[1].reference, pushed[0].reference, name="second.txt")
    run = puller.run("lock", first, second)
    assert (run.code, run.stderr) == (0, "")
    assert rows(run.stdout) == [f"{image.reference}@{image.digest}" for image in pushed]
    assert {f"# from {first}, {second}", f"# puller lock {first} {second}"} < {*run.stdout.splitlines()}
    assert [ImageReference.parse(row).digest for row in rows(run.stdout)] == [image.digest for image in pushed]
    listed = puller.run("list", puller.list(*run.stdout.splitlines(), name="again.lock"))
    assert listed.stdout.splitlines() == rows(run.stdout)


def test_tags_that_move(registry: Registry, puller: Puller, lock: Path) -> None:
    """A lock stays as it is; a check names what moved; an upgrade of one moves one, and of all all."""
    names = [f"lock/moving{number}" for number in range(3)]
    old = [push_image(registry, name, layers=[layer(f"{name} old")]) for name in names]
    images = puller.list(*(image.reference for image in old))
    made = puller.run("lock", images, "-o", str(lock))
    assert (made.code, made.stdout) == (0, "")
    assert rows(lock.read_text()) == [f"{image.reference}@{image.digest}" for image in old]
    check = puller.run("lock", images, "-o", str(lock), "--check")
    assert (check.stdout, check.stderr) == ("", f"puller: {lock}: 3 images locked, up to date\n")

    new = [push_image(registry, name, layers=[layer(f"{name} new")]) for name in names]
    moved = [
        f"moved: {before.reference} {before.digest} → {after.digest}" for before, after in zip(old, new, strict=True)
    ]
    before = lock.read_bytes()
    for lists in ([images, "-o", str(lock)], [str(lock)]):
        check = puller.run("lock", *lists, "--check")
        assert (check.code, check.stdout.splitlines()) == (1, moved)
        assert check.stderr.endswith("3 images locked, 3 differences from the lists and registries\n")
    again = puller.run("lock", images, "-o", str(lock))
    assert (again.code, lock.read_bytes()) == (0, before)

    one = puller.run("lock", images, "-o", str(lock), "--upgrade", old[1].reference)
    assert (one.code, one.stderr.splitlines()[:-1]) == (0, [moved[1]])
    assert [row.rpartition("@")[2] for row in rows(lock.read_text())] == [old[0].digest, new[1].digest, old[2].digest]
    everything = puller.run("lock", images, "-o", str(lock), "--upgrade")
    assert (everything.code, everything.stderr.splitlines()[:-1]) == (0, [moved[0], moved[2]])
    assert rows(lock.read_text()) == [f"{image.reference}@{image.digest}" for image in new]


def test_the_command_in_a_lock_renews_it(registry: Registry, puller: Puller) -> None:
    """As it is written, and so does the lock as its own list, which keeps these comments."""
    old = push_image(registry, "lock/own", layers=[layer("own old")])
    (puller.folder / "my list.txt").write_text(f"{old.reference}\n")
    lock = puller.folder / "own.lock"
    assert puller.run("lock", "my list.txt", "--platform", str(HOST_PLATFORM), "-o", "own.lock").code == 0
    comments = lock.read_text().splitlines()[1:4]
    command = f"puller lock 'my list.txt' --platform={HOST_PLATFORM} -o own.lock --upgrade"
    assert (comments[0], comments[2]) == ("# from my list.txt", f"# {command}")

    for number, words in enumerate((shlex.split(command)[1:], ["lock", "own.lock", "-o", "own.lock", "--upgrade"])):
        new = push_image(registry, "lock/own", layers=[layer(f"own new {number}")])
        run = puller.run(*words)
        assert (run.code, "moved: " in run.stderr) == (0, True)
        assert rows(lock.read_text()) == [f"--platform={HOST_PLATFORM} {new.reference}@{new.digest}"]
        assert lock.read_text().splitlines()[1:4] == comments
    before = lock.read_bytes()
    run = puller.run("lock", "own.lock", "--upgrade")
    assert (run.code, run.stdout, lock.read_bytes()) == (2, "", before)
    assert "`puller lock own.lock -o own.lock --upgrade`" in run.stderr


def test_what_is_locked_is_not_asked_for(registry: Registry, proxy: Proxy, puller: Puller, lock: Path) -> None:
    """A new image costs one HEAD, and one that nobody wants any more goes; nothing is ever fetched."""
    pushed = [image.at(proxy.address) for image in family(registry, 3, prefix="lock/kept")]
    assert puller.run("lock", puller.list(*pushed[:2]), "-o", str(lock)).code == 0
    assert (proxy.count("HEAD", MANIFEST), proxy.count("GET", MANIFEST)) == (2, 0)
    proxy.forget()
    run = puller.run("lock", puller.list(*pushed[1:]), "-o", str(lock))
    assert [request.path for request in proxy.log] == ["/v2/lock/kept2/manifests/v1"]
    assert [line.split()[0] for line in run.stderr.splitlines()[:-1]] == ["added:", "dropped:"]
    assert [row.partition("@")[0] for row in rows(lock.read_text())] == pushed[1:]
    proxy.forget()
    check = puller.run("lock", puller.list(*pushed[:2]), "-o", str(lock), "--check")
    assert (check.code, check.stdout.splitlines()) == (1, [f"missing: {pushed[0]}", f"extra: {pushed[2]}"])


def test_platforms_are_kept_with_the_digest_of_the_index(registry: Registry, puller: Puller, lock: Path) -> None:
    """Of the line and of the run; a platform that the index lacks is a failure of its own kind."""
    index = push_index(
        registry, "lock/index", "v1", {HOST_PLATFORM: [layer("here")], "linux/s390x": [layer("there")]}, kind=OCI
    )
    images = puller.list(index.reference, f"--platform=linux/s390x {index.reference}")
    assert puller.run("lock", images, "-o", str(lock)).code == 0
    pinned = f"{index.reference}@{index.digest}"
    assert rows(lock.read_text()) == [f"--platform=linux/s390x {pinned}", pinned]
    assert puller.run("lock", images, "-o", str(lock), "--check").code == 0
    whole = puller.run("lock", "--image", index.reference, "--platform", "linux/s390x")
    assert rows(whole.stdout) == [f"--platform=linux/s390x {pinned}"]
    lacking = puller.run("lock", "--image", index.reference, "--platform", "linux/riscv64")
    assert (lacking.code, lacking.stdout) == (1, "")
    assert "(no_matching_platform)" in lacking.stderr


def test_what_cannot_be_resolved_leaves_the_lock_alone(registry: Registry, puller: Puller, lock: Path) -> None:
    """A missing tag, a missing repository and a dead registry: a line with the kind for each, and nothing written."""
    good = push_image(registry, "lock/good")
    lock.write_text(f"{good.reference}@{good.digest}\n")
    before = lock.read_bytes()
    kinds = {
        f"{registry.address}/lock/good:none": "image or tag not found (not_found)",
        f"{registry.address}/lock/nowhere:v1": "image or tag not found (not_found)",
        "127.0.0.1:1/lock/app:v1": "connection refused (connection_refused)",
    }
    run = puller.run("lock", puller.list(good.reference, *kinds), "-o", str(lock))
    assert (run.code, run.stdout, lock.read_bytes()) == (1, "", before)
    lines = run.stderr.splitlines()
    assert [line.split(": ")[1:3] for line in lines[:3]] == [[*pair] for pair in kinds.items()]
    assert len(lines) == len({*lines}) == 6
    assert lines[2] == "puller: 127.0.0.1:1/lock/app:v1: connection refused (connection_refused): Connection refused"
    assert [path.name for path in lock.parent.iterdir() if "puller" in path.name] == []
    new = lock.with_name("new.lock")
    dead = puller.run("lock", "--image", "127.0.0.1:1/lock/app:v1", "-o", str(new))
    assert (dead.code, new.exists()) == (75, False)


def test_a_check_that_cannot_ask_says_so(registry: Registry, proxy: Proxy, puller: Puller, lock: Path) -> None:
    """75 when that is all there is to say, 1 beside a difference."""
    pushed = [image.at(proxy.address) for image in family(registry, 2, prefix="lock/asked")]
    images = puller.list(*pushed)
    assert puller.run("lock", images, "-o", str(lock)).code == 0
    proxy.use(Rule("asked0", faults.answer(503)))
    run = puller.run("lock", images, "-o", str(lock), "--check")
    assert run.code == 75
    assert run.stdout == f"unknown: {pushed[0]}: registry error (registry_5xx): status 503\n"
    assert [line for line in run.stderr.splitlines() if "status page" in line]
    push_image(registry, "lock/asked1", layers=[layer("another")])
    assert puller.run("lock", images, "-o", str(lock), "--check").code == 1


def test_a_hundred_tags(registry: Registry, proxy: Proxy, puller: Puller) -> None:
    """Eight questions at a time, one for each tag."""
    shared = [layer("a hundred")]
    pushed = [push_image(registry, "lock/many", f"v{number:03}", shared) for number in range(100)]
    proxy.use(Rule(MANIFEST, faults.delay(0.05), times=24))
    run = puller.run("lock", puller.list(*(image.at(proxy.address) for image in pushed)))
    assert run.code == 0, run.stderr
    assert rows(run.stdout) == [f"{image.at(proxy.address)}@{image.digest}" for image in pushed]
    assert proxy.count("HEAD", MANIFEST) == len(proxy.log) == 100
    assert proxy.max_in_flight(MANIFEST) == 8


def test_a_list_is_not_overwritten(registry: Registry, puller: Puller) -> None:
    """Neither one that was named nor one that is no lock."""
    pushed = push_image(registry, "lock/safe")
    images, other = puller.list(pushed.reference), puller.list("nginx:1", name="other.txt")
    for output, words in ((images, "is one of the lists"), (other, "is not a lock file")):
        before = Path(output).read_bytes()
        run = puller.run("lock", images, "-o", output)
        assert (run.code, words in run.stderr, Path(output).read_bytes()) == (2, True, before)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--upgrade", "images.txt"], "write it at the end"),
        (["images.txt", "--upgrade", "redis:7"], "it is in no list"),
        (["images.txt", "--upgrade", "NO"], "--upgrade NO: "),
        (["images.txt", "--upgrade", "--check"], "leave out --upgrade"),
        (["images.txt", "-o", "nowhere/images.lock"], "there is no directory"),
        (["--image", "a:1@sha256:" + "a" * 64, "--image", "a:1@sha256:" + "b" * 64], "a:1 is pinned twice"),
    ],
)
def test_what_cannot_be_meant(puller: Puller, arguments: list[str], words: str) -> None:
    """Exit code 2 and a line that says what is wrong, before anybody is asked."""
    images = puller.list("127.0.0.1:1/a:v1")
    run = puller.run("lock", *(images if argument == "images.txt" else argument for argument in arguments))
    assert (run.code, run.stdout) == (2, "")
    assert words in run.stderr


def test_a_reader_who_has_seen_enough_is_no_error(registry: Registry, puller: Puller) -> None:
    """`puller lock … | head -0` ends quietly."""
    pushed = push_image(registry, "lock/pipe")
    argv = puller.argv("lock", "--image", pushed.reference)
    with subprocess.Popen(argv, env=puller.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
