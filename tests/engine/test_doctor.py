"""`puller doctor` against engines and registries broken in many ways: each is named, with how to put it right."""

import base64
import http.server
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from puller.doctor import EngineChoice, Finding, Scope, Verdict, examine
from puller.image.reference import ImageReference
from puller.settings import BackendChoice, RegistrySettings
from tests.engine.conftest import Puller
from tests.faults.scene import UNPRIVILEGED
from tests.lab import Engine, Proxy, PushedImage, Registry, Rule, TokenServer, faults, parse, push_image
from tests.lab.names import NameServer
from tests.lab.seclusion import ADDRESS, secluded
from tests.lab.tls import TlsFront

Found = Mapping[tuple[str, str], Finding]
NOBODY = "127.0.0.1:1"
"""A port at which nobody listens."""


@pytest.fixture
def image(registry: Registry) -> PushedImage:
    """Push the image that is asked for."""
    return push_image(registry, "doctor/app")


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Live in an empty home, without an engine."""
    for name in list(os.environ):
        if name.startswith(("DOCKER_", "REGISTRY_AUTH")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    for name, value in (("HOME", folder), ("DOCKER_CONFIG", folder), ("DOCKER_HOST", f"unix://{tmp_path}/no.sock")):
        monkeypatch.setenv(name, str(value))
    return folder


def findings(*references: str, choice: EngineChoice | None = None, **more: object) -> Found:
    """Let the doctor look, without a process of its own."""
    scope = Scope(choice or EngineChoice(BackendChoice.AUTO), tuple(map(ImageReference.parse, references)), **more)  # type: ignore[arg-type]
    return {(each.subject, each.check): each for each in examine(scope)}


def assert_found(found: Finding, status: Verdict, words: str, fix: str) -> None:
    """Compare a finding with what it must name, and with what must be in its cure."""
    assert (found.status, words in found.words, fix in found.fix) == (status, True, True), found


def test_all_is_well(registry: Registry, proxy: Proxy, image: PushedImage, puller: Puller, backend: str) -> None:
    """Exit 0; every step of engine and registry is a check, and nothing is asked for that would count as a pull."""
    run = puller.run("doctor", "--backend", backend, "--format", "json", "--image", image.at(proxy.address))
    assert (run.code, run.report["schema"], run.report["ok"]) == (0, "puller.doctor/1", True), run.stdout
    checks = {(check["subject"], check["check"]): check for check in run.report["checks"]}
    engine = ("reachable", "version", "store", "platform", "clock", "downloads", "unpigz")
    assert [check for subject, check in checks if subject == "engine"] == [*engine]
    steps = ("tcp", "tls", "clock", "auth", "latency")
    assert [check for subject, check in checks if subject == proxy.address] == [*steps]
    assert "(DOCKER_HOST)" in checks["engine", "reachable"]["message"]
    assert "is 3 (the default)" in checks["engine", "downloads"]["message"]
    if "containerd store" not in checks["engine", "store"]["message"]:
        assert "a higher limit helps" in checks["engine", "downloads"]["message"]
    assert {check["fix"] for check in checks.values() if check["status"] == "ok"} == {None}
    assert {request.method for request in proxy.log if request.path != "/v2/"} == {"HEAD"}


def test_without_a_list_no_registry_is_asked(proxy: Proxy, puller: Puller) -> None:
    """A registry that config.json knows is none that the user named; the last line says what a list would add."""
    (puller.docker_config / "config.json").write_text(json.dumps({"auths": {proxy.address: {}}}))
    run = puller.run("doctor")
    assert run.code == 0, run.stdout
    assert "puller doctor LIST" in run.stdout.splitlines()[-1]
    assert proxy.log == []


def test_a_dead_engine(puller: Puller, tmp_path: Path, backend: str) -> None:
    """Exit 1, and how to start it; everything else is looked at all the same."""
    gone = {"DOCKER_HOST": f"unix://{tmp_path}/gone.sock"}
    arguments = ("--image", f"{NOBODY}/x", "--mirror", f"{NOBODY}=127.0.0.1:2/cache")
    run = puller.run("doctor", "--backend", backend, *arguments, environment=gone)
    assert run.code == 1
    assert f"mirrors of {NOBODY}: 127.0.0.1:2: Connection refused" in run.stdout
    assert "the engine does not run" in run.stdout
    assert "→ sudo systemctl start docker" in run.stdout
    assert f"failed: engine reachable, {NOBODY} tcp" in run.stdout


def test_a_socket_that_lets_nobody_in(tmp_path: Path) -> None:
    """The group whose member one must be."""
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        os.chown(path, 65534, 65534)
        path.chmod(0o600)
        puller = Puller(f"unix://{path}", tmp_path)
        argv = [*UNPRIVILEGED, *puller.argv("doctor")]
        done = subprocess.run(argv, env=puller.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "permission denied on the socket" in done.stdout
    assert "sudo usermod -aG docker $USER" in done.stdout


def test_a_context_that_is_not_there() -> None:
    """It is named; no other engine is looked at instead."""
    found = findings(choice=EngineChoice(BackendChoice.AUTO, context="labb"))
    assert_found(found["engine", "reachable"], Verdict.FAILED, "'labb' not found", "docker context ls")
    assert ("engine", "version") not in found


def test_an_engine_with_little_room_few_slots_and_a_dead_mirror(
    pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch, proxy: Proxy, image: PushedImage
) -> None:
    """A nearly full disk fails; what is merely slow is a warning, with the line for daemon.json."""
    options = ["--max-concurrent-downloads=2", f"--registry-mirror=http://{NOBODY}"]
    engine = Engine(parse(pytestconfig.getoption("--engine")), options=options)
    engine.data_root.mkdir()
    disk = ["mount", "-t", "tmpfs", "-o", "size=64m", "puller", str(engine.data_root)]
    try:
        subprocess.run(disk, check=True)
        engine.start()
        monkeypatch.setenv("DOCKER_HOST", engine.host)
        own = {proxy.address: RegistrySettings(mirrors=(f"{NOBODY}/cache",))}
        found = findings(image.at(proxy.address), jobs=8, registries=own)
    finally:
        engine.stop()
    space = found["disk", "space"]
    assert_found(space, Verdict.FAILED, f"are free at {engine.data_root} (warning under 10.0GB", "puller prune")
    assert_found(found["disk", "inodes"], Verdict.OK, "are free", "")
    if engine.binary.store == "containerd":
        assert "-j 8 means up to 16 layers" in found["engine", "downloads"].words
    else:
        slots = f'# add to {engine.directory / "daemon.json"}: "max-concurrent-downloads": 10\n'
        assert_found(found["engine", "downloads"], Verdict.WARNING, "is 2, for all pulls together: -j 8", slots)
    dead = found[f"mirror http://{NOBODY}/", "reachable"]
    assert_found(dead, Verdict.WARNING, "registry-mirrors of the engine", "# or remove it from registry-mirrors")
    dead = found[f"mirror {NOBODY}/cache", "reachable"]
    assert_found(dead, Verdict.WARNING, f"mirrors of {proxy.address}: {NOBODY}: Connection refused", "curl -v")


class Plain(http.server.BaseHTTPRequestHandler):
    """A registry without TLS."""

    def do_GET(self) -> None:
        """Say that this is a registry."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def test_names_and_certificates(tmp_path: Path) -> None:
    """No such name, an unknown authority, an expired and a nearly expired certificate, plain HTTP: each for itself."""
    certificates = tmp_path / "certs.d"

    def front(stack: ExitStack, name: str, days: int, *, trusted: bool) -> str:
        folder = tmp_path / name
        folder.mkdir()
        made = stack.enter_context(TlsFront(ADDRESS, NOBODY, folder, days=days))
        if trusted:
            (certificates / made.address).mkdir(parents=True)
            (certificates / made.address / "ca.crt").write_bytes(made.authority.read_bytes())
        return made.address

    def inside() -> tuple[Found, list[str]]:
        with ExitStack() as stack:
            stack.enter_context(NameServer(ADDRESS))
            fronts = [front(stack, name, days, trusted=name != "unknown") for name, days in ailments.items()]
            plain = http.server.ThreadingHTTPServer((ADDRESS, 0), Plain)
            stack.callback(plain.server_close)
            threading.Thread(target=plain.serve_forever, args=(0.02,), daemon=True).start()
            stack.callback(plain.shutdown)
            places = ["nowhere.example", *fronts, f"{ADDRESS}:{plain.server_address[1]}"]
            return findings(*(f"{place}/x" for place in places), certificates=certificates), places

    ailments = {"unknown": 90, "expired": -1, "soon": 5, "good": 90}
    found, (nowhere, unknown, expired, soon, good, plain) = secluded(inside)
    assert_found(found[nowhere, "dns"], Verdict.FAILED, "does not resolve", "/etc/resolv.conf")
    folder = certificates / unknown
    assert_found(found[unknown, "tls"], Verdict.FAILED, "unknown authority", f"sudo cp ca.crt {folder}/ca.crt")
    assert_found(found[expired, "tls"], Verdict.FAILED, "has expired", f"openssl s_client -connect {expired}")
    assert_found(found[soon, "tls"], Verdict.WARNING, "4 more days", "renew it")
    assert_found(found[good, "tls"], Verdict.OK, "is valid until", "")
    assert_found(found[plain, "tls"], Verdict.FAILED, "plain HTTP", f'"insecure-registries": ["{plain}"]')


@pytest.fixture
def guarded(registry: Registry) -> Iterator[TokenServer]:
    """Let in one account only."""
    with TokenServer(registry, accounts={"ann": "right"}) as server:
        yield server


def test_accounts(guarded: TokenServer, image: PushedImage, home: Path) -> None:
    """None, a wrong password and the right one are three things; no secret is shown."""
    reference = image.at(guarded.address)
    found = findings(reference)[guarded.address, "auth"]
    assert_found(found, Verdict.FAILED, "refused without an account", f"docker login {guarded.address}")
    for password, status, words in (("s3cr3t", Verdict.FAILED, "refused with"), ("right", Verdict.OK, "can be pulled")):
        account = {"auth": base64.b64encode(f"ann:{password}".encode()).decode()}
        (home / "config.json").write_text(json.dumps({"auths": {guarded.address: account}}))
        found = findings(reference)[guarded.address, "auth"]
        assert_found(found, status, "the account ann", "" if password == "right" else "docker logout")
        assert words in found.words
        assert "s3cr3t" not in found.words


def skewed(hours: int) -> faults.Action:
    """Answer with another clock."""
    return faults.answer(200, {"Date": format_datetime(datetime.now(UTC) + timedelta(hours=hours))})


def quota(remaining: int, image: PushedImage) -> faults.Action:
    """Answer with what is left of a quota, as Docker Hub does."""
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    left = {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": f"{remaining};w=21600"}
    return faults.answer(200, {"Docker-Content-Digest": image.digest, "Content-Type": kind, **left})


def test_registries_that_answer_oddly(proxy: Proxy, image: PushedImage) -> None:
    """Another clock, a quota used up or too small, a 429, a 503 and a missing tag: each with its cure."""

    def asked(check: str, *rules: Rule, repository: str = "doctor/app", tags: tuple[str, ...] = ("v1",)) -> Finding:
        proxy.use(*rules)
        return findings(*(f"{proxy.address}/{repository}:{tag}" for tag in tags))[proxy.address, check]

    found = asked("clock", Rule("/v2/$", skewed(2)))
    assert_found(found, Verdict.FAILED, "ahead of this host's", "timedatectl set-ntp true")
    found = asked("quota", Rule("/manifests/", quota(0, image)))
    assert_found(found, Verdict.FAILED, "0 of 100 pulls are left in 6h00m", f"docker login {proxy.address}")
    found = asked("quota", Rule("/manifests/", quota(2, image)), tags=("1", "2", "3"))
    assert_found(found, Verdict.WARNING, "fewer than the 3 images", "docker login")
    found = asked("quota", Rule("/manifests/", faults.answer(429, {"Retry-After": "90"})))
    assert_found(found, Verdict.FAILED, "for another 1m30s", "docker login")
    found = asked("api", Rule("/v2/$", faults.answer(503)))
    assert_found(found, Verdict.FAILED, "status 503", f"curl -v http://{proxy.address}/v2/")
    found = asked("api", Rule("/manifests/", faults.answer(500)))
    assert_found(
        found, Verdict.FAILED, "app:v1: status 500", f"curl -vI http://{proxy.address}/v2/doctor/app/manifests/v1"
    )
    found = asked("image", repository="doctor/nope")
    assert_found(found, Verdict.WARNING, "there is no", "docker manifest inspect")


def test_hostile_words_are_made_safe(proxy: Proxy, image: PushedImage) -> None:
    """What a registry says moves no cursor, turns no line around, starts no line, and tells no secret."""
    words = "\x1b[2Jno\u202e way\nok  password=hunter2"
    body = json.dumps({"errors": [{"code": "DENIED", "message": words}]}).encode()
    proxy.use(
        Rule("/manifests/", faults.answer(405), method="HEAD"),  # its answer has no body to tell anything
        Rule("/manifests/", faults.answer(403, {}, body)),
    )
    found = findings(image.at(proxy.address))
    assert found[proxy.address, "auth"].words == (
        "refused without an account: status 403, denied: no way ok password=***"
    )


def test_helpers_that_are_missing_or_hang(
    home: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry, image: PushedImage
) -> None:
    """A helper of the list's registry that is not in PATH fails, others are warnings; one that hangs is left."""
    monkeypatch.setattr("puller.doctor.credentials.SECONDS", 0.3)
    helper = home / "docker-credential-slow"
    helper.write_text("#!/bin/sh\nsleep 60\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}:{os.environ['PATH']}")

    def helpers(*references: str, **config: object) -> list[Finding]:
        (home / "config.json").write_text(json.dumps(config))
        return [each for (subject, check), each in findings(*references).items() if check == "helper"]

    (found,) = helpers(image.reference, credHelpers={registry.address: "none"})
    assert_found(found, Verdict.FAILED, "docker-credential-none is not on the PATH", "config.json")
    (found,) = helpers(image.reference, credHelpers={"elsewhere.example": "none"})
    assert_found(found, Verdict.WARNING, "docker-credential-none is not on the PATH", "config.json")
    (found,) = helpers(credsStore="slow")
    assert_found(found, Verdict.FAILED, "does not answer within 0.3s", "docker-credential-slow list")
    (home / "config.json").write_text("{")
    found = findings()["credentials", "config"]
    assert_found(found, Verdict.FAILED, "cannot be read", "json.tool")
