"""Which engine is meant, in the docker CLI's own order."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from puller.engine.endpoint import DEFAULT_HOST, EngineAddress, Tls, locate, resolve
from puller.errors import ExitCode, UsageError

DEFAULT = EngineAddress("default", DEFAULT_HOST, local=True)


class Home:
    """A docker configuration directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {"DOCKER_CONFIG": str(directory)}

    def meta(self, name: str) -> Path:
        """Give the file that describes a context."""
        return self.directory / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"

    def tls(self, name: str) -> Path:
        """Give the directory that holds a context's certificates."""
        return self.directory / "contexts" / "tls" / hashlib.sha256(name.encode()).hexdigest() / "docker"

    def context(self, name: str, host: str = "", **docker: Any) -> None:
        """Create a context as `docker context create` does."""
        self.write(
            name, json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host or f"tcp://{name}", **docker}}})
        )

    def write(self, name: str, text: str) -> None:
        """Write a context's file."""
        self.meta(name).parent.mkdir(parents=True)
        self.meta(name).write_text(text)

    def config(self, text: str) -> None:
        """Write config.json."""
        (self.directory / "config.json").write_text(text)

    def resolve(self, context: str | None = None, **environment: str) -> EngineAddress:
        """Resolve with this configuration."""
        return resolve(context, self.environment | environment)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Give a configuration with three contexts, one of them current."""
    made = Home(tmp_path)
    for name in ("named", "variable", "current"):
        made.context(name)
    made.config('{"currentContext": "current"}')
    return made


def test_the_order_is_the_docker_clis(home: Home) -> None:
    """--context, then DOCKER_HOST, then DOCKER_CONTEXT, then the current context."""
    both = {"DOCKER_HOST": "tcp://host:1", "DOCKER_CONTEXT": "variable"}
    assert home.resolve("named", **both) == EngineAddress("named", "tcp://named", context="named")
    assert home.resolve(**both) == EngineAddress("default", "tcp://host:1")
    assert home.resolve(DOCKER_CONTEXT="variable") == EngineAddress("variable", "tcp://variable")
    assert home.resolve() == EngineAddress("current", "tcp://current")


def test_without_anything_it_is_the_default(tmp_path: Path) -> None:
    """No configuration at all means the engine's default socket."""
    assert Home(tmp_path / "nowhere").resolve() == DEFAULT


def test_empty_variables_are_not_set(home: Home) -> None:
    """`DOCKER_HOST=` means nothing, as with docker."""
    assert home.resolve(DOCKER_HOST="", DOCKER_CONTEXT="").label == "current"


def test_the_default_context_can_be_named(home: Home) -> None:
    """`--context default` and DOCKER_CONTEXT=default lead past the current context, to DOCKER_HOST where it is set."""
    assert home.resolve("default") == DEFAULT._replace(context="default")
    assert home.resolve(DOCKER_CONTEXT="default") == DEFAULT
    assert home.resolve("default", DOCKER_HOST="tcp://host:1").url == "tcp://host:1"


@pytest.mark.parametrize("how", ["option", "variable", "config"])
def test_a_context_that_does_not_exist_is_a_usage_error(home: Home, how: str) -> None:
    """Nobody pulls to the local engine because a name was misspelt; the message names it."""
    home.config('{"currentContext": "prodd"}')
    with pytest.raises(UsageError, match="context 'prodd' not found") as caught:
        home.resolve("prodd" if how == "option" else None, **({"DOCKER_CONTEXT": "prodd"} if how == "variable" else {}))
    assert caught.value.exit_code is ExitCode.USAGE
    assert "\n" not in str(caught.value)


def test_a_name_is_no_path(home: Home) -> None:
    """A context called ../../etc is not looked for there."""
    with pytest.raises(UsageError, match="not found"):
        home.resolve("../meta")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "7", "{}", '{"Endpoints": {}}', '{"Endpoints": []}', '{"Endpoints": {"docker": "x"}}'],
)
def test_a_corrupted_context_is_a_usage_error(home: Home, text: str) -> None:
    """A meta.json that cannot be understood is named, and nothing is guessed."""
    home.write("bad", text)
    with pytest.raises(UsageError, match=r"context 'bad' cannot be read from .*meta\.json"):
        home.resolve("bad")


def test_a_context_in_bytes_is_a_usage_error(home: Home) -> None:
    """Binary rubbish is no context."""
    home.write("bad", "")
    home.meta("bad").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read"):
        home.resolve("bad")


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "{}", '{"currentContext": ""}', '{"currentContext": null}'])
def test_a_broken_config_json_is_the_default(tmp_path: Path, text: str) -> None:
    """The docker CLI only warns about its config.json; so the default engine is meant."""
    home = Home(tmp_path)
    home.config(text)
    assert home.resolve() == DEFAULT


def test_a_context_may_have_certificates(home: Home) -> None:
    """The context's own TLS directory is used, and its wish not to verify."""
    home.tls("named").mkdir(parents=True)
    assert home.resolve("named").tls == Tls(home.tls("named"), verify=True)
    home.context("lax", SkipTLSVerify=True)
    home.tls("lax").mkdir(parents=True)
    assert home.resolve("lax").tls == Tls(home.tls("lax"), verify=False)
    assert home.resolve("current").tls is None


def test_a_contexts_host_may_be_missing(home: Home) -> None:
    """An endpoint without a host is the default socket."""
    home.write("bare", '{"Endpoints": {"docker": {}}}')
    assert home.resolve("bare") == EngineAddress("bare", DEFAULT_HOST, local=True, context="bare")


@pytest.mark.parametrize(
    ("environment", "verify"),
    [
        ({}, None),
        ({"DOCKER_CERT_PATH": "/certs"}, None),
        ({"DOCKER_TLS_VERIFY": "1"}, True),
        ({"DOCKER_TLS": "1"}, False),
        ({"DOCKER_TLS": "1", "DOCKER_TLS_VERIFY": "1"}, True),
        ({"DOCKER_TLS_VERIFY": ""}, None),
    ],
)
def test_the_variables_ask_for_tls(home: Home, environment: dict[str, str], *, verify: bool | None) -> None:
    """DOCKER_TLS_VERIFY and DOCKER_TLS are for DOCKER_HOST, with certificates beside config.json by default."""
    found = home.resolve(DOCKER_HOST="tcp://host:2376", **environment)
    assert found.tls == (None if verify is None else Tls(home.directory, verify=verify))


def test_certificates_may_be_elsewhere(home: Home) -> None:
    """DOCKER_CERT_PATH says where."""
    found = home.resolve(DOCKER_HOST="tcp://host:2376", DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH="/certs")
    assert found.tls == Tls(Path("/certs"), verify=True)


def test_the_variables_are_not_for_a_context(home: Home) -> None:
    """A context speaks for itself."""
    assert home.resolve("named", DOCKER_TLS_VERIFY="1").tls is None


def test_the_configuration_is_in_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without DOCKER_CONFIG it is ~/.docker."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".docker").mkdir()
    home = Home(tmp_path / ".docker")
    home.context("named", "ssh://me@there")
    assert resolve("named", {}) == EngineAddress("named", "ssh://me@there", context="named")


@pytest.mark.parametrize(
    ("host", "local"), [("unix:///run/x.sock", True), ("tcp://127.0.0.1:2375", False), ("ssh://me@there", False)]
)
def test_the_address_says_whether_the_engine_is_on_this_machine(tmp_path: Path, host: str, *, local: bool) -> None:
    """A socket that the user's own configuration names is this machine's."""
    assert Home(tmp_path).resolve(DOCKER_HOST=host).local is local


def test_two_ways_to_one_engine_have_one_identity(tmp_path: Path) -> None:
    """A link to a socket is that socket; a socket that leads to another host is known by that host's name."""
    (tmp_path / "link.sock").symlink_to(tmp_path / "real.sock")
    home = Home(tmp_path)
    real, link = (home.resolve(DOCKER_HOST=f"unix://{tmp_path}/{name}.sock") for name in ("real", "link"))
    assert real.identity == link.identity == f"unix://{os.path.realpath(tmp_path)}/real.sock"
    assert home.resolve(DOCKER_HOST="tcp://Host:1/").identity == "tcp://host:1"
    assert EngineAddress("web-3", f"unix://{tmp_path}/forward-7.sock").identity == "web-3"


def test_other_programs_have_an_engine_for_each_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the program lies, and whatever docker is told."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "tcp://host:1")
    found = locate(docker_command="/opt/bin/podman")
    assert (found.identity, found.local) == (f"podman of user {os.geteuid()}", True)
    assert locate(docker_command="/opt/bin/docker").url == "tcp://host:1"
