"""What hosts and controller send each other, the address of the broker, its accounts, and what a host remembers."""

import json
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from puller.cli.broker_options import address_of
from puller.engine.model import EngineInfo, LocalImage, LocalImages
from puller.errors import EngineError, UsageError
from puller.fleet.queue import host_pull, worker
from puller.fleet.queue.accounts import Accounts
from puller.fleet.queue.address import BrokerAddress
from puller.fleet.queue.definitions import definitions, hash_password, missing_tokens
from puller.fleet.queue.host_state import HostState
from puller.fleet.queue.messages import (
    LONGEST_TASK,
    MessageError,
    PullTask,
    TaskResult,
    decode_result,
    decode_task,
    encode,
    is_host_name,
)
from puller.image.reference import Platform
from puller.model import Status
from puller.registry.pools import SharedLimits
from puller.settings import Policy, RetryPolicy, Settings
from tests.lab import tls
from tests.lab.fakes import FakeBackend, FakeStore
from tests.lab.program import Program
from tests.lab.samples import DIGEST

REFERENCE = f"registry.example/app:1@{DIGEST}"
LINUX = Platform.parse("linux/amd64")
TASK = PullTask("run-1", "web-1", REFERENCE, "linux/arm64", 2, 1.5)
OUTCOME = {"reference": REFERENCE, "host": "web-1", "status": "pulled"}
RESULT = TaskResult("run-1", "web-1", REFERENCE, 2, OUTCOME)


def test_a_host_that_cannot_remember_its_tasks_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its disk is full, or its state folder is gone: the task fails instead of being lost."""
    sent: list[TaskResult] = []
    monkeypatch.setattr(worker, "send_result", lambda _address, result: sent.append(result))
    state = HostState(tmp_path / "state")
    (tmp_path / "state").rmdir()
    options = worker.WorkerOptions("web-1", BrokerAddress.parse("amqp://web-1:x@localhost"))
    worker.HostTasks(options, state).run(encode(TASK._replace(expires=0.0)))
    assert [each.outcome["status"] for each in sent] == ["failed"]
    assert "there is no directory" in sent[0].outcome["error"]["message"]


@pytest.mark.parametrize(
    ("policy", "held", "status", "pulls"),
    [
        (Policy.NEWER, "app:1", Status.PULLED, 1),
        (Policy.MISSING, "app:1", Status.PRESENT, 0),
        (Policy.MISSING, "app:2", Status.PULLED, 1),
        (Policy.NEWER, f"app@{DIGEST}", Status.UP_TO_DATE, 0),
        (Policy.ALWAYS, f"app@{DIGEST}", Status.PULLED, 1),
    ],
)
def test_the_policy_of_a_task(
    monkeypatch: pytest.MonkeyPatch, policy: Policy, held: str, status: Status, pulls: int
) -> None:
    """A host keeps what has the name if only missing images are wanted, and the digest is pulled otherwise."""
    tags, digests = ((), (f"registry.example/{held}",)) if "@" in held else ((f"registry.example/{held}",), ())
    images = LocalImages([LocalImage("sha256:1", tags, digests, platforms=(LINUX,))])
    engine = FakeBackend(store=FakeStore(images, EngineInfo(platform=LINUX)))
    monkeypatch.setattr(host_pull, "locate", lambda *_, **__: None)
    monkeypatch.setattr(host_pull, "connect", lambda *_, **__: engine)
    task = TASK._replace(platform=None, policy=policy)
    outcome = host_pull.pull(task, host_pull.HostEngine(settings=Settings(disk_check=False)), lambda _: SharedLimits())
    assert (outcome.status, sum(engine.attempts.values())) == (status, pulls), outcome.failure


def test_retries_are_those_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are no part of a task."""
    engine = FakeBackend(otherwise=EngineError("received unexpected HTTP status: 503 Service Unavailable", status=500))
    monkeypatch.setattr(host_pull, "locate", lambda *_, **__: None)
    monkeypatch.setattr(host_pull, "connect", lambda *_, **__: engine)
    settings = Settings(retry=RetryPolicy(retries=1, delay=0.0, second_pass=False), disk_check=False)
    outcome = host_pull.pull(TASK, host_pull.HostEngine(settings=settings), lambda _: SharedLimits())
    assert (outcome.status, len(outcome.attempts)) == (Status.FAILED, 2)


def changed(message: PullTask | TaskResult, **fields: Any) -> str:
    """Return a message with other fields."""
    return json.dumps(json.loads(encode(message)) | fields)


def test_messages_are_read_as_they_were_written() -> None:
    """Both of them, from text and from bytes."""
    assert decode_task(encode(TASK)) == TASK
    assert decode_result(encode(RESULT).encode()) == RESULT
    request = TASK.request
    assert (request.reference.canonical, str(request.platform)) == (REFERENCE, "linux/arm64")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"command": "id"}, "unknown key 'command'"),
        ({"reference": "--privileged"}, "invalid reference: '--privileged'"),
        ({"reference": "registry.example/app:1"}, "invalid reference"),
        ({"reference": f"-v@{DIGEST}"}, "invalid reference"),
        ({"reference": ["a"]}, "invalid reference"),
        ({"host": "../etc"}, "invalid host"),
        ({"host": "-web"}, "invalid host"),
        ({"run": "a b"}, "invalid run"),
        ({"run": None}, "invalid run"),
        ({"platform": "--os"}, "invalid platform"),
        ({"attempt": True}, "invalid attempt"),
        ({"attempt": 0}, "invalid attempt"),
        ({"expires": -1}, "invalid expires"),
        ({"expires": "soon"}, "invalid expires"),
        ({"policy": "never"}, "invalid policy"),
        ({"schema": "puller.task/2"}, "has the schema 'puller.task/2'"),
        ({"run": "\u001b[31m"}, "invalid run"),
    ],
)
def test_a_task_that_is_not_what_it_should_be_is_refused(fields: dict[str, Any], words: str) -> None:
    """The words name the key, on one line that a terminal can show."""
    with pytest.raises(MessageError, match=words) as caught:
        decode_task(changed(TASK, **fields))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"schema": "puller.task/1"}', "lacks the key"),
        ('{"run": "a", "run": "b"}', "a key appears twice"),
        (encode(TASK).replace("1.5", "NaN"), "NaN is not a number"),
        ("[" * 5000, "not JSON"),
        ("x" * (LONGEST_TASK + 1), "longer than"),
    ],
)
def test_text_that_is_no_task_is_refused(text: str, words: str) -> None:
    """Nothing else than MessageError comes of it."""
    with pytest.raises(MessageError, match=words):
        decode_task(text)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ([], "invalid outcome"),
        ({**OUTCOME, "status": "fine"}, "invalid outcome.status"),
        ({**OUTCOME, "status": []}, "invalid outcome.status"),
        ({**OUTCOME, "host": "web-2"}, "invalid outcome.host"),
        ({**OUTCOME, "reference": 1}, "invalid outcome.reference"),
    ],
)
def test_an_outcome_that_is_none_is_refused(outcome: Any, words: str) -> None:
    """Whatever a host that was taken over sends."""
    with pytest.raises(MessageError, match=words):
        decode_result(changed(RESULT, outcome=outcome))


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_no_value_of_a_field_breaks_the_reader(value: Any) -> None:
    """A field of any kind is the right one or refused."""
    for field in PullTask._fields:
        try:
            decode_task(changed(TASK, **{field: value}))
        except MessageError:
            continue


@pytest.mark.parametrize(
    ("url", "files", "words"),
    [
        ("amqp://web-1:x@broker.example/puller", {}, "use amqps"),
        ("amqp://web-1:x@127.0.0.1.example/puller", {}, "use amqps"),
        ("amqps://broker.example", {}, "with a user"),
        ("http://web-1:x@broker.example", {}, "such as amqps"),
        ("amqps://web-1:x@broker.example:port", {}, "such as amqps"),
        ("amqps://web-1@broker.example", {}, "needs a password"),
        ("amqps://web-1@broker.example", {"certificate": "a.pem"}, "two files"),
        ("amqp://web-1:x@127.0.0.1", {"ca": "ca.pem"}, "certificates need amqps"),
    ],
)
def test_an_address_that_shows_secrets_or_lacks_them_is_refused(url: str, files: dict[str, str], words: str) -> None:
    """One line, without the password."""
    with pytest.raises(UsageError, match=words) as caught:
        BrokerAddress.parse(url, **files)
    assert ":x" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"ca": "none.pem"}, "--broker-ca none.pem cannot be used: No such file"),
        ({"ca": "ca-key.pem"}, "--broker-ca ca-key.pem cannot be used: no certificate"),
        ({"key": "none.pem"}, "--broker-key none.pem cannot be used: No such file"),
        ({"key": "ca-key.pem"}, "--broker-cert cert.pem cannot be used: key values mismatch"),
        ({"key": "ca.pem"}, "--broker-cert cert.pem cannot be used: not PEM, or a key with a password"),
    ],
)
def test_a_file_of_tls_that_cannot_be_used_is_named(
    files: dict[str, str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is done, instead of trying to connect for ever."""
    monkeypatch.chdir(tmp_path)
    tls.authority(tmp_path)
    tls.certificate(tmp_path, "web-1", "extendedKeyUsage=clientAuth\n")
    options = {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"}
    named = {"broker": "amqps://web-1@broker.example"}
    assert address_of(named | {f"broker_{name}": file for name, file in options.items()}).ca == "ca.pem"
    with pytest.raises(UsageError, match=words):
        address_of(named | {f"broker_{name}": file for name, file in (options | files).items()})


def test_an_address_has_defaults_and_hides_its_password() -> None:
    """Ports, the virtual host, and an account by certificate."""
    address = BrokerAddress.parse("amqps://web-1@[2001:db8::1]", certificate="a.pem", key="a.key")
    assert (str(address), address.external) == ("amqps://[2001:db8::1]:5671/puller", True)
    address = BrokerAddress.parse("amqp://web-1:s%2Fx@localhost/other")
    assert (address.password, str(address)) == ("s/x", "amqp://localhost:5672/other")


def test_definitions_have_no_password_and_few_permissions() -> None:
    """The salted hash is that of RabbitMQ's documentation; a host configures nothing."""
    assert hash_password("test12", bytes.fromhex("908DC60A")) == "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"
    text = definitions({"web-1": "secret-word", "web.2": ""}, {"Docker.io": 3}, "other-word")
    assert "secret-word" not in text
    assert "other-word" not in text
    document = json.loads(text)
    (host,) = (each for each in document["permissions"] if each["user"] == "web.2")
    assert host == {
        "user": "web.2", "vhost": "puller", "configure": "^$", "write": r"^puller\.results$",
        "read": r"^(puller\.host\.web\.2|puller\.tokens\..*)$",
    }  # fmt: skip
    assert all(each["durable"] and not each["arguments"] for each in document["queues"])


def test_tokens_that_are_missing_are_counted() -> None:
    """Those that pulls hold are there; more than wanted is no debt."""
    listed = '[{"name": "puller.tokens.a", "messages": 3}, {"name": "puller.tokens.b", "messages": 9}]'
    assert missing_tokens(listed, {"a": 5, "b": 2, "C": 1}) == {"puller.tokens.a": 2, "puller.tokens.c": 1}


def test_passwords_are_made_once_and_kept_private(tmp_path: Path) -> None:
    """The file is what systemd reads, and only its owner can."""
    accounts = Accounts("amqps://broker.example/puller", tmp_path / "accounts")
    password = accounts.password("web-1")
    path = tmp_path / "accounts/web-1.env"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert f"PULLER_BROKER=amqps://web-1:{password}@broker.example/puller\n" in path.read_text()
    assert Accounts("amqps://broker.example/puller", tmp_path / "accounts").password("web-1") == password
    assert Accounts("amqps://broker.example", None).password("web-1") == ""
    with pytest.raises(UsageError, match="without an account"):
        Accounts("amqps://me:x@broker.example", None)


def test_an_image_is_pulled_once_at_a_time(tmp_path: Path) -> None:
    """A second delivery of a task waits for the first; another image does not."""
    state, order = HostState(tmp_path / "state"), list[str]()

    def second() -> None:
        with state.image(TASK, 10):
            order.append("second")

    with state.image(TASK, 1):
        thread = threading.Thread(target=second)
        thread.start()
        with state.image(TASK._replace(reference=f"other@{DIGEST}"), 1):
            time.sleep(0.2)
            order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_beginnings_are_counted_until_the_end(tmp_path: Path) -> None:
    """By run and attempt, over processes; a file that was cut is none."""
    state = HostState(tmp_path / "state")
    for number in (1, 2):
        with state.image(TASK, 1) as begun:
            assert begun.count() == number
    with state.image(TASK._replace(attempt=3), 1) as begun:
        assert begun.count() == 1
        begun.forget()
    with state.image(TASK, 1) as begun:
        assert begun.count() == 3
        begun.forget()
    assert not [*(tmp_path / "state").glob("*.json")]
    with state.image(TASK, 1) as begun:
        begun.count()
    next((tmp_path / "state").glob("*.json")).write_text('{"run')
    with state.image(TASK, 1) as begun:
        assert begun.count() == 1


@pytest.mark.parametrize(("name", "good"), [("web-1", True), ("build@web.1", True), ("-x", False), ("a/b", False)])
def test_names_of_hosts(name: str, good: bool) -> None:
    """They are names of accounts, queues and files."""
    assert is_host_name(name) is good


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["worker"], "no broker given"),
        (["worker", "--broker", "amqp://web-1:x@192.0.2.1/puller"], "use amqps://"),
        (["worker", "--broker", "amqps://a%20b:x@broker.example"], "is no name of a host"),
        (["broker", "init", "--url", "amqps://broker.example"], "no hosts given"),
        (["broker", "init", "--host", "web-1"], "no broker given"),
        (["broker", "init", "--host", "ssh://controller", "--url", "amqps://b"], "is no name of a host"),
        (["broker", "init", "--host", "a", "--url", "amqps://b", "--rabbitmqctl", "/none"], "/none cannot be run"),
        (["broker", "init", "--host", "a", "--url", "amqps://b", "--token", "docker.io"], "is not REGISTRY=N"),
    ],
)
def test_wrong_usage_is_one_line(tmp_path: Path, words: list[str], problem: str) -> None:
    """What is wrong and what to do, with exit code 2."""
    run = Program(tmp_path, {"HOME": str(tmp_path)}).run(*words)
    assert run.code == 2
    assert problem in run.stderr.splitlines()[0]
    assert run.stdout == ""


def test_definitions_go_to_a_private_file(tmp_path: Path) -> None:
    """For a broker on another machine; rabbitmqctl is not run."""
    words = ["--host", "web-1", "--url", "amqps://broker.example", "--definitions", "d.json", "--token", "docker.io=2"]
    assert Program(tmp_path, {"HOME": str(tmp_path)}).run("broker", "init", *words).code == 0
    path = tmp_path / "d.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {each["name"] for each in json.loads(path.read_text())["queues"]} == {
        "puller.results", "puller.host.web-1", "puller.tokens.docker.io"
    }  # fmt: skip


def test_a_rabbitmqctl_of_4_3_gets_the_definitions(tmp_path: Path) -> None:
    """It reads its input only if `import_definitions` is the only word."""
    program = tmp_path / "rabbitmqctl"
    program.write_text('#!/bin/sh\n[ "$*" = import_definitions ] && cat >"$0.json"\n')
    program.chmod(0o755)
    words = ["--host", "web-1", "--url", "amqps://broker.example", "--rabbitmqctl", str(program)]
    assert Program(tmp_path, {"HOME": str(tmp_path)}).run("broker", "init", *words).stdout == "1 host, 0 new tokens\n"
    assert "puller.host.web-1" in (tmp_path / "rabbitmqctl.json").read_text()


def test_broker_init_can_be_interrupted(tmp_path: Path) -> None:
    """It says so in a line, and what is to be done."""
    program = tmp_path / "rabbitmqctl"
    program.write_text("#!/bin/sh\nkill -INT $PPID\nexec sleep 60\n")
    program.chmod(0o755)
    words = ["--host", "web-1", "--url", "amqps://broker.example", "--rabbitmqctl", str(program)]
    run = Program(tmp_path, {"HOME": str(tmp_path)}).run("broker", "init", *words)
    assert (run.code, run.stderr) == (130, "puller: interrupted by SIGINT; run it again\n")
