"""The program as a user meets it: a process, its two streams and its exit code."""

import grp
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab import wait_until
from tests.lab.fakes import HANG, FakeProgram, complain, good_pull
from tests.lab.program import SECONDS, Program, Run
from tests.lab.second_user import as_root


class Shell(Program):
    """A folder with a list in it, and an environment in which no engine can be reached."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        environment = {
            "DOCKER_HOST": f"unix://{folder}/nobody.sock",
            "DOCKER_CONFIG": str(folder / "docker-config"),
            "PATH": f"{self.bin}:/usr/bin:/bin",
        }
        super().__init__(folder, environment)
        # Not the docker of this machine, wherever that is: one that reaches nobody.
        self.docker(version=complain("Cannot connect to the Docker daemon. Is the docker daemon running?"))
        self.list("nginx:1.27", "acme/missing", "redis # cache")

    def docker(self, **words: str) -> FakeProgram:
        """Put a made-up docker in the PATH."""
        return FakeProgram(self.bin, **words)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Give each test a folder of its own."""
    return Shell(tmp_path)


GOOD = f'case "$*" in *missing*)\n{complain("Error response from daemon: manifest unknown")}\n;; esac\n{good_pull()}'


def test_the_version_is_said(shell: Shell) -> None:
    """`puller --version` is one line."""
    run = shell.run("--version")
    assert (run.code, run.stderr) == (0, "")
    assert run.stdout.startswith("puller ")
    assert len(run.stdout.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ("pull", "--help"), ("list", "-h")])
def test_help_is_help(shell: Shell, arguments: tuple[str, ...]) -> None:
    """Help goes to standard output and is no error."""
    run = shell.run(*arguments)
    assert (run.code, run.stderr) == (0, "")
    assert "Usage: puller" in run.stdout


def test_help_names_every_verb_and_exit_code(shell: Shell) -> None:
    """Who knows nothing learns what there is, and what a script may rely on; the common options are first."""
    text, pull_help = (" ".join(shell.run(*verb, "--help").stdout.split()) for verb in ((), ("pull",)))
    for word in ("list", "pull", "0 all", "1 some", "2 wrong usage", "69", "75", "130/143"):
        assert word in text
    assert text[text.index("Exit codes") :] == pull_help[pull_help.index("Exit codes") :]
    assert pull_help.index(" --report ") < pull_help.index(" --context ")


def test_help_for_pull_names_every_option_of_the_contract(shell: Shell) -> None:
    """The options that other people's scripts use."""
    text = shell.run("pull", "--help").stdout
    reach = "-j --jobs --parallel --per-registry --image --backend --docker-command --platform --context"
    patience = "--retries --retry-delay --timeout --fail-fast --max-fail --skip-invalid"
    words = "--progress -q -v --format --report"
    for option in f"{reach} {patience} {words}".split():
        assert option in text


# Usage.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("shove",), "shove"),
        (("--shove",), "--shove"),
        (("pull", "--shove", "images.txt"), "--shove"),
        (("pull",), "no images given"),
        (("pull", "images.txt", "--timeout", "soon"), "'soon' is not a duration such as 30s, 5m or 1h30m"),
        (("pull", "images.txt", "--timeout", "-1"), "-1"),
        (("pull", "images.txt", "--retry-delay", "1x"), "'1x' is not a duration"),
        (("pull", "images.txt", "--max-fail", "101%"), "'101%' is not a number such as 5"),
        (("pull", "images.txt", "--max-fail", "few"), "'few' is not a number"),
        (("pull", "images.txt", "--jobs", "0"), "0 is not in the range"),
        (("pull", "images.txt", "-j", "many"), "'many' is not a whole number"),
        (("pull", "images.txt", "--per-registry", "0"), "0 is not in the range"),
        (("pull", "images.txt", "--retries", "-1"), "-1 is not in the range"),
        (("pull", "images.txt", "--backend", "pigeon"), "'pigeon' is not one of"),
        (("pull", "images.txt", "--progress", "loud"), "'loud' is not one of"),
        (("pull", "images.txt", "--format", "yaml"), "'yaml' is not one of"),
        (("pull", "images.txt", "--report", "yaml=x"), "'yaml=x' is not KIND=PATH"),
        (("pull", "images.txt", "--report", "json"), "'json' is not KIND=PATH"),
        (("pull", "images.txt", "--report", "json="), "'json=' is not KIND=PATH"),
        (("pull", "images.txt", "--platform", "arm64"), "'arm64' is not a platform such as linux/amd64"),
    ],
)
def test_a_usage_error_is_one_clear_line(shell: Shell, arguments: tuple[str, ...], words: str) -> None:
    """Exit code 2, nothing on standard output, one line that says what was wrong and quotes it, and one for help."""
    run = shell.run(*arguments)
    assert (run.code, run.stdout) == (2, "")
    line, more = run.stderr.splitlines()
    assert line.startswith("puller: ")
    assert words in line
    verb = " pull" if arguments[0] == "pull" else ""
    assert more == f"Try 'puller{verb} --help'"


def test_a_program_without_arguments_says_how_it_is_used(shell: Shell) -> None:
    """`puller` alone shows the verbs, and is not a success."""
    run = shell.run()
    assert run.code == 2
    assert "Usage: puller" in run.stdout + run.stderr


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("PULLER_JOBS", "x", "PULLER_JOBS: 'x' is not a whole number"),
        ("PULLER_TIMEOUT", "soon", "'soon' is not a duration"),
        ("PULLER_PLATFORM", "arm64", "'arm64' is not a platform"),
        ("DOCKER_DEFAULT_PLATFORM", "arm64", "'arm64' is not a platform"),
        ("PULLER_BACKEND", "pigeon", "'pigeon' is not one of"),
    ],
)
def test_a_variable_is_as_good_as_an_option(shell: Shell, variable: str, value: str, words: str) -> None:
    """A variable that cannot be meant is a usage error, too."""
    run = shell.run("pull", "images.txt", environment={variable: value})
    assert (run.code, run.stdout) == (2, "")
    assert words in run.stderr


def test_variables_are_defaults_for_options(shell: Shell) -> None:
    """PULLER_FORMAT and the like take effect, and an option on the command line wins."""
    shell.docker(pull=GOOD)
    variables = {"PULLER_FORMAT": "json", "PULLER_JOBS": "5", "PULLER_BACKEND": "cli", "PULLER_PLATFORM": "linux/arm64"}
    run = shell.run("pull", "images.txt", "--platform", "linux/s390x", environment=variables)
    assert {image["platform"] for image in run.report["images"]} == {"linux/s390x"}
    assert {image["platform"] for image in shell.run("pull", "images.txt", environment=variables).report["images"]} == {
        "linux/arm64"
    }


def test_empty_variables_are_not_set(shell: Shell) -> None:
    """`PULLER_JOBS=` in a CI file means the default."""
    shell.docker(pull=GOOD)
    assert (
        shell.run(
            "pull", "--image", "nginx", "--backend", "cli", environment={"PULLER_JOBS": "", "PULLER_TIMEOUT": ""}
        ).code
        == 0
    )


# Lists.


def test_bad_lines_are_told_all_at_once(shell: Shell) -> None:
    """Exit code 2, each line with its place, and nothing is pulled."""
    docker = shell.docker(pull=GOOD)
    (shell.folder / "bad.txt").write_text("nginx\nUPPER\nredis\n--all-tags\na b\n")
    run = shell.run("pull", "bad.txt", "--backend", "cli")
    assert (run.code, run.stdout) == (2, "")
    for place in ("bad.txt:2: ", "bad.txt:4: ", "bad.txt:5: "):
        assert place in run.stderr
    assert run.stderr.splitlines()[3:] == ["puller: 3 bad lines; nothing was done (--skip-invalid skips them)"]
    assert docker.calls == []


@pytest.mark.parametrize(
    ("name", "words"), [("none.txt", "none.txt: cannot be read"), (".", "contains no image reference")]
)
def test_a_list_that_cannot_be_read_is_a_usage_error(shell: Shell, name: str, words: str) -> None:
    """Exit code 2 and one line."""
    run = shell.run("pull", name)
    assert (run.code, run.stdout) == (2, "")
    assert words in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_bad_lines_can_be_skipped(shell: Shell) -> None:
    """`--skip-invalid` pulls the rest, and the bad lines are failed images in the report."""
    docker = shell.docker(pull=GOOD)
    (shell.folder / "bad.txt").write_text("nginx\nUPPER\n")
    run = shell.run("pull", "bad.txt", "--skip-invalid", "--backend", "cli", "--format", "json")
    assert run.code == 1
    assert [(image["requested"], image["status"]) for image in run.report["images"]] == [
        (["nginx"], "pulled"),
        (["UPPER"], "failed"),
    ]
    assert run.report["images"][1]["error"]["kind"] == "bad_reference"
    assert "bad.txt:2" in run.report["images"][1]["error"]["message"]
    assert len(docker.pulls) == 1


# The engine.


@pytest.mark.parametrize("backend", ["auto", "api", "sdk", "cli"])
def test_an_engine_that_cannot_be_reached(shell: Shell, backend: str) -> None:
    """Exit code 69, one line on standard error, and a report in which everything is cancelled."""
    run = shell.run("pull", "images.txt", "--backend", backend, "--format", "json", "--report", "json=out.json")
    assert run.code == 69
    assert len(run.stderr.splitlines()) == 1
    assert run.report["counts"] == {"pulled": 0, "up_to_date": 0, "present": 0, "failed": 0, "cancelled": 3}
    assert {image["error"]["kind"] for image in run.report["images"]} == {"daemon_unreachable"}
    assert not run.report["ok"]
    assert json.loads((shell.folder / "out.json").read_text()) == run.report


def test_an_engine_that_does_not_run_is_one_line_with_the_fix(shell: Shell) -> None:
    """Where the engine was looked for and how to start it, once: no table of images that nobody tried to pull."""
    socket = f"unix://{shell.folder}/nobody.sock"
    for quiet in ((), ("-q",)):
        run = shell.run("pull", "images.txt", *quiet)
        assert (run.code, run.stdout) == (69, "")
        assert run.stderr == (
            f"puller: cannot connect to the engine at {socket}: No such file or directory; "
            "start the engine, or set DOCKER_HOST or --context to a running one\n"
        )
    assert shell.run("plan", "images.txt").stderr == run.stderr


@as_root
def test_a_socket_that_this_user_may_not_use_is_one_line_with_the_fix(shell: Shell) -> None:
    """The group of the socket is named, and no other way to pull: the engine is there."""
    denied = "permission denied while trying to connect to the Docker daemon socket at unix:///x.sock"
    shell.docker(version=complain(denied))
    (shell.folder / "nobody.sock").touch()
    os.chown(shell.folder / "nobody.sock", -1, grp.getgrnam("games").gr_gid)
    run = shell.run("pull", "images.txt", "--backend", "cli")
    fix = "add this user to the group games (sudo usermod -aG games $USER) and log in again"
    assert (run.code, run.stdout, run.stderr) == (69, "", f"puller: {denied}; {fix}\n")


def test_bad_lines_stay_failed_without_an_engine(shell: Shell) -> None:
    """With --skip-invalid and no engine, the good lines are cancelled and the bad ones failed; 69 all the same."""
    (shell.folder / "bad.txt").write_text("nginx\nUPPER\n")
    run = shell.run("pull", "bad.txt", "--skip-invalid", "--format", "json")
    assert run.code == 69
    assert [image["status"] for image in run.report["images"]] == ["cancelled", "failed"]


def test_a_machine_without_docker(shell: Shell) -> None:
    """Neither API nor command: one line, and no word about Python."""
    run = shell.run("pull", "--image", "nginx", "--backend", "cli", environment={"PATH": str(shell.folder / "empty")})
    assert run.code == 69
    hint = "without an engine, --to oci:DIR or archive:FILE pulls into files"
    assert (run.stdout, run.stderr) == ("", f"puller: docker: command not found; {hint}\n")


@pytest.mark.parametrize("command", ["docker", "finch", "/opt/tools/docker.io"])
def test_a_missing_command_is_told_as_such(shell: Shell, command: str) -> None:
    """Whatever it is called, the report's advice is to install it, and not to start an engine."""
    options = ("--backend", "cli", "--docker-command", command, "--format", "json")
    run = shell.run("pull", "--image", "nginx", *options, environment={"PATH": str(shell.folder / "empty")})
    assert run.code == 69
    assert [image["error"]["kind"] for image in run.report["images"]] == ["client_missing"]


def test_a_misspelt_context_is_a_usage_error(shell: Shell) -> None:
    """Exit code 2: no other engine is used instead."""
    docker = shell.docker(pull=GOOD)
    run = shell.run("pull", "images.txt", "--context", "prodd")
    assert (run.code, run.stdout) == (2, "")
    assert run.stderr == "puller: context 'prodd' not found: `docker context ls` lists those that exist\n"
    assert docker.calls == []


def test_a_report_that_cannot_be_written_is_refused_first(shell: Shell) -> None:
    """Nobody pulls for an hour to learn that a directory is missing."""
    docker = shell.docker(pull=GOOD)
    for path in ("nowhere/out.json", "."):
        run = shell.run("pull", "images.txt", "--backend", "cli", "--report", f"json={path}")
        assert (run.code, run.stdout) == (2, "")
        assert len(run.stderr.splitlines()) == 1
        assert run.stderr.startswith("puller: cannot write ")
    assert docker.calls == []


# A whole run.


def test_a_run_from_begin_to_end(shell: Shell) -> None:
    """The report is on standard output, in list order; the progress is on standard error; one image failed."""
    shell.docker(pull=GOOD)
    run = shell.run("pull", "images.txt", "--backend", "cli", "--format", "json")
    assert run.code == 1
    assert [(image["requested"][0], image["status"]) for image in run.report["images"]] == [
        ("nginx:1.27", "pulled"),
        ("acme/missing", "failed"),
        ("redis", "pulled"),
    ]
    assert "nginx:1.27" in run.stderr


def test_when_all_is_there_the_exit_code_is_0(shell: Shell) -> None:
    """Success is silent in quiet mode."""
    shell.docker(pull=good_pull())
    assert shell.run("pull", "images.txt", "--backend", "cli", "-q") == Run(0, "", "")


def test_failures_that_may_pass_exit_75(shell: Shell) -> None:
    """Run me again."""
    shell.docker(pull=complain("unexpected EOF"))
    options = "--backend cli --retries 1 --retry-delay 0 --breaker 100 --no-second-pass --format json"
    run = shell.run("pull", "images.txt", *options.split())
    assert run.code == 75
    assert {image["attempts"] for image in run.report["images"]} == {2}


def test_quiet_says_only_what_failed(shell: Shell) -> None:
    """No progress, and a report of the failures alone."""
    shell.docker(pull=GOOD)
    run = shell.run("pull", "images.txt", "--backend", "cli", "-q")
    assert (run.code, run.stderr) == (1, "")
    assert "acme/missing" in run.stdout
    assert "nginx" not in run.stdout


def test_a_reference_is_never_an_option(shell: Shell) -> None:
    """What looks like an option of docker's does not come near it."""
    docker = shell.docker(pull=GOOD)
    assert shell.run("pull", "--image=--all-tags", "--backend", "cli").code == 2
    assert docker.calls == []


# Signals.


def interrupted(shell: Shell, *arguments: str, mark: Path, number: signal.Signals) -> Run:
    """Start the program, wait until its docker has got somewhere, and send a signal."""
    with shell.start(*arguments) as process:
        while not mark.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=SECONDS)
    assert "Traceback" not in stderr
    return Run(process.returncode, stdout, stderr)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_in_a_report(shell: Shell, number: signal.Signals, code: int) -> None:
    """What was under way is broken off and cancelled, and the exit code names the signal."""
    mark = shell.folder / "mark"
    shell.docker(pull=f"touch '{mark}'; {HANG}")
    run = interrupted(
        shell, "pull", "images.txt", "--backend", "cli", "--format", "json", "-j", "1", mark=mark, number=number
    )
    assert run.code == code
    assert run.report["counts"]["cancelled"] == 3
    assert run.report["stopped"] == f"interrupted by {number.name}"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        (signal.SIGTERM, 143),
    ],
)
def test_a_signal_while_the_engine_is_looked_for(shell: Shell, number: signal.Signals, code: int) -> None:
    """The exit code names the signal, however early it came."""
    mark = shell.folder / "mark"
    shell.docker(version=f"touch '{mark}'; {HANG}")
    run = interrupted(shell, "pull", "images.txt", "--backend", "cli", mark=mark, number=number)
    assert run.code == code


@pytest.mark.parametrize("verb", ["pull", "list", "lock"])
def test_an_interruption_while_lists_are_read_is_said(shell: Shell, verb: str) -> None:
    """As with Ctrl-C, when a list is far too large."""
    argv = shell.argv(verb, "-")
    with subprocess.Popen(argv, env=shell.environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stderr
        process.stdin.write(b"#" * (200 << 10))  # more than a pipe holds: puller reads when this is done
        process.stdin.flush()
        while process.poll() is None:  # Python sees a signal that comes right before it reads only after more content
            process.send_signal(signal.SIGINT)
            wait_until(lambda: process.poll() is not None, 2)
        assert process.stderr.read().strip() == b"puller: interrupted (Ctrl-C) while reading lists"
        assert process.returncode == 130


# Streams that are closed.


@pytest.mark.parametrize(("image", "code"), [("nginx", 0), ("acme/missing", 1)])
def test_a_reader_who_has_gone_changes_no_exit_code(shell: Shell, image: str, code: int) -> None:
    """`puller pull … | true` is as good as the images are, and the report files are written."""
    shell.docker(pull=GOOD)
    with shell.start(
        "pull", "--image", image, "--backend", "cli", "-q", "--format", "json", "--report", "json=o"
    ) as run:
        assert run.stdout
        assert run.stderr
        run.stdout.close()
        assert run.stderr.read() == ""
        run.wait(SECONDS)
    assert (shell.folder / "o").exists()
    assert run.returncode == code


def test_a_report_that_does_not_fit_on_standard_output_is_no_success(shell: Shell) -> None:
    """When standard output is a full disk the report is lost, and the exit code says so."""
    shell.docker(pull=GOOD)
    command = f"{sys.executable} -m puller pull --image nginx --backend cli -q --format json > /dev/full"
    done = subprocess.run(
        ["sh", "-c", command], cwd=shell.folder, env=shell.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
