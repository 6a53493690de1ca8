"""Reports in files, as cron jobs and pipelines keep them from run to run."""

import json
import stat
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.lab.fakes import good_pull
from tests.lab.second_user import as_root, attack
from tests.unit.cli.test_main import GOOD, Shell

PULL = ("pull", "--backend", "cli", "-q")


def test_all_kinds_at_once(tmp_path: Path) -> None:
    """Several reports of one run, and one more on standard output."""
    shell = Shell(tmp_path)
    shell.docker(pull=GOOD)
    kinds = ("text", "json", "junit", "markdown", "prometheus", "failed")
    reports = [f"--report={kind}={kind}.out" for kind in kinds]
    run = shell.run(*PULL, "images.txt", *reports, "--format", "failed")
    assert (run.code, run.stderr) == (1, "")
    assert run.stdout == (tmp_path / "failed.out").read_text()
    for kind in kinds:
        assert "acme/missing" in (tmp_path / f"{kind}.out").read_text()


def test_a_report_that_cannot_be_written_costs_no_other(tmp_path: Path) -> None:
    """A full disk under one of them: the rest is there, and a line says what is not; the exit code is of the images."""
    shell = Shell(tmp_path)
    shell.docker(pull=GOOD)
    run = shell.run(*PULL, "images.txt", "--report", "json=/dev/full", "--report", "failed=failed.txt")
    assert (run.code, len(run.stderr.splitlines())) == (1, 1)
    assert "cannot write /dev/full: no space left on device" in run.stderr
    assert "failed: acme/missing" in run.stdout
    assert "acme/missing" in (tmp_path / "failed.txt").read_text()


@as_root
def test_what_another_user_puts_in_the_way_costs_root_one_report_and_no_run(theirs: Path, tmp_path: Path) -> None:
    """A link, a FIFO, a file that would stay open to everybody: the images are pulled, each oddity is one line."""
    secret = theirs.parent / "secret"
    secret.write_text("root's\n")
    attack("ln -s ../secret link.prom; mkfifo fifo.prom; echo 1 >open.prom; chmod 06777 open.prom", theirs)
    shell = Shell(tmp_path)
    shell.docker(pull=GOOD)
    reports = [f"--report=prometheus={theirs}/{name}.prom" for name in ("link", "fifo", "open")]
    run = shell.run(*PULL, "images.txt", *reports, "--report", "json=report.json")
    assert (run.code, secret.read_text()) == (1, "root's\n")
    link, fifo = run.stderr.splitlines()
    assert f"cannot write {theirs}/link.prom: it is a symbolic link, which is not followed; name what it po" in link
    assert f"cannot write {theirs}/fifo.prom: it is a FIFO; choose another path" in fifo
    node = (theirs / "open.prom").stat()
    assert (node.st_uid, stat.S_IMODE(node.st_mode)) == (0, 0o644)
    assert "puller_last_run_success" in (theirs / "open.prom").read_text()
    assert json.loads((tmp_path / "report.json").read_text())["counts"]["pulled"] == 2


def test_the_metrics_of_an_image_outlive_a_run_in_which_it_failed(tmp_path: Path) -> None:
    """The file is replaced each time, and still knows when the image was last there."""
    shell = Shell(tmp_path)
    metrics = tmp_path / "nightly.prom"

    def last_successes() -> dict[str, float]:
        shell.run(*PULL, "images.txt", "--report", f"prometheus={metrics}")
        return {
            sample.labels["image"]: sample.value
            for family in text_string_to_metric_families(metrics.read_text())
            for sample in family.samples
            if family.name == "puller_image_last_success_timestamp_seconds" and sample.labels["list"] == "nightly"
        }

    missing, nginx = "docker.io/acme/missing:latest", "docker.io/library/nginx:1.27"
    shell.docker(pull=good_pull())
    first = last_successes()
    shell.docker(pull=GOOD)
    second = last_successes()
    assert first[missing] == second[missing] > 0
    assert second[nginx] > first[nginx]


def test_what_failed_is_tried_again(tmp_path: Path) -> None:
    """`puller pull failed.txt` asks for what is missing, and for nothing else."""
    shell = Shell(tmp_path)
    shell.docker(pull=GOOD)
    shell.run(*PULL, "images.txt", "--platform", "linux/arm64", "--report", "failed=failed.txt")
    shell.docker(pull=good_pull())
    run = shell.run(*PULL, "failed.txt", "--format", "json")
    assert run.code == 0
    assert [(image["requested"], image["platform"]) for image in run.images] == [(["acme/missing"], "linux/arm64")]


def test_junit_skips_on_request(tmp_path: Path) -> None:
    """By an option, or by its environment variable."""
    shell = Shell(tmp_path)
    shell.docker(pull=good_pull(status="Image is up to date for x"))
    plain = shell.run(*PULL, "images.txt", "--format", "junit").stdout
    asked = shell.run(
        *PULL, "images.txt", "--format", "junit", environment={"PULLER_JUNIT_SKIP_UP_TO_DATE": "1"}
    ).stdout
    assert (plain.count("<skipped"), asked.count('<skipped message="up to date"')) == (0, 3)


def test_no_command_succeeds_without_the_image(tmp_path: Path) -> None:
    """Whatever it prints: the image is not there, or the command does not say so; every report shows a warning."""
    shell = Shell(tmp_path)
    once = (*PULL, "--retries=0", "--no-second-pass", "--format=json", "--image=nginx")
    for inspect, kind in (("echo 'Error: No such image: x' >&2; exit 1", "image_missing"), ("exit 1", "unverified")):
        for pull in (good_pull(), "true"):
            shell.docker(pull=pull, inspect=inspect)
            run = shell.run(*once)
            assert (run.code, run.images[0]["error"]["kind"]) == (75, kind)
    arm = '[{"Id": "sha256:1", "Os": "linux", "Architecture": "arm64"}]'
    info = '{"OSType": "linux", "Architecture": "x86_64"}'
    described = f"""echo '{arm}'"""
    shell.docker(
        pull=good_pull(), version=f"""[ "$1" = version ] && echo '28.5.2 Engine' || echo '{info}'""", inspect=described
    )
    kinds = ("text", "json", "junit", "markdown", "prometheus", "html")
    run = shell.run("pull", "--backend=cli", "--image=nginx", *(f"--report={kind}={kind}.out" for kind in kinds))
    assert run.code == 0
    assert "warning: the image is for linux/arm64" in run.stderr
    for kind in kinds:
        text = (tmp_path / f"{kind}.out").read_text()
        assert ("linux/arm64" in text) or 'puller_last_run_warnings{list="prometheus"} 1.0' in text


def test_a_report_says_where_it_comes_from_and_no_secret(tmp_path: Path) -> None:
    """A report that is read elsewhere names host, engine, lists, command, version and exit code."""
    shell = Shell(tmp_path)
    shell.docker(pull=GOOD)
    more = ("--build-arg", "TOKEN=hunter2", "--build-arg=KEY=hunter2", "--image", "nginx:1.27")
    details = json.loads(shell.run(*PULL, "images.txt", "--format", "json", *more).stdout)["run"]
    assert details["command"] == (
        "puller pull --backend cli -q images.txt --format json --build-arg=TOKEN --build-arg=KEY --image nginx:1.27"
    )
    assert (details["lists"], details["exit_code"]) == (["images.txt", "nginx:1.27"], 1)
    assert details["host"]
    assert details["engine"].endswith("through the docker command")
    assert details["version"]
