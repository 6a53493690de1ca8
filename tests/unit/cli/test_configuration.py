"""Options from files: what wins over what, what a mistake looks like, and what `puller config` says of it all."""

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from pytest_mock import MockerFixture

from puller.cli.configuration import options_of
from puller.cli.main import puller
from puller.cli.pull_options import settings_of
from puller.errors import UsageError
from puller.settings import NO_FAILURE, FailureLimit, MirrorUse, RegistrySettings
from puller.system import paths as places
from tests.lab.program import Program

PULL = options_of(puller.get_command(click.Context(puller), "pull") or click.Command(None))


class Files:
    """The places where configuration is looked for, in a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.system = folder / "etc" / "puller.toml"
        self.user = folder / "home" / "puller" / "puller.toml"
        for path in (self.system, self.user):
            path.parent.mkdir(parents=True)

    def write(self, text: str, name: str = "job.toml") -> str:
        """Write a file to be named; return its path."""
        path = self.folder / name
        path.write_text(text)
        return str(path)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Files:
    """Look for configuration here, and nowhere else."""
    made = Files(tmp_path)
    monkeypatch.setattr(places, "SYSTEM_CONFIG", made.system)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    return made


def run(*arguments: str) -> Any:
    """Run the program in this process; UsageError is what becomes exit code 2."""
    return puller.main([*arguments], prog_name="puller", standalone_mode=False)


class Asked:
    """What `puller config` says."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def all(self, *arguments: str) -> dict[str, Any]:
        """Give the whole document."""
        run("config", "--format", "json", *arguments)
        document: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        assert document["schema"] == "puller.config/1"
        return document

    def one(self, option: str, *arguments: str) -> tuple[Any, str, str | None]:
        """Give an option's value, the kind of its source, and the source."""
        row = self.all(*arguments)["options"][option]
        return row["value"], row["source"], row["from"]


@pytest.fixture
def asked(capsys: pytest.CaptureFixture[str], files: Files) -> Asked:
    """Ask `puller config`."""
    return Asked(capsys)


def problems(*arguments: str) -> list[str]:
    """Give the lines with which the program refuses to start."""
    with pytest.raises(UsageError) as caught:
        run(*arguments)
    return str(caught.value).splitlines()


# What wins.


def test_flag_variable_user_system_default(files: Files, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each place wins over the next, and `puller config` names the one that counts."""
    assert asked.one("jobs") == (3, "default", None)
    files.system.write_text("jobs = 4\nretries = 9\n")
    assert asked.one("jobs") == (4, "file", f"{files.system}:1")
    files.user.write_text("\njobs = 5\n")
    assert asked.one("jobs") == (5, "file", f"{files.user}:2")
    assert asked.one("retries") == (9, "file", f"{files.system}:2")
    monkeypatch.setenv("PULLER_JOBS", "6")
    assert asked.one("jobs") == (6, "environment", "PULLER_JOBS")
    for flag in (["--jobs", "7"], ["-j7"], ["--parallel=7"]):
        assert asked.one("jobs", *flag) == (7, "flag", "--jobs")
    assert [(each["path"], each["found"]) for each in asked.all()["files"]] == [
        (str(files.system), True),
        (str(files.user), True),
    ]


def test_a_named_file_stands_alone(files: Files, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before or behind the verb, or by PULLER_CONFIG; several are layered, and the flag wins over the variable."""
    files.system.write_text("jobs = 4\nretries = 9\n")
    job, other = files.write("jobs = 5\n"), files.write("jobs = 6\nbreaker = 2\n", "other.toml")
    assert asked.one("jobs", "-c", job)[0] == 5
    assert asked.one("retries", "--config", job) == (3, "default", None)
    assert (asked.one("jobs", "-c", job, "-c", other)[0], asked.one("breaker", "-c", other, "-c", job)[0]) == (6, 2)
    assert asked.one("jobs", "-c", "/dev/null") == (3, "default", None)
    monkeypatch.setenv("PULLER_CONFIG", f"{job}:{other}")
    assert asked.one("jobs") == (6, "file", f"{other}:1")
    assert asked.one("jobs", "-c", job)[0] == 5
    assert [each["path"] for each in asked.all("-c", other)["files"]] == [other]
    run("-c", job, "config", "--format", "json")


def test_a_file_that_can_be_read_once(asked: Asked) -> None:
    """`-c <(make-config)` is as good as any."""
    end, other = os.pipe()
    os.write(other, b"jobs = 5\n")
    os.close(other)
    assert asked.one("jobs", "-c", f"/dev/fd/{end}")[0] == 5
    os.close(end)


def test_a_verbs_table_and_a_later_file(files: Files, asked: Asked) -> None:
    """In one file [pull] wins over the top level; a later file wins wherever it says it; other verbs' tables do not."""
    files.system.write_text("[pull]\njobs = 8\nretries = 8\n[lock]\nplatform = 'linux/s390x'\n")
    files.user.write_text("jobs = 5\nbreaker = 7\n[pull]\nbreaker = 9\n")
    assert [asked.one(name)[0] for name in ("jobs", "retries", "breaker", "platform")] == [5, 8, 9, None]


def sample(option: click.Option) -> Any:
    """Make a value that is not the option's default, as TOML has it."""
    if isinstance(option.type, click.Choice):
        text: Any = [each for each in option.type.choices if each != option.default][-1]
    elif option.name == "reports":
        text = "text=/dev/null"
    elif option.name == "mirrors":
        text = "docker.io=mirror.example/x"
    elif option.name == "platform":
        text = "linux/s390x"
    elif option.name == "to":
        text = "oci:images"
    elif option.name in {"bandwidth", "cache_size"}:
        return 17_000_000
    else:
        text = "17"
    if option.is_flag:
        return True
    if option.count or isinstance(option.type, click.types.IntParamType):
        return 17
    return [text] if option.multiple else text


@pytest.mark.parametrize("name", PULL)
@pytest.mark.parametrize("dashes", ["-", "_"])
def test_every_option_of_pull_can_stand_in_a_file(files: Files, asked: Asked, name: str, dashes: str) -> None:
    """By each of its long names, with either dash; the value is in force."""
    option = PULL[name]
    files.user.write_text(f"[pull]\n{name.replace('-', dashes)} = {json.dumps(sample(option))}\n")
    (shown,) = [row for row in asked.all()["options"].values() if row["source"] == "file"]
    assert (shown["value"], shown["from"]) == (sample(option), f"{files.user}:2")


def test_numbers_for_durations_and_limits(files: Files, asked: Asked) -> None:
    """Seconds, and images."""
    files.user.write_text("timeout = 90\nstall-timeout = 1.5\nmax-fail = 4\n")
    assert [asked.one(name)[0] for name in ("timeout", "stall-timeout", "max-fail")] == ["90", "1.5", "4"]


def test_fail_fast_in_a_file_is_weaker_than_a_typed_limit(files: Files) -> None:
    """Although --fail-fast, typed beside --max-fail, is the stronger of the two."""
    files.user.write_text("fail-fast = true\n")
    root = click.Context(puller, info_name="puller")
    verb = puller.get_command(root, "pull")
    assert verb is not None
    limits = []
    for arguments in ([], ["--max-fail", "5"], ["--max-fail", "5", "--fail-fast"]):
        with verb.make_context("pull", arguments, parent=root) as ctx:
            limits.append(settings_of(ctx.params).max_fail)
    assert limits == [NO_FAILURE, FailureLimit(5), NO_FAILURE]


def test_completion_is_not_disturbed(files: Files) -> None:
    """Tab works while a file is broken."""
    files.user.write_text("jbos = 1\n")
    root = click.Context(puller, info_name="puller", resilient_parsing=True)
    verb = puller.get_command(root, "pull")
    assert verb is not None
    assert verb.make_context("pull", [], parent=root, resilient_parsing=True).default_map is None


def test_a_home_that_nobody_knows(asked: Asked, mocker: MockerFixture) -> None:
    """Cron may start a job without any; the file of the system is read then."""
    mocker.patch.object(places, "config_home", side_effect=UsageError("no home directory is known"))
    assert len(asked.all()["files"]) == 1


# Mistakes.


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("jbos = 5", "1: jbos: is not an option of any command; did you mean jobs?"),
        ("\n\nconfig = 'x'", "3: config: is a command: write [config], with its options below"),
        ("help = true", "1: help: is not an option of any command"),
        ("jobs = '5'", "1: jobs: must be an integer"),
        ("jobs = true", "1: jobs: must be an integer"),
        ("jobs = 2.5", "1: jobs: must be an integer"),
        ("jobs = 0", "1: jobs: 0 is not in the range 1<=x<=1000"),
        ("timeout = 'soon'", "1: timeout: 'soon' is not a duration such as 30s, 5m or 1h30m"),
        ("timeout = -1", "1: timeout: '-1' is not a duration such as 30s, 5m or 1h30m"),
        ("timeout = true", "1: timeout: must be text in quotes"),
        ("timeout = 1979-05-27", "1: timeout: must be text in quotes"),
        ("context = 5", "1: context: must be text in quotes"),
        ("quiet = 1", "1: quiet: must be true or false"),
        ("report = 'json=x'", '1: report: must be a list, such as ["…"]'),
        ("report = ['json=x', 'x']", "1: report: 'x' is not KIND=PATH"),
        ("policy = 'newest'", "1: policy: 'newest' is not one of"),
        ("max-wait = 1\nmax_wait = 2", "2: max_wait: is the same option as max-wait"),
        ("jobs = 1\nparallel = 2", "2: parallel: is the same option as jobs"),
        ("detailed-exitcode = 'x'", "1: detailed-exitcode: must be true or false"),
        ("[pul]", "1: pul: unknown command; did you mean pull?"),
        ("[registries.'docker.io']", "1: registries: unknown command; did you mean registry?"),
        ("[pull]\nretry-dely = '1s'", "2: pull.retry-dely: is not an option of pull; did you mean retry-delay?"),
        ("[lock]\njobs = 5", "2: lock.jobs: is not an option of lock"),
        ("[pull.jobs]", "1: pull.jobs: must be an integer"),
        ("[[pull]]", "1: pull: is a command: write [pull], with its options below"),
        ("registry = 3", '1: registry: must be a table for each registry, such as [registry."docker.io"]'),
        ("[registry.docker.io]\nca = 'x'", '1: registry.docker: a name with dots needs quotes: [registry."docker.io"]'),
        ("[registry]\nhub = 1", '2: registry.hub: must be a table: write [registry."docker.io"]'),
        ("[registry.hub]", "1: registry.hub: 'hub' is not a registry such as docker.io"),
        ("[registry.'a.io/x']", "1: registry.\"a.io/x\": 'a.io/x' is not a registry such as"),
        ("[registry.'a.io']\nconcurency = 1", '2: registry."a.io".concurency: unknown key; did you mean concurrency?'),
        ("[registry.'a.io']\nspeed = 1", "unknown key; known are ca, concurrency, insecure, mirror-use, mirrors"),
        ("[registry.'a.io']\nconcurrency = 0", "must be an integer from 1 to 1000"),
        ("[registry.'a.io']\nconcurrency = true", "must be an integer from 1 to 1000"),
        ("[registry.'a.io']\ninsecure = 'yes'", "must be true or false"),
        ("[registry.'docker.io']\ninsecure = true", "not allowed for Docker Hub"),
        ("[registry.'a.io']\nmirrors = 'b.io'", "must be a list of text"),
        ("[registry.'a.io']\nmirrors = ['https://b.io']", "'https://b.io' is not a mirror such as mirror.example:5000"),
        ("[registry.'a.io']\nmirrors = ['b']", "'b' is not a mirror such as mirror.example:5000"),
        ("[registry.'a.io']\nmirrors = ['b.io/Up']", "'b.io/Up' is not a mirror"),
        ("[registry.'a.io']\nmirror-use = 'last'", "must be one of 'first', 'fallback'"),
        ("[registry.'a.io']\nmirror-use = []", "must be one of 'first', 'fallback'"),
        ("[registry.'a.io']\nca = 'nowhere.pem'", " not found"),
        ("[registry.'a.io']\nca = 1", "must be the path of a file"),
        ("[registry.'A.io']\n[registry.'a.io']", "2: registry.\"a.io\": is the same registry as 'A.io'"),
        ("jobs = 5\nretries = \n", "2: is not TOML: "),
        ("jobs = 5\njobs = 6", "2: is not TOML: "),
        ("x = " + "[" * 5000, ": is "),
    ],
)
def test_a_mistake_is_one_line(files: Files, text: str, words: str) -> None:
    """With the file, the line, the key, what is wrong, and what may have been meant."""
    job = files.write(f"{text}\n")
    (line,) = problems("pull", "images.txt", "-c", job)
    assert line.startswith(f"{job}:")
    assert words in line.removeprefix(job)


def test_all_mistakes_at_once(files: Files) -> None:
    """Of all files, of every verb, whichever verb runs."""
    files.system.write_text("jbos = 1\n[lock]\nchekc = true\n")
    files.user.write_text("[pull]\njobs = 0\n[registry.'a.io']\nca = 3\n")
    expected = [f"{files.system}:1: jbos", f"{files.system}:3: lock.chekc", f"{files.user}:2: pull.jobs"]
    expected.append(f'{files.user}:4: registry."a.io".ca')
    for verb in (["pull", "x"], ["list", "x"], ["explain", "x"], ["config"]):
        assert [line[: len(words)] for line, words in zip(problems(*verb), expected, strict=True)] == expected


def test_files_that_cannot_be_read(files: Files) -> None:
    """A directory, bytes, far too much, and a file that was named and is not there."""
    (files.folder / "raw.toml").write_bytes(b"jobs = '\xff'")
    (files.folder / "large.toml").write_text("#" * (1 << 21))
    named = {
        str(files.folder): "cannot be read: is a directory",
        str(files.folder / "raw.toml"): "is not UTF-8 text",
        str(files.folder / "large.toml"): "is larger than 1048576 bytes: not a configuration file",
        str(files.folder / "none.toml"): "file not found",
    }
    arguments = [word for path in named for word in ("-c", path)]
    assert problems("list", "x", *arguments) == [f"{path}: {words}" for path, words in named.items()]


def test_a_byte_order_mark_is_no_mistake(files: Files, asked: Asked) -> None:
    """Nor are CRLF line ends."""
    files.user.write_bytes(b"\xef\xbb\xbf[pull]\r\njobs = 5\r\n")
    assert asked.one("jobs") == (5, "file", f"{files.user}:2")


def test_lines_are_counted_through_all_of_toml(files: Files, asked: Asked) -> None:
    """Values over several lines, text that looks like keys, dotted and quoted keys, inline tables."""
    text = [
        "# jobs = 1",
        'docker-command = """',
        "jobs = 2",
        '"""  # jobs = 3',
        "profile = [  # two",
        "  'a',",
        "",
        "  'b',",
        "]",
        "pull.jobs = 5",
        "registry.'a.io' = { concurrency = 2 }",
        '[ "pull" ] # table',
    ]
    files.user.write_text("\n".join([*text[:11], ""]))
    said = asked.all()
    lines = {name: said["options"][name]["from"].rpartition(":")[2] for name in ("docker-command", "profile", "jobs")}
    assert lines == {"docker-command": "2", "profile": "5", "jobs": "10"}
    assert said["registries"]["a.io"]["concurrency"]["from"] == f"{files.user}:11"
    files.user.write_text("\n".join([*text[:9], text[11], '"jobs" = 7']))
    assert asked.one("jobs") == (7, "file", f"{files.user}:11")


# Registries.


def test_tables_of_registries_add_up(files: Files, asked: Asked) -> None:
    """Key by key over both files, under the canonical name; a path is relative to its file."""
    (files.system.parent / "ca.pem").write_text("")
    files.system.write_text(
        "[registry.'Index.Docker.IO']\nconcurrency = 4\nmirror-use = 'fallback'\n"
        "[registry.'Lab.Example:5000']\ninsecure = true\nca = 'ca.pem'\n"
    )
    files.user.write_text("[registry.'docker.io']\nconcurrency = 2\nmirrors = ['m.example:5000/hub', 'localhost']\n")
    said = asked.all()["registries"]
    assert {name: row["value"] for name, row in said["docker.io"].items()} == {
        "concurrency": 2,
        "mirrors": ["m.example:5000/hub", "localhost"],
        "mirror-use": "fallback",
        "insecure": False,
        "ca": None,
    }
    assert said["docker.io"]["mirror-use"]["from"] == f"{files.system}:3"
    root = click.Context(puller, info_name="puller")
    verb = puller.get_command(root, "pull")
    assert verb is not None
    with verb.make_context("pull", [], parent=root) as ctx:
        assert settings_of(ctx.params).registries == {
            "docker.io": RegistrySettings(2, ("m.example:5000/hub", "localhost"), MirrorUse.FALLBACK),
            "lab.example:5000": RegistrySettings(insecure=True, ca=str(files.system.parent / "ca.pem")),
        }


def test_mirrors_as_options_count_instead_of_tables(files: Files) -> None:
    """Those of the same registry; --mirror-use counts for all where it is typed, else for who has none of his own."""
    files.user.write_text(
        "[pull]\nmirror-use = 'fallback'\n[registry.'a.io']\nmirrors = ['b.io']\nconcurrency = 2\n"
        "[registry.'c.io']\nmirrors = ['d.io']\nmirror-use = 'first'\n"
    )
    root = click.Context(puller, info_name="puller")
    verb = puller.get_command(root, "pull")
    assert verb is not None
    first, fallback = MirrorUse.FIRST, MirrorUse.FALLBACK
    for arguments, mirrors, uses in (
        ([], {"a.io": ("b.io",), "c.io": ("d.io",)}, (fallback, first)),
        (["--mirror", "a.io=x.io", "--mirror-use", "first"], {"a.io": ("x.io",), "c.io": ("d.io",)}, (first, first)),
        (
            ["--mirror", "e.io=x.io"],
            {"a.io": ("b.io",), "c.io": ("d.io",), "e.io": ("x.io",)},
            (fallback, first, fallback),
        ),
    ):
        with verb.make_context("pull", arguments, parent=root) as ctx:
            registries = settings_of(ctx.params).registries
        assert {name: each.mirrors for name, each in registries.items()} == mirrors
        assert tuple(each.mirror_use for each in registries.values()) == uses
        assert registries["a.io"].concurrency == 2


# What is shown.


def test_what_is_shown_is_a_configuration(files: Files, asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    """`puller config > file` makes a file that says the same."""
    files.user.write_text(
        "timeout = '90s'\nreport = ['text=/dev/null']\nquiet = true\ncontext = 'a\"b\\\\c'\n"
        "[registry.'a.io:5000']\nmirrors = ['b.io']\nmirror_use = 'fallback'\n"
    )
    run("config", "--max-fail", "10%")
    text = capsys.readouterr().out
    assert tomllib.loads(text)["pull"]["max-fail"] == "10%"
    assert f"# read: {files.user}" in text
    assert f"# not found: {files.system}" in text
    before, after = asked.all("--max-fail", "10%"), asked.all("-c", files.write(text, "shown.toml"))
    for part in ("options", "registries"):
        for document in (before, after):
            tables = document[part].values() if part == "registries" else [document[part]]
            document[part] = [{name: row["value"] for name, row in table.items()} for table in tables]
    assert (after["options"], after["registries"]) == (before["options"], before["registries"])


def test_no_password_is_shown(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither in what is in force, nor in what is wrong."""
    files.user.write_text("context = 'tcp://me:s3cret@host'\n")
    for form in ("text", "json"):
        run("config", "--format", form)
        shown = capsys.readouterr().out
        assert "tcp://***@host" in shown
        assert "s3cret" not in shown
    files.user.write_text("[registry.'a.io']\nmirrors = ['https://me:s3cret@b.io']\n")
    assert "s3cret" not in "".join(problems("config"))


def test_a_word_that_is_no_option_is_refused(files: Files) -> None:
    """`puller config get jobs` would otherwise print everything."""
    for words in (("get", "jobs"), ("--jobs", "5", "images.txt")):
        with pytest.raises(click.UsageError, match=r"unexpected argument '(get|images.txt)': only options are taken"):
            run("config", *words)


def test_sizes_are_shown_as_they_are_written(files: Files, asked: Asked) -> None:
    """As in the help, or as in the file."""
    assert asked.one("cache-size")[0] is None
    files.user.write_text("cache-size = '512MiB'\nbandwidth = 1000\n")
    assert [asked.one(name)[0] for name in ("cache-size", "bandwidth")] == ["512MiB", 1000]


def test_flags_of_pull_are_checked(files: Files) -> None:
    """A wrong one is a usage error, as it would be for `puller pull`."""
    with pytest.raises(click.UsageError, match="'soon' is not a duration"):
        run("config", "--timeout", "soon")
    with pytest.raises(click.UsageError, match="--tiemout"):
        run("config", "--tiemout", "5m")


# The program itself.


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Run the program without any engine."""
    return Program(tmp_path, {"DOCKER_HOST": "unix:///nonexistent/docker.sock"})


def test_a_file_changes_what_the_program_does(program: Program) -> None:
    """The user's file for `puller list`; a variable and a flag win over it."""
    file = program.folder / "config-home" / "puller" / "puller.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[list]\nformat = 'json'\nplatform = 'linux/s390x'\n")
    images = program.list("nginx:1")
    assert program.run("list", images).report["images"][0]["platform"] == "linux/s390x"
    variable = program.run("list", images, "--format", "text", environment={"PULLER_PLATFORM": "linux/arm64"})
    assert variable.stdout == "--platform=linux/arm64 docker.io/library/nginx:1\n"


def test_a_mistake_ends_the_program(program: Program) -> None:
    """With exit code 2 and nothing on standard output."""
    (program.folder / "job.toml").write_text("jbos = 5\n[pull]\nquiet = 1\n")
    bad = program.run("pull", "--image", "nginx", "-c", "job.toml")
    assert (bad.code, bad.stdout, len(bad.stderr.splitlines())) == (2, "", 2)
    assert bad.stderr.startswith("puller: job.toml:1: jbos: ")
