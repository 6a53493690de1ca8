"""Where accounts come from, and credential helpers that behave badly."""

import base64
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from puller.system.credentials import Keyring
from puller.system.docker_config import Credential
from tests.lab import wait_until
from tests.lab.home import Configure, configure, home

__all__ = ["configure", "home"]


def auth(user: str) -> dict[str, str]:
    """Return an account as config.json has it."""
    return {"auth": base64.b64encode(f"{user}:secret".encode()).decode()}


def helper(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a helper named `lab` on the PATH; the server's name is in $server."""
    program = folder / "docker-credential-lab"
    program.write_text(f"#!/bin/sh\nread -r server || true\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def user(registry: str, repository: str = "a/b") -> str | None:
    """Return whose account is found."""
    credential = Keyring().find(registry, repository)
    return credential.username if credential else None


def test_nobody() -> None:
    """An empty home."""
    assert user("registry.example") is None


def test_the_config_file(configure: Configure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By host, by URL, Docker Hub by its old name; DOCKER_CONFIG before HOME."""
    configure(
        {
            "auths": {
                "registry.example:5000": auth("a"),
                "https://other.example/v2/": auth("b"),
                "https://index.docker.io/v1/": auth("hub"),
                "empty.example": {},
            }
        }
    )
    found = [user(name) for name in ("registry.example:5000", "registry.example", "other.example", "docker.io")]
    assert found == ["a", None, "b", "hub"]
    assert user("empty.example") is None
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"other.example": auth("c")}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert [user("other.example"), user("docker.io")] == ["c", None]


def test_podmans_file_comes_first(configure: Configure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With its accounts for parts of a registry; docker's file has the rest."""
    configure({"auths": {"one.example": auth("docker"), "two.example": auth("docker")}})
    file = tmp_path / "auth.json"
    file.write_text(
        json.dumps(
            {
                "auths": {
                    "one.example": auth("whole"),
                    "one.example/team": auth("team"),
                    "one.example/team/app": auth("app"),
                }
            }
        )
    )
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(file))
    keyring = Keyring()

    def found(registry: str, repository: str) -> str:
        credential = keyring.find(registry, repository)
        return credential.username if credential else ""

    assert found("one.example", "other/app") == "whole"
    assert found("one.example", "team") == "team"
    assert found("one.example", "team/other") == "team"
    assert found("one.example", "team/app") == "app"
    assert found("one.example", "teamwork") == "whole"
    assert found("two.example", "team") == "docker"
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "missing"))
    assert user("one.example") == "docker"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no json",
        "[]",
        "7",
        "null",
        '{"auths": 7}',
        '{"auths": {"x": 7}}',
        '{"auths": {"x": {"auth": "%%"}}}',
        "[" * 9999,
        "\xff",
    ],
)
def test_a_broken_file_is_no_account(configure: Configure, content: str) -> None:
    """And no error."""
    configure({}).write_text(content, encoding="latin-1")
    assert user("x") is None


def test_an_odd_entry_costs_no_other(configure: Configure) -> None:
    """One registry's entry that cannot be read is no account there; a file that changes is read again."""
    odd = {"list.example": [], "text.example": {"auth": "%%"}, "number.example": {"auth": 7, "identitytoken": 7}}
    configure({"auths": {**odd, "good.example": auth("me")}, "credHelpers": [], "credsStore": None})
    assert [user(name) for name in (*odd, "good.example")] == [None, None, None, "me"]
    configure({"auths": {"good.example": auth("another")}})
    assert user("good.example") == "another"


def test_a_registrys_own_name_wins(configure: Configure) -> None:
    """It is what `docker login` writes today; an address with a path is older."""
    configure({"auths": {"one.example": auth("new"), "https://one.example/v1/": auth("old")}})
    assert user("one.example") == "new"


def test_helpers(configure: Configure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """For one registry and for all, with a password or an identity token."""
    helper(tmp_path, """printf '{"Username":"%s","Secret":"s"}' "$server" """, monkeypatch)
    configure({"credHelpers": {"one.example": "lab"}, "auths": {"two.example": auth("file")}})
    assert [user("one.example"), user("two.example")] == ["one.example", "file"]
    configure({"credsStore": "lab"})
    assert user("docker.io") == "https://index.docker.io/v1/"
    helper(tmp_path, """echo '{"Username":"<token>","Secret":"identity"}'""", monkeypatch)
    assert Keyring().find("one.example", "a") == Credential(identity_token="identity")


@pytest.mark.parametrize(
    "script",
    [
        "echo garbage",
        "echo '[]'",
        "echo '{}'",
        """echo '{"Username": 7, "Secret": null}'""",
        "echo credentials not found in native keychain; exit 1",
        "exit 1",
        "kill -9 $$",
        "printf '\\377'",
        "true",
    ],
)
def test_a_helper_in_trouble_is_no_account(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str
) -> None:
    """And no error."""
    helper(tmp_path, script, monkeypatch)
    configure({"credsStore": "lab"})
    assert user("one.example") is None


def test_a_helper_that_is_missing_or_cannot_run(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Is passed over without a warning."""
    configure({"credsStore": "lab"})
    assert user("one.example") is None
    helper(tmp_path, "", monkeypatch)
    (tmp_path / "docker-credential-lab").write_text("#!/nonexistent/interpreter\n")
    assert user("one.example") is None


def test_a_helper_that_hangs_is_asked_once(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever waits for it goes on after its time, and the helper is ended."""
    pids = tmp_path / "pids"
    helper(tmp_path, f'echo $$ >> "{pids}"; exec sleep 300', monkeypatch)
    configure({"credsStore": "lab"})
    keyring = Keyring(helper_seconds=0.5)
    before = threading.active_count()
    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(lambda _: keyring.find("one.example", "a"), range(10))) == [None] * 10
    assert wait_until(pids.exists, 30)
    (pid,) = pids.read_text().split()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)
    assert wait_until(lambda: threading.active_count() <= before, 30)


@pytest.mark.parametrize("folder", ["run", "config"])
def test_podmans_own_files(home: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    """Of the login session and of the user; docker's file comes before them."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "run"))
    file = home / {"run": "run", "config": ".config"}[folder] / "containers" / "auth.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"auths": {"one.example": auth("podman")}}))
    assert user("one.example") == "podman"
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": {"one.example": auth("docker")}}))
    assert user("one.example") == "docker"


@pytest.mark.parametrize(("variable", "expected"), [("", "file"), ("{bad", "file"), ("other", "file"), ("one", "env")])
def test_the_variable_comes_before_the_file(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, variable: str, expected: str
) -> None:
    """DOCKER_AUTH_CONFIG has a config.json; what it does not name, or cannot be read, leaves the file."""
    configure({"auths": {"one.example": auth("file")}})
    text = json.dumps({"auths": {f"{variable}.example": auth("env")}}) if variable.isalpha() else variable
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", text)
    assert user("one.example") == expected


@pytest.mark.parametrize(
    ("entry", "password"),
    [
        ({"username": "me", "password": "p"}, "p"),
        ({"auth": "", "username": "me", "password": "p"}, "p"),
        ({"Auth": base64.b64encode(b"me:p").decode()}, "p"),
        ({"auth": base64.b64encode(b"me:p\0\0").decode()}, "p"),
        ({"auth": base64.b64encode(b"me:p:q").decode()}, "p:q"),
        ({"auth": ""}, None),
        ({"auth": None}, None),
        (None, None),
    ],
)
def test_entries_are_read_as_docker_reads_them(configure: Configure, entry: object, password: str | None) -> None:
    """Keys in any case, a name and password of their own, NULs at the end; an empty entry is no account."""
    configure({"AUTHS": {"one.example": entry}})
    keyring = Keyring()
    credential = keyring.find("one.example", "a")
    assert (credential and credential.password) == password
    assert keyring.problems == {}


@pytest.mark.parametrize("entry", [7, [], "x", {"auth": "%%"}, {"auth": "YWJj"}, {"auth": 7}])
def test_an_odd_entry_is_named(configure: Configure, entry: object) -> None:
    """With its file and its registry, and for that registry only."""
    path = configure({"auths": {"odd.example": entry, "one.example": auth("me")}})
    keyring = Keyring()
    assert keyring.find("odd.example", "a") is None
    assert keyring.find("one.example", "a") is not None
    (problem,) = keyring.problems.values()
    assert problem.startswith(f"{path}: its entry for odd.example ")


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ('echo \'time=now key=s3cret\'; echo \'{"Username":"u","Secret":"s3cret"}\'', "gives no valid answer"),
        ("echo s3cret", "gives no valid answer"),
        ("true", "gives no valid answer"),
        ("echo s3cret; exit 3", "fails with exit code 3"),
        ("echo s3cret >&2; exit 1", "fails with exit code 1"),
        ("echo credentials not found in native keychain; exit 1", ""),
        ("sleep 60", "does not answer within 0.5s"),
    ],
)
def test_a_helper_in_trouble_is_named(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, problem: str
) -> None:
    """What it prints is not shown; that it has no account for a registry is no trouble."""
    helper(tmp_path, script, monkeypatch)
    configure({"credHelpers": {"one.example": "lab"}})
    keyring = Keyring(helper_seconds=0.5)
    assert keyring.find("one.example", "a") is keyring.find("two.example", "a") is None
    assert keyring.problems == ({"one.example": f"docker-credential-lab {problem}"} if problem else {})


def test_a_helper_is_asked_again_once_after_a_refusal(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its passwords may be short-lived; one that stays wrong does not make every image ask."""
    helper(tmp_path, f'echo x >> {tmp_path}/asked; echo \'{{"Username":"u","Secret":"s"}}\'', monkeypatch)
    configure({"credsStore": "lab"})
    keyring = Keyring()
    for _ in range(5):
        keyring.find("one.example", "a")
        keyring.renew("one.example")
    keyring.find("one.example", "a")
    assert (tmp_path / "asked").read_text() == "x\n" * 2


def test_a_secret_is_not_shown() -> None:
    """Not even by a debugger's repr."""
    assert repr(Credential("me", "secret", "identity")) == "Credential(username='me')"
