"""Hostile input: odd lists, and registries that answer with escapes, pages, floods and secrets."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from puller.cli.main import puller as program
from puller.errors import PullerError
from tests.engine.conftest import Puller
from tests.faults.odd import ANSWERS, odd_list
from tests.faults.scene import Lab
from tests.lab import Proxy, PushedImage, Rule, TokenServer, layer, push_image
from tests.lab.unsafe_text import faults_in

LISTS = 150
THROUGH_THE_PROCESS = 5
PLACES = ("manifests", "blobs", "token")
OUTPUTS = {"text": "plain", "json": "json"}
"""Formats of the report, each with a kind of progress."""


@pytest.fixture(scope="module")
def hostile(lab: Lab) -> Iterator[dict[str, str]]:
    """Offer an image for each place and kind of harm, by name, and one at the end that nobody harms."""
    with contextlib.ExitStack() as stack:
        proxies: dict[str, Proxy] = {
            "manifests": stack.enter_context(Proxy(lab.registry)),
            "blobs": stack.enter_context(Proxy(lab.registry)),
            "token": stack.enter_context(TokenServer(lab.registry)),
        }
        images = {}
        for place, proxy in proxies.items():
            rules = []
            for name, make in ANSWERS.items():
                image = _push(lab, f"hostile/{place}/{name}")
                # A request for a token names the repository in its query.
                path = "/token.*" + image.repository.replace("/", "%2F") + "%3A"
                rules.append(Rule(path if place == "token" else f"/{image.repository}/{place}/", make()))
                images[f"{place}/{name}"] = image.at(proxy.address)
            proxy.use(*rules)
        yield images


def _push(lab: Lab, repository: str) -> PushedImage:
    return push_image(lab.registry, repository, layers=[layer(repository)])


@pytest.mark.parametrize(("backend", "form"), [("api", "json"), ("cli", "text")])
def test_no_answer_of_a_registry_harms_the_output(
    lab: Lab, hostile: dict[str, str], backend: str, form: str, tmp_path: Path
) -> None:
    """Each fails as one image among others, with words that hold no escape, no secret and no traceback."""
    puller = Puller(lab.engine.host, tmp_path)
    good = _push(lab, f"hostile/good/{backend}-{form}").reference
    run = puller.run(
        "pull", puller.list(*hostile.values(), good), "--backend", backend, "--format", form, "-j", "8", "-v",
        "--progress", OUTPUTS[form], "--report", f"json={tmp_path}/report.json",
        "--retries", "0", "--no-second-pass", "--max-wait", "1s", "--timeout", "30s",
    )  # fmt: skip
    written = (tmp_path / "report.json").read_text()
    assert faults_in(run.stdout + run.stderr + written) == []
    report = json.loads(written)
    assert report["stopped"] is None
    outcomes = {image["requested"][0]: image for image in report["images"]}
    assert outcomes.pop(good)["status"] == "pulled"
    assert run.code in {1, 75}
    names = {reference: name for name, reference in hostile.items()}
    assert [names[reference] for reference, image in outcomes.items() if image["status"] != "failed"] == []
    longest = max(len(image["error"]["message"]) for image in outcomes.values())
    assert longest < 10_000


def test_odd_lists_are_read_or_refused() -> None:
    """Many lists of noise: an exit code of 0 or 2, no traceback, nothing that a terminal would obey."""
    runner = CliRunner()
    for seed in range(LISTS):
        for options in ((), ("--skip-invalid", "--format", "json")):
            done = runner.invoke(program, ["list", "-", *options], input=odd_list(seed))
            told = done.output
            if isinstance(done.exception, PullerError):
                # The one place that turns it into words is not in between here.
                told += str(done.exception)
                code = int(done.exception.exit_code)
            else:
                code = done.exit_code
            assert code in {0, 2}, (seed, done.exception)
            assert faults_in(told) == [], seed


@pytest.mark.parametrize("seed", range(THROUGH_THE_PROCESS))
def test_odd_lists_through_the_process(seed: int, tmp_path: Path) -> None:
    """The same through a process, from a file, with an engine that must not be asked before the list is in order."""
    puller = Puller(f"unix://{tmp_path}/nobody.sock", tmp_path)
    odd = tmp_path / "odd.txt"
    odd.write_bytes(odd_list(seed))
    done = subprocess.run(
        puller.argv("list", str(odd)),
        env=puller.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    told = (done.stdout + done.stderr).decode()
    assert done.returncode in {0, 2}, told
    assert faults_in(told) == []
