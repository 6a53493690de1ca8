"""`verify`, `plan` and `prune` on hosts: which options name hosts, and what one host's trouble means for the others."""

import json
from pathlib import Path

import pytest

from puller.prune.pull_record import PulledName, PullRecord
from tests.lab import DOCKER, Proxy, Registry, Rule, faults
from tests.lab.fakes import EngineAnswer, FakeEngine, Script
from tests.lab.program import Program
from tests.lab.samples import DIGEST
from tests.unit.fleet.test_lock import held


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Run puller in an empty folder."""
    return Program(tmp_path, {"HOME": str(tmp_path), "DOCKER_HOST": "unix:///no/engine/here"})


def answering(document: object) -> Script:
    """Let an engine answer with a document."""

    def answer(answer: EngineAnswer) -> None:
        answer.answer(json.dumps(document).encode(), Content_Type="application/json")

    return answer


INFO = {"ServerVersion": "28.5.2", "OSType": "linux", "Architecture": "x86_64", "ID": "one"}
EMPTY = {
    "/info": answering(INFO),
    "/images/json": answering([]),
    "/containers/json": answering([]),
}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("verify", "nginx:1", "--context", "x"), "the hosts name the engines: leave out --context"),
        (("plan", "nginx:1", "--backend", "cli"), "the hosts name the engines: leave out --backend"),
        (("prune", "--image", "nginx:1"), "not a terminal: confirm with --yes, or preview with --dry-run"),
    ],
)
def test_what_makes_no_sense_for_hosts_is_refused(program: Program, arguments: tuple[str, ...], words: str) -> None:
    """In one line, and no host is asked."""
    run = program.run(*arguments, "--host", "unix:///nowhere")
    assert (run.code, run.stdout) == (2, "")
    assert words in run.stderr.splitlines()[0]


def test_variables_and_files_name_no_hosts(program: Program) -> None:
    """They are for `puller fleet`: the command is for this host's engine, which does not exist here."""
    config = program.folder / "puller.toml"
    config.write_text('hosts = ["all.txt"]\n')
    more = {"PULLER_HOSTS": "other.txt", "PULLER_HOST": "ssh://x", "PULLER_CONFIG": str(config)}
    program.environment |= more
    for command in (("verify", "nginx:1"), ("plan", "nginx:1"), ("prune", "--image", "nginx:1", "--yes")):
        run = program.run(*command)
        assert (run.code, "/no/engine/here" in run.stderr) == (69, True), run.stderr


def test_the_code_is_that_of_the_worst_host_that_was_reached(program: Program, tmp_path: Path) -> None:
    """A host that is away is 3 only if nothing else is wrong; a host that another run uses may be tried again."""
    with FakeEngine(tmp_path, EMPTY) as engine:
        verify = ("verify", "nginx:1", "--offline", "--host", engine.host, "--host", "unix:///nowhere")
        run = program.run(*verify)
        assert (run.code, run.stdout.splitlines()[-1]) == (1, "2 hosts: 0 ok, 1 with problems, 1 unreachable")
        prune = ("prune", "--image", "nginx:1", "--yes", "--host", engine.host, "--host", "unix:///nowhere")
        run = program.run(*prune)
        assert (run.code, run.stdout.splitlines()[-1]) == (3, "2 hosts: 1 ok, 1 unreachable"), run.stdout
        with held(engine.host):
            run = program.run(*prune)
        assert (run.code, run.stdout.splitlines()[-1]) == (75, "2 hosts: 0 ok, 1 failed, 1 unreachable")
        assert "another run uses the engine of" in run.stdout


def test_prune_until_enough_is_free_needs_the_free_space_of_the_host(program: Program, tmp_path: Path) -> None:
    """Where nothing tells it nothing is removed; what is missing at the end is told."""
    for name in "ab":
        (tmp_path / name).mkdir()
    told = EMPTY | {"/info": answering(INFO | {"DockerRootDir": str(tmp_path)})}
    with FakeEngine(tmp_path / "a", EMPTY) as silent, FakeEngine(tmp_path / "b", told) as engine:
        hosts = ("--host", f"{silent.host} name=silent", "--host", f"{engine.host} name=engine")
        prune = ("prune", "--image", "nginx:1", "--yes", *hosts, "--until-free")
        run = program.run(*prune, "900TB")
        enough = program.run(*prune, "1kB", "--format", "json")
    why = "nothing is removed, as the free space is unknown: the engine does not report its data root"
    assert f"silent: --until-free: {why}" in run.stdout.splitlines()
    assert " are free, 900.0TB are wanted" in run.stdout
    assert (run.code, run.stdout.splitlines()[-1]) == (1, "2 hosts: 1 ok, 1 with problems")
    first, second = (each["result"]["free_before"] for each in enough.report["hosts"])
    assert (first, second > 1000) == (None, True)


def test_prune_removes_no_more_once_the_free_space_is_unknown(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the host's `df` takes too long beside the removals; the host has a problem then."""
    root, removed, images = tmp_path / "data", list[str](), list[dict[str, object]]()
    root.mkdir()
    program.environment["XDG_STATE_HOME"] = str(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for number in "12":
        name, identity = f"a.io/x:{number}", f"sha256:{number * 64}"
        images.append({"Id": identity, "RepoTags": [name], "RepoDigests": [], "Size": 1000, "Created": 1})
        known = PulledName(name, identity, identity, "2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z", new=True)
        PullRecord("one").update(lambda before, known=known: (*before, known))  # type: ignore[misc]

    def remove(answer: EngineAnswer) -> None:
        if answer.command == "DELETE":
            removed.append(answer.path)
            root.rename(tmp_path / "gone")
            answer.answer(b"[]")
        else:
            identity = answer.path.split("/")[-2]
            answering({"Id": identity, "RootFS": {"Layers": [identity]}} if "/json" in answer.path else [])(answer)

    here = {"/info": answering(INFO | {"DockerRootDir": str(root)}), "/images/json": answering(images)}
    with FakeEngine(tmp_path, EMPTY | here | {"/images/": remove}) as engine:
        run = program.run("prune", "--image", "nginx:1", "--yes", "--host", engine.host, "--until-free", "900TB")
    assert (run.code, len(removed)) == (1, 1), run.stdout + run.stderr
    assert "--until-free: no more is removed, as the free space is unknown: " in run.stdout


def test_what_puller_itself_cannot_do_is_no_unknown_error(program: Program, tmp_path: Path) -> None:
    """As for one engine, the code is 1, and the line is puller's own."""
    nameless = EMPTY | {"/info": answering({"ServerVersion": "28.5.2"})}
    with FakeEngine(tmp_path, nameless) as engine:
        run = program.run("prune", "--image", "nginx:1", "--yes", "--host", f"{engine.host} name=web")
    line = "web: this engine has no ID, so puller has no record of the images that it pulled"
    assert (run.code, line in run.stdout.splitlines()) == (1, True), run.stdout


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("0ac1-77", "for this account; pulls on 2 hosts need 4: not enough"),
        (
            "192.0.2.7",
            "for this machine's address; pulls on 2 hosts need 4, each host's from the quota of its own address",
        ),
    ],
)
def test_a_quota_is_that_of_all_hosts_only_if_they_share_it(program: Program, source: str, words: str) -> None:
    """The plan adds up what the hosts would pull: of one account it is one quota, of several addresses it is not."""
    left = {"RateLimit-Limit": "200;w=21600", "RateLimit-Remaining": "3;w=21600", "Docker-RateLimit-Source": source}
    known = {"Content-Type": DOCKER.manifest, "Docker-Content-Digest": DIGEST}
    folders = [program.folder / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    with (
        Registry() as registry, Proxy(registry, [Rule("/manifests/", faults.answer(200, known | left))]) as proxy,
        FakeEngine(folders[0], EMPTY) as one, FakeEngine(folders[1], EMPTY) as two,
    ):  # fmt: skip
        images = [word for name in "xy" for word in ("--image", f"{proxy.address}/{name}:1")]
        run = program.run("plan", *images, "--host", one.host, "--host", two.host)
        assert run.code == 0, run.stderr
        assert run.stderr == f"puller: quota: {proxy.address} has 3 of 200 pulls left in 6h00m {words}\n"
