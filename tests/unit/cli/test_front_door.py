"""What people type first: images as arguments, lists on standard input, nothing at all, and words that are wrong."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from puller.cli.main import puller
from tests.lab.program import Program

NOTHING = "no images given: pass a list file, - for stdin, or --image REF"


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Have no engine."""
    return Program(tmp_path, {"DOCKER_HOST": f"unix://{tmp_path}/nowhere"})


def fed(program: Program, text: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run with a pipe that holds a text as standard input."""
    return subprocess.run(
        program.argv(*arguments),
        cwd=program.folder,
        env=program.environment,
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_images_are_arguments(program: Program) -> None:
    """What is no file and is a reference is an image; -v says so. A file of that name wins."""
    run = program.run("list", "nginx:1.27", "localhost:5000/a/b")
    assert (run.code, run.stderr) == (0, "")
    assert run.stdout.splitlines() == ["docker.io/library/nginx:1.27", "localhost:5000/a/b:latest"]
    assert program.run("list", "-v", "nginx").stderr == (
        "argument: nginx: taken as an image, as there is no such file\n"
    )
    (program.folder / "nginx").write_text("redis\n")
    assert program.run("list", "nginx", "--sources").stdout == "docker.io/library/redis:latest  # nginx:1\n"
    report = program.run("pull", "redis:7", "--format", "json")
    assert [image["requested"] for image in report.images] == [["redis:7"]]


@pytest.mark.parametrize(
    ("argument", "also"),
    [
        ("images.txt", "for an image of this name: --image images.txt"),
        ("app.yaml", "for an image of this name: --image app.yaml"),
        ("a.yaml:b.yaml", "for an image of this name: --image a.yaml:b.yaml"),
        ("./x", "nor is it an image: invalid reference format"),
        ("k8s/", "nor is it an image: invalid reference format"),
        ("nginx:1.27,redis:7", "nor is it an image: invalid reference format; separate images by spaces, not commas"),
        ("Dockerfile", "nor is it an image: invalid reference format: repository name (library/Dockerfile) must be"),
    ],
)
def test_a_file_that_is_missing_is_no_image(program: Program, argument: str, also: str) -> None:
    """The error names both readings."""
    run = program.run("list", argument)
    assert (run.code, run.stdout) == (2, "")
    assert run.stderr.startswith(f"puller: {argument}: cannot be read: No such file or directory; {also}")


@pytest.mark.parametrize("kind", ["oci", "archive"])
def test_files_of_images_are_no_image(program: Program, kind: str) -> None:
    """What `--to` wrote is loaded, not pulled; where there is no such file, the argument is an image."""
    (program.folder / "my images").mkdir()
    run = program.run("pull", f"{kind}:my images")
    assert (run.code, run.stdout) == (2, "")
    assert run.stderr == f"puller: {kind}:my images is no image; did you mean `puller load 'my images'`?\n"
    assert program.run("list", f"{kind}:other").stdout == f"docker.io/library/{kind}:other\n"


def test_a_profile_without_a_compose_file_is_named(program: Program) -> None:
    """One warning, and only if no list is a Compose file."""
    (program.folder / "images.txt").write_text("nginx\n")
    (program.folder / "compose.yaml").write_text("services: {a: {image: redis, profiles: [p]}}\n")
    run = program.run("list", "images.txt", "--profile", "p")
    assert (run.code, run.stdout) == (0, "docker.io/library/nginx:latest\n")
    assert run.stderr == "--profile: has no effect: no list is a Compose file\n"
    assert program.run("list", "images.txt", "compose.yaml", "--profile", "p").stderr == ""
    run = program.run("list", "images.txt", "--service", "a")
    assert (run.code, "no Compose file of the lists has this service" in run.stderr) == (2, True)


def test_the_help_before_a_command_explains_config(program: Program) -> None:
    """Nobody has to read the help of another command for it."""
    text = " ".join(program.run("--help").stdout.split())
    assert "-c, --config PATH Read options from this TOML file" in text
    assert "Commands: completion" in text


def test_a_wrong_list_costs_no_image(program: Program) -> None:
    """`prune` keeps what its lists name: a list that is missing is no image to keep, nor is standard input a list."""
    run = program.run("prune", "--yes", "mylist")
    assert (run.code, run.stderr) == (2, "puller: mylist: cannot be read: No such file or directory\n")
    assert NOTHING in fed(program, "y\n", "prune", "--yes").stderr


def test_a_list_on_standard_input(program: Program) -> None:
    """A pipe or a file is read when nothing else is named."""
    assert fed(program, "nginx\nredis:7\n", "list").stdout.split() == [
        "docker.io/library/nginx:latest",
        "docker.io/library/redis:7",
    ]
    assert fed(program, "nginx\n", "list", "redis").stdout == "docker.io/library/redis:latest\n"
    (program.folder / "l").write_text("services: {a: {image: a}}\n")
    redirected = ("bash", "-c", '"$@" < l', "bash")
    assert program.begin("list", prefix=redirected).ended(60) == (0, "docker.io/library/a:latest\n", "")


def test_nothing_is_named(program: Program) -> None:
    """An empty standard input, as that of cron and CI, is the same error; lists of the directory are offered."""
    closed = ("bash", "-c", '"$@" <&-', "bash")
    null = ("bash", "-c", '"$@" < /dev/null', "bash")
    for prefix in (closed, null):
        code, _, stderr = program.begin("pull", prefix=prefix).ended(60)
        assert (code, stderr.splitlines()[-2]) == (2, f"puller: {NOTHING}")
    for name in ("compose.yaml", "images.txt"):
        (program.folder / name).touch()
    run = fed(program, "", "pull")
    here = "for compose.yaml and images.txt of this directory: puller pull compose.yaml images.txt"
    assert (run.returncode, run.stderr.splitlines()[-2]) == (2, f"puller: {NOTHING}; {here}")


def test_a_pipe_without_a_list_is_waited_for(program: Program) -> None:
    """And puller says what it waits for."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        program.argv("list"),
        cwd=program.folder,
        env=program.environment,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
    ) as process:
        assert process.stderr
        waits = process.stderr.readline()
        stdout, stderr = process.communicate("nginx\n", timeout=60)
    assert (process.returncode, stdout) == (0, "docker.io/library/nginx:latest\n")
    assert (waits, stderr) == ("puller: waiting for a list on stdin\n", "")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("images.txt -j 3", "no command 'images.txt'; did you mean `puller pull images.txt -j 3`?"),
        ("ghcr.io/a/b:1", "no command 'ghcr.io/a/b:1'; did you mean `puller pull ghcr.io/a/b:1`?"),
        ("Dockerfile --build-arg PIN=1234", "no command 'Dockerfile'"),
        ("nginx", "no command 'nginx'; did you mean `puller pull nginx`?"),
        ("pul x", "no command 'pul'; did you mean `puller pull`?"),
        ("ls", "no command 'ls'; did you mean `puller list`?"),
        ("stat", "no command 'stat'; did you mean `puller status`?"),
        ("help nginx", "no command 'nginx'"),
        ("help pul", "no command 'pul'; did you mean `puller pull`?"),
        ("-v", "no option -v before the command; did you mean `puller pull -v`, or -V for the version?"),
        ("pull --dry-run x", "no option --dry-run; `puller plan` shows what a pull would do"),
        ("pull -n x", "no option -n; `puller plan` shows what a pull would do"),
        ("pull --hosts h x", "no option --hosts; did you mean `puller fleet pull --hosts`, for many hosts?"),
        ("pull --canary 1 x", "no option --canary; did you mean `puller fleet pull --canary`, for many hosts?"),
        ("pull --json x", "no option --json; did you mean --format json?"),
        ("list -o json x", "no option -o; did you mean --format json?"),
        ("pull --output json x", "no option --output; did you mean --format json?"),
        ("pull --retrys 3 x", "no option --retrys; did you mean --retries?"),
        ("pull -f x", "no option -f; a LIST is an argument: `puller pull FILE`"),
        ("pull -j abc x", "--jobs: 'abc' is not a whole number"),
        ("pull -j 0 x", "--jobs: 0 is not in the range 1 to 1000"),
        ("completion", "missing argument '{bash|zsh|fish}'"),
        ("history x", "unexpected extra argument (x)"),
        ("pull --jobs", "option '--jobs' requires an argument"),
        ("pull --to oci:x --context d nginx", "--to uses no engine: leave out --context"),
        ("pull --to oci:x --backend auto nginx", "--to uses no engine: leave out --backend"),
        ("pull --to oci:x --docker-command podman nginx", "--to uses no engine: leave out --docker-command"),
        ("pull --to oci:x --make-room nginx", "--to uses no engine: leave out --make-room"),
        ("pull --no-extras nginx", "there is no --to: leave out --no-extras"),
    ],
)
def test_wrong_words_are_answered_with_the_right_ones(program: Program, typed: str, said: str) -> None:
    """One line says what is wrong and what was probably meant, and one how to get help."""
    run = program.run(*typed.split())
    assert (run.code, run.stdout) == (2, "")
    line, help_ = run.stderr.splitlines()
    assert line == f"puller: {said}"
    assert help_.startswith("Try 'puller")


def test_a_directory_that_takes_long_is_named(program: Program) -> None:
    """Whoever types `puller pull /` sees what takes so long."""
    (program.folder / "a.yaml").write_text("image: nginx\n")
    patched = "import puller.cli.lists as o; o._SLOW = 0; import time; echo = o.request_images\n"
    patched += "o.request_images = lambda *a, **k: (time.sleep(1), echo(*a, **k))[1]\n"
    code = f"{patched}import sys; sys.argv = ['puller', 'list', '.']; from puller.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=program.folder, env=program.environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert "puller: still reading the files of .\n" in done.stderr


def test_words_of_other_programs_are_taken(program: Program) -> None:
    """`help` and `version` are no verbs, and work all the same."""
    for words in ("version", "-V", "--version"):
        assert program.run(words).stdout.startswith("puller ")
    assert program.run("help").stdout == program.run("--help").stdout
    assert program.run("help", "pull").stdout == program.run("pull", "--help").stdout


def test_a_variable_with_a_spelling_error_is_named(program: Program) -> None:
    """A setting that has no effect must not be silent; variables of other programs are."""
    variables = {
        "PULLER_JOB": "3", "PULLER_HOME": "/opt", "PULLER_TIMEOUT": "1m", "PULLER_REPORT": "json=out",
        "PULLER_BROKER": "amqps://web-1@broker.example",
        "PULLER_SERVICE_HOST": "10.0.0.7", "PULLER_PORT": "tcp://10.0.0.7:80",  # by Kubernetes, for a service
    }  # fmt: skip
    run = program.run("pull", "nginx", environment=variables)
    warnings = [line for line in run.stderr.splitlines() if "the variable " in line]
    assert warnings == ["puller: the variable PULLER_JOB is not used; did you mean PULLER_JOBS?"]
    assert (program.folder / "out").exists()


@pytest.mark.parametrize(("name", "begin"), [("x.html", "<!doctype html>"), ("x.json", "{"), ("x.xml", "<?xml")])
def test_the_suffix_of_a_report_says_its_kind(program: Program, name: str, begin: str) -> None:
    """`--report x.html` writes the page."""
    assert program.run("pull", "nginx", "--report", name).code == 69
    assert (program.folder / name).read_text().startswith(begin)


@pytest.mark.parametrize(
    ("words", "mode"),
    [
        ("--prefetch images.txt", "always"),
        ("--prefetch never images.txt", "never"),
        ("images.txt --prefetch auto", "auto"),
        ("--prefetch=never images.txt", "never"),
        ("images.txt --prefetch", "always"),
    ],
)
def test_the_value_of_prefetch_may_be_left_out(words: str, mode: str) -> None:
    """A word after it that is one of its values is not taken for an image."""
    verb = puller.get_command(click.Context(puller), "pull")
    assert verb is not None
    parsed = verb.make_context("pull", words.split()).params
    assert (parsed["prefetch"], parsed["lists"]) == (mode, ("images.txt",))
