"""puller in GitHub Actions and in GitLab CI: what stands in the log, and in which order."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.lab.fakes import complain, good_pull
from tests.unit.cli.test_main import GOOD, Shell

GITHUB = {"GITHUB_ACTIONS": "true", "CI": "true"}
GITLAB = {"GITLAB_CI": "true", "CI": "true"}
PULL = ("pull", "images.txt", "--backend", "cli")
EVIL = "##[stop-commands]x ::set-output name=a::b"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Offer a docker that knows all images but one."""
    shell = Shell(tmp_path)
    shell.docker(pull=GOOD)
    return shell


def test_the_log_ends_with_the_failures_and_what_to_do(shell: Shell) -> None:
    """Cause, fix, summary and next commands are the last lines, plain, and quiet in GitHub Actions, and in GitLab."""
    for arguments, environment in (((), {}), (("-q",), GITHUB), ((), GITLAB)):
        run = shell.run(*PULL, *arguments, environment=environment)
        name, cause, cure, _, summary, again, more = run.stdout.splitlines()[-7:]
        assert run.code == 1
        assert name == "failed: acme/missing: image or tag not found (not_found)"
        assert cause == "  manifest unknown"
        assert cure.startswith("  → ")
        assert summary.startswith("2 of 3 images are present: 2 pulled, 1 failed in ")
        assert again.startswith("next: puller pull --failed ")
        assert more.startswith("      puller explain not_found ")


def test_github_sees_a_group_errors_and_a_summary(shell: Shell) -> None:
    """The table is folded; each failure is an error; the summary is added to what the step has."""
    summary = shell.folder / "summary.md"
    summary.write_text("before\n")
    run = shell.run(*PULL, environment=GITHUB | {"GITHUB_STEP_SUMMARY": str(summary)})
    lines = run.stdout.splitlines()
    assert lines[0] == "::group::3 images"
    assert lines[1].startswith("STATUS")
    assert lines[5] == "::endgroup::"
    errors = [line for line in run.stderr.splitlines() if line.startswith("::")]
    words = "image or tag not found (not_found)"
    title = f"::error title=acme/missing%3A {words}::acme/missing: {words}: "
    assert len(errors) == 1
    assert errors[0].startswith(title)
    assert summary.read_text().startswith("before\n### puller: 2 of 3 images are present\n")


def test_gitlab_sees_a_section(shell: Shell) -> None:
    """The markers are as documented, and stand around the table alone."""
    done = subprocess.run(
        shell.argv(*PULL), cwd=shell.folder, env=shell.environment | GITLAB, capture_output=True, check=False
    )
    assert re.fullmatch(
        rb"\x1b\[0Ksection_start:\d+:(puller_\d+)\[collapsed=true\]\r\x1b\[0K3 images\n"
        rb"STATUS .*\n\x1b\[0Ksection_end:\d+:\1\r\x1b\[0K\n\nfailed: acme/missing: .*\n\n2 of 3 .*",
        done.stdout,
        re.DOTALL,
    )
    assert b"::" not in done.stdout + done.stderr


@pytest.mark.parametrize("environment", [GITHUB, GITLAB])
def test_json_on_stdout_is_nothing_else(shell: Shell, environment: dict[str, str]) -> None:
    """The product is not mixed with markers, which go to standard error or nowhere."""
    run = shell.run(*PULL, "--format", "json", environment=environment)
    assert run.report["counts"]["failed"] == 1
    assert "::group" not in run.stderr


def test_a_report_in_a_file_has_no_markers(shell: Shell) -> None:
    """`puller pull … > report.txt` in a pipeline is the report."""
    with (shell.folder / "out").open("w") as out:
        subprocess.run(shell.argv(*PULL), cwd=shell.folder, env=shell.environment | GITHUB, stdout=out, check=False)
    assert (shell.folder / "out").read_text().startswith("STATUS ")


def test_quiet_success_is_silent_there_too(shell: Shell) -> None:
    """No group around nothing."""
    shell.docker(pull=good_pull())
    for environment in (GITHUB, GITLAB):
        run = shell.run(*PULL, "-q", environment=environment)
        assert (run.code, run.stdout, run.stderr) == (0, "", "")


def test_a_summary_that_cannot_be_written_costs_a_line(shell: Shell) -> None:
    """The exit code is that of the images."""
    shell.docker(pull=good_pull())
    run = shell.run(*PULL, "-q", environment=GITHUB | {"GITHUB_STEP_SUMMARY": str(shell.folder / "no" / "where")})
    assert (run.code, len(run.stderr.splitlines())) == (0, 1)
    assert "summary cannot be written: there is no directory" in run.stderr


def test_a_full_summary_is_left_alone(shell: Shell) -> None:
    """GitHub drops a summary above 1 MiB as a whole: what stood there is worth more."""
    summary = shell.folder / "summary.md"
    summary.write_bytes(b"x" * (1024 * 1024 - 10))
    shell.run(*PULL, environment=GITHUB | {"GITHUB_STEP_SUMMARY": str(summary)})
    assert summary.stat().st_size == 1024 * 1024 - 10


@pytest.mark.parametrize("arguments", [("--progress", "plain", "-v"), ("--progress", "json", "--format", "json")])
def test_neither_list_nor_registry_commands_the_runner(shell: Shell, arguments: tuple[str, ...]) -> None:
    """A pull request that edits a list, or a registry that answers in commands, gets nothing but shown."""
    shell.docker(pull=complain(f"Error response from daemon: {EVIL}\n::add-mask::e"))
    shell.list("nginx", f"x{EVIL}", "::error::x")
    once = ("--skip-invalid", "--retries", "0", "--no-second-pass")
    run = shell.run(*PULL, *once, "--report", "json=r", *arguments, environment=GITHUB)
    _nothing_obeyed(run.stdout + run.stderr)
    assert "stop-commands" in run.stdout
    assert any(EVIL in image["error"]["message"] for image in json.loads((shell.folder / "r").read_text())["images"])


def test_bad_lines_are_an_error_that_commands_nobody(shell: Shell) -> None:
    """A list that cannot be used is on the page of the pull request that changed it, all its bad lines at once."""
    shell.list("nginx", f"x{EVIL}", "::error::x")
    run = shell.run(*PULL, environment=GITHUB)
    assert (run.code, run.stdout) == (2, "")
    _nothing_obeyed(run.stderr)
    (error,) = [line for line in run.stderr.splitlines() if line.startswith("::")]
    assert re.fullmatch(r"::error title=puller::\S*images\.txt:2: .*%0A\S*images\.txt:3: .*", error)
    assert "##[" in shell.run(*PULL).stderr


def _nothing_obeyed(log: str) -> None:
    ours = ("::error title=", "::group::", "::endgroup::")
    assert not [
        line
        for line in re.split(r"[\r\n]", log)
        if (line.strip().startswith("::") and not line.startswith(ours)) or "##[" in line
    ]
