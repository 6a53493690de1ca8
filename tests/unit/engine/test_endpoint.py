"""Which engine is meant, in the docker CLI's own order."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from puller.engine.endpoint import Endpoint, Tls, resolve
from puller.errors import ExitCode, UsageError


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

    def resolve(self, context: str | None = None, **environment: str) -> Endpoint:
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
    assert home.resolve("named", **both) == Endpoint("named", "tcp://named")
    assert home.resolve(**both) == Endpoint("default", "tcp://host:1")
    assert home.resolve(DOCKER_CONTEXT="variable") == Endpoint("variable", "tcp://variable")
    assert home.resolve() == Endpoint("current", "tcp://current")


def test_without_anything_it_is_the_default(tmp_path: Path) -> None:
    """No configuration at all means the engine's default socket."""
    assert Home(tmp_path / "nowhere").resolve() == Endpoint("default", None)


def test_empty_variables_are_not_set(home: Home) -> None:
    """`DOCKER_HOST=` means nothing, as with docker."""
    assert home.resolve(DOCKER_HOST="", DOCKER_CONTEXT="").context == "current"


def test_the_default_context_can_be_named(home: Home) -> None:
    """`--context default` and DOCKER_CONTEXT=default lead past the current context, to DOCKER_HOST where it is set."""
    assert home.resolve("default") == Endpoint("default", None)
    assert home.resolve(DOCKER_CONTEXT="default") == Endpoint("default", None)
    assert home.resolve("default", DOCKER_HOST="tcp://host:1") == Endpoint("default", "tcp://host:1")


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
    assert home.resolve() == Endpoint("default", None)


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
    assert home.resolve("bare") == Endpoint("bare", None)


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
    assert resolve("named", {}) == Endpoint("named", "ssh://me@there")
