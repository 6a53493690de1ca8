"""Contexts, credentials and DOCKER_* variables work as they do for docker, with both backends."""

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.conftest import Puller
from tests.lab import LAB_ACCOUNT, Engine, PushedImage, Registry, push_image


def add_context(puller: Puller, name: str, host: str) -> None:
    """Write a context as `docker context create` does."""
    folder = puller.docker_config / "contexts/meta" / hashlib.sha256(name.encode()).hexdigest()
    folder.mkdir(parents=True)
    meta = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}
    (folder / "meta.json").write_text(json.dumps(meta))


@pytest.fixture(scope="module")
def private() -> Iterator[PushedImage]:
    """Push an image into a registry that wants a login."""
    with Registry(LAB_ACCOUNT) as registry:
        yield push_image(registry, "private/app")


def authorization(user: str, password: str) -> str:
    """Encode credentials as config.json holds them."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def test_a_context_leads_to_its_engine(engine: Engine, registry: Registry, puller: Puller, backend: str) -> None:
    """--context, DOCKER_CONTEXT and the current context each reach the engine they name."""
    pushed = push_image(registry, "context/app")
    add_context(puller, "lab", engine.host)
    del puller.environment["DOCKER_HOST"]
    arguments = ("--image", pushed.reference, "--backend", backend)
    assert puller.pull(*arguments, "--context", "lab").images[0]["status"] == "pulled"
    assert puller.pull(*arguments, environment={"DOCKER_CONTEXT": "lab"}).images[0]["status"] == "up_to_date"
    (puller.docker_config / "config.json").write_text('{"currentContext": "lab"}')
    assert puller.pull(*arguments).images[0]["status"] == "up_to_date"


def test_a_misspelt_context_is_an_error(engine: Engine, registry: Registry, puller: Puller, backend: str) -> None:
    """A context that does not exist is refused by name, and no other engine is used instead."""
    pushed = push_image(registry, "context/none")
    run = puller.pull("--image", pushed.reference, "--backend", backend, "--context", "labb")
    assert (run.code, run.stdout) == (2, "")
    assert "'labb' not found" in run.stderr
    assert engine.images() == []


def test_stored_credentials_open_a_private_registry(private: PushedImage, puller: Puller, backend: str) -> None:
    """What `docker login` stored is used."""
    auth = {"auth": authorization(LAB_ACCOUNT.user, LAB_ACCOUNT.password)}
    (puller.docker_config / "config.json").write_text(json.dumps({"auths": {private.address: auth}}))
    run = puller.pull("--image", private.reference, "--backend", backend)
    assert (run.code, run.images[0]["digest"]) == (0, private.digest)


def test_a_credential_helper_opens_a_private_registry(
    private: PushedImage, puller: Puller, backend: str, tmp_path: Path
) -> None:
    """A helper on the PATH, named in config.json, is asked."""
    answer = {"ServerURL": private.address, "Username": LAB_ACCOUNT.user, "Secret": LAB_ACCOUNT.password}
    helper = tmp_path / "bin/docker-credential-lab"
    helper.parent.mkdir()
    helper.write_text(f"#!/bin/sh\ncat >/dev/null\necho '{json.dumps(answer)}'\n")
    helper.chmod(0o755)
    (puller.docker_config / "config.json").write_text(json.dumps({"credHelpers": {private.address: "lab"}}))
    path = f"{helper.parent}:{puller.environment['PATH']}"
    run = puller.pull("--image", private.reference, "--backend", backend, environment={"PATH": path})
    assert (run.code, run.images[0]["digest"]) == (0, private.digest)


@pytest.mark.parametrize("password", [None, "s3cr3t-and-wrong"])
def test_missing_or_wrong_credentials_are_told_and_never_hang(
    private: PushedImage, puller: Puller, backend: str, password: str | None
) -> None:
    """A 401 is one failed attempt, although some docker commands would wait for a login for ever; no secret shows."""
    if password:
        auth = {"auth": authorization(LAB_ACCOUNT.user, password)}
        (puller.docker_config / "config.json").write_text(json.dumps({"auths": {private.address: auth}}))
    run = puller.pull("--image", private.reference, "--backend", backend)
    assert (run.code, run.images[0]["attempts"]) == (1, 1)
    assert run.images[0]["error"]["kind"] == "unauthorized"
    assert "s3cr3t" not in run.stdout + run.stderr


def test_no_engine_is_told_in_one_line(puller: Puller, backend: str, tmp_path: Path) -> None:
    """Exit 69, one line on stderr, and a report that says nothing was done."""
    gone = {"DOCKER_HOST": f"unix://{tmp_path}/nobody.sock"}
    run = puller.pull("--image", "nginx", "--backend", backend, environment=gone)
    assert (run.code, len(run.stderr.splitlines())) == (69, 1)
    assert run.images[0]["status"] == "cancelled"
    assert run.images[0]["error"]["kind"] == "daemon_unreachable"


def test_auto_takes_the_api_and_falls_back_to_the_command(
    engine: Engine, registry: Registry, puller: Puller, tmp_path: Path
) -> None:
    """With -v one sees which way was taken; where the API does not answer puller, the command may still reach it."""
    pushed = push_image(registry, "auto/app")
    assert "through its API" in puller.pull("--image", pushed.reference, "-v").stderr
    wrapper = tmp_path / "bin/docker"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nPATH="$REAL_PATH"\nexec docker --host {engine.host} "$@"\n')
    wrapper.chmod(0o755)
    environment = {
        "DOCKER_HOST": f"unix://{tmp_path}/nobody.sock",
        "REAL_PATH": puller.environment["PATH"],
        "PATH": f"{wrapper.parent}:{puller.environment['PATH']}",
    }
    run = puller.pull("--image", pushed.reference, "-v", environment=environment)
    assert run.code == 0
    assert "through the docker command" in run.stderr
