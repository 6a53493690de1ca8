"""Tasks, workers and results, on a real RabbitMQ and with pulls of nothing."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from puller.fleet.queue.address import RESULTS, TASKS, BrokerAddress
from puller.fleet.queue.broker import BrokerError, Delivery
from puller.fleet.queue.connection import open_connection
from puller.fleet.queue.messages import TaskResult, encode
from puller.fleet.queue.rabbitmq import RabbitBroker, send_result
from tests.fleet_queue.conftest import HOSTS, PASSWORD, WITHOUT_PASSWORD, Queue, task, tasks
from tests.lab.process import wait_until
from tests.lab.rabbitmq import RabbitMQ


def test_a_task_is_pulled_and_its_result_comes_back(queue: Queue) -> None:
    """The result names run, host, image and attempt, and the backlog tells who is there."""
    assert queue.broker.backlog("web-1") == (0, 0)
    queue.broker.publish("web-1", [task()])
    assert queue.broker.backlog("web-1") == (1, 0)
    worker = queue.worker("web-1")
    (result,) = queue.results(1)
    assert (result.run, result.host, result.reference, result.attempt) == ("run-1", "web-1", task().reference, 1)
    assert result.outcome["status"] == "pulled"
    assert result.outcome["host"] == "web-1"
    assert queue.broker.backlog("web-1") == (0, 1)
    os.kill(worker.process.pid, signal.SIGTERM)
    assert wait_until(lambda: not worker.process.alive(), 20)
    assert queue.broker.backlog("web-1") == (0, 0)


def test_nothing_is_used_that_newer_brokers_refuse(queue: Queue) -> None:
    """No queue that a restart would lose, no prefetch limit for a channel, no timeout of a consumer."""
    queue.worker("web-1", jobs=2)
    assert wait_until(lambda: queue.broker.backlog("web-1").consumers == 1, 30)
    queues = listed(queue, "list_queues", "-p", "puller", "name", "durable", "arguments")
    assert {each["name"].split(".")[1] for each in queues} == {"host", "results", "tokens"}
    assert all(each["durable"] for each in queues)
    itself = ["x-queue-type", "longstr", "classic"]  # RabbitMQ 4 writes down what it takes when nothing is said
    assert all(each["arguments"] in ([], [itself]) for each in queues)
    if queue.rabbit.binary.before_4:  # later ones refuse to be asked
        channels = listed(queue, "list_channels", "prefetch_count", "global_prefetch_count")
        assert all(each["global_prefetch_count"] == 0 for each in channels)
    consumers = listed(queue, "list_consumers", "-p", "puller", "queue_name", "prefetch_count")
    assert [(each["queue_name"], each["prefetch_count"]) for each in consumers] == [("puller.host.web-1", 2)]


def listed(queue: Queue, *words: str) -> list[dict[str, Any]]:
    """Return what rabbitmqctl lists."""
    found: list[dict[str, Any]] = json.loads(queue.rabbit.control("-q", *words, "--formatter", "json"))
    return found


def test_a_pull_whose_process_is_killed_begins_again(queue: Queue) -> None:
    """The worker gives the task back to the broker at once, and gets it again."""
    queue.broker.publish("web-1", [task()])
    worker = queue.worker("web-1", seconds=1.0)
    assert queue.begun(1)
    os.kill(int(queue.lines("begin")[0][2]), signal.SIGKILL)
    assert queue.begun(2)
    (result,) = queue.results(1)
    assert result.outcome["status"] == "pulled"
    assert worker.process.alive()
    assert len(queue.lines("end")) == 1
    assert all(line.startswith("puller: ") for line in worker.log().splitlines())


def test_a_worker_that_is_killed_and_started_again_finishes_its_task(queue: Queue) -> None:
    """The broker keeps the task for it, and no other host gets it."""
    other = queue.worker("web-2")
    queue.broker.publish("web-1", [task()])
    worker = queue.worker("web-1", seconds=1.0)
    assert queue.begun(1)
    worker.kill()
    assert wait_until(lambda: queue.broker.backlog("web-1") == (1, 0), 20)
    worker.restart()
    (result,) = queue.results(1)
    assert result.outcome["status"] == "pulled"
    assert {line[3] for line in queue.lines("begin")} == {"web-1"}
    assert other.process.alive()


def test_a_long_pull_is_said_to_go_on(queue: Queue) -> None:
    """So that the controller does not publish it again."""
    queue.broker.publish("web-1", [task()])
    queue.worker("web-1", seconds=1.0)
    statuses: list[str] = []
    for delivery in queue.deliveries(lambda: "pulled" in statuses):
        assert delivery.result, delivery.problem
        statuses.append(delivery.result.outcome["status"])
    assert statuses[0] == "pending"


def test_a_task_that_kills_its_process_is_given_up_after_three_times(queue: Queue) -> None:
    """It fails instead of coming again for ever, and the tasks behind it are done."""
    queue.broker.publish("web-1", tasks("web-1", ["poison", "app"]))
    queue.worker("web-1")
    results = {result.reference: result.outcome for result in queue.results(2)}
    poison, app = task(name="poison").reference, task(name="app").reference
    assert results[app]["status"] == "pulled"
    assert results[poison]["status"] == "failed"
    assert "3 times" in results[poison]["error"]["message"]
    assert len([line for line in queue.lines("begin") if line[4] == poison]) == 3


def test_a_broker_that_is_killed_loses_nothing(queue: Queue) -> None:
    """Tasks that wait, one that is pulled, and a result that nobody has read are all there after its restart."""
    send_result(queue.address("web-2"), result_of("web-2"))
    queue.broker.publish("web-1", tasks("web-1", ["a", "b", "c"]))
    queue.broker.publish("web-3", [task("web-3")])  # offline
    queue.worker("web-1", seconds=1.0)
    assert queue.begun(1)
    queue.rabbit.kill()
    queue.rabbit.start()
    assert {(each.host, each.reference) for each in queue.results(4)} == {
        *((each.host, each.reference) for each in tasks("web-1", ["a", "b", "c"])), ("web-2", task().reference)
    }  # fmt: skip
    assert queue.broker.backlog("web-3") == (1, 0)


def test_a_task_that_has_expired_is_not_begun(queue: Queue) -> None:
    """A host that comes too late pulls only what is still wanted."""
    queue.broker.publish("web-1", [task(name="late", expires=time.time() - 1), task(expires=time.time() + 600)])
    queue.worker("web-1")
    (result,) = queue.results(1)
    assert result.reference == task().reference
    assert "late" not in " ".join(line[4] for line in queue.lines("begin"))


def test_purge_removes_one_run_and_keeps_the_order_of_the_others(queue: Queue) -> None:
    """Tasks of other runs in the same queue stay."""
    for name, run in (("a", "run-1"), ("b", "run-2"), ("c", "run-1"), ("d", "run-2")):
        queue.broker.publish("web-1", [task(name=name, run=run)])
    assert queue.broker.purge("run-1") == 2
    assert queue.broker.purge("run-1", HOSTS) == 0
    queue.worker("web-1")
    assert [result.run for result in queue.results(2)] == ["run-2"] * 2
    assert [line[4] for line in queue.lines("begin")] == [task(name=name).reference for name in "bd"]


def test_a_host_that_the_broker_does_not_know_is_named(queue: Queue) -> None:
    """The words say what to do."""
    with pytest.raises(BrokerError, match="puller broker init"):
        queue.broker.publish("web-9", [task("web-9")])
    with pytest.raises(BrokerError, match=r"web-9.*puller broker init"):
        queue.broker.backlog("web-9")


def test_a_wrong_password_is_refused_in_words(rabbit: RabbitMQ) -> None:
    """There is no password in them."""
    with pytest.raises(BrokerError, match="refuses this account") as caught:
        RabbitBroker(BrokerAddress.parse(rabbit.url("controller", "wrong-word")))
    assert "wrong-word" not in str(caught.value)


def result_of(host: str, name: str = "app") -> TaskResult:
    """Return what a host says of its task."""
    outcome = {"reference": task(host, name).reference, "host": host, "status": "pulled"}
    return TaskResult("run-1", host, task(host, name).reference, 1, outcome)


def message_of(channel: Any, body: str, **properties: str) -> Any:
    """Return a message as any program can send it."""
    kind = {"content_type": "application/json", "content_encoding": "utf-8"}
    return channel.prepare_message(body, **kind, properties=properties)


def refused(queue: Queue, user: str, use: Any) -> str:
    """Return the broker's words when an account does something with a channel."""
    with open_connection(queue.address(user)) as connection:
        connection.default_channel.confirm_select()
        with pytest.raises(Exception, match=r"\(4\d\d\)") as caught:
            use(connection.default_channel)
    return str(caught.value)


@pytest.mark.parametrize(
    ("exchange", "key"),
    [(TASKS, "web-2"), ("", "puller.host.web-2"), ("", "puller.results"), ("", "puller.tokens.registry.example:5000")],
)
def test_a_host_cannot_send_to_another(queue: Queue, exchange: str, key: str) -> None:
    """Neither a task to another host, nor a token, nor a result by the exchange that leads to every queue."""

    def publish(channel: Any) -> None:
        channel.basic_publish(message_of(channel, "{}"), exchange=exchange, routing_key=key)
        channel.connection.drain_events(timeout=5)

    assert "403" in refused(queue, "web-1", publish)


@pytest.mark.parametrize("name", ["puller.host.web-2", "puller.results"])
def test_a_host_cannot_read_what_is_not_for_it(queue: Queue, name: str) -> None:
    """Neither the tasks of another host nor the results of others."""
    assert "403" in refused(queue, "web-1", lambda channel: channel.basic_get(name))


def test_a_host_cannot_speak_for_another(queue: Queue) -> None:
    """The broker refuses a sender that is not the account; a payload that names another host has a problem."""

    def forge(channel: Any) -> None:
        message = message_of(channel, encode(result_of("web-2")), user_id="web-2")
        channel.basic_publish(message, exchange=RESULTS, routing_key=RESULTS)
        channel.connection.drain_events(timeout=5)

    assert "406" in refused(queue, "web-1", forge)
    send_result(queue.address("web-1"), result_of("web-2"))
    raw(queue, "web-1", encode(result_of("web-1")))
    raw(queue, "web-1", '{"schema": "puller.result/1"}')
    seen: list[Delivery] = []
    seen.extend(queue.deliveries(lambda: len(seen) == 3))
    assert [each.result for each in seen] == [None] * 3
    assert [each.sender for each in seen] == ["web-1", "", ""]
    assert seen[0].problem == "a result of web-2 came from web-1"
    assert "unnamed sender" in seen[1].problem
    assert "lacks the key" in seen[2].problem


def raw(queue: Queue, user: str, body: str) -> None:
    """Send any text as a result, without a sender."""
    with open_connection(queue.address(user)) as connection:
        channel = connection.channel()
        channel.confirm_select()
        channel.basic_publish(message_of(channel, body), exchange=RESULTS, routing_key=RESULTS)
        channel.connection.drain_events(timeout=5)


def test_a_worker_refuses_what_is_no_task(queue: Queue) -> None:
    """Another key, an option for a reference, a task of Celery's, a command: one line each, and the next is done."""
    good = json.loads(encode(task()))
    bad = [good | {"command": "id"}, good | {"reference": "--privileged"}, good | {"host": "web-2"}]
    with open_connection(queue.address("controller")) as connection:
        for name, argument in [*(("puller.pull", json.dumps(each)) for each in bad), ("celery.map", "x"), ("sh", "id")]:
            send(connection.channel(), name, [argument])
        send(connection.channel(), "puller.pull", [encode(task()), "id"])
    queue.broker.publish("web-1", [task(name="good")])
    worker = queue.worker("web-1")
    (result,) = queue.results(1)
    assert result.reference == task(name="good").reference
    assert len(queue.lines("begin")) == 1
    for words in ("unknown key 'command'", "invalid reference: '--privileged'", "it is for web-2", "one argument"):
        assert words in worker.log()
    assert "Traceback" not in worker.log()


def send(channel: Any, name: str, arguments: list[object]) -> None:
    """Publish a task in Celery's protocol, as a controller that was taken over could."""
    message = channel.prepare_message(
        json.dumps([arguments, {}, {}]), content_type="application/json", content_encoding="utf-8",
        headers={"lang": "py", "task": name, "id": name, "root_id": name},
        properties={"correlation_id": name, "reply_to": ""},
    )  # fmt: skip
    channel.basic_publish(message, exchange=TASKS, routing_key="web-1")
    channel.close()


def test_a_worker_waits_for_a_broker_that_is_not_there(queue: Queue) -> None:
    """It says so, goes on waiting, and ends when it is told to."""
    worker = queue.worker_at("amqp://web-1:secret@127.0.0.1:1/puller")
    assert wait_until(lambda: "Connection refused" in worker.log(), 20)
    os.kill(worker.process.pid, signal.SIGTERM)
    assert wait_until(lambda: not worker.process.alive(), 20)
    assert PASSWORD not in worker.log()


def test_an_account_without_a_password_needs_its_certificate(queue: Queue, certificates: Path) -> None:
    """An empty password is none."""
    url = f"amqps://{WITHOUT_PASSWORD}@127.0.0.1:{queue.rabbit.tls_port}/puller"
    files = {
        "certificate": f"{certificates}/{WITHOUT_PASSWORD}.pem",
        "key": f"{certificates}/{WITHOUT_PASSWORD}-key.pem",
    }
    send_result(BrokerAddress.parse(url, ca=f"{certificates}/ca.pem", **files), result_of(WITHOUT_PASSWORD))
    plain = queue.address("web-1")._replace(user=WITHOUT_PASSWORD)
    for password in ("", PASSWORD):
        with pytest.raises(BrokerError, match="refuses this account"):
            send_result(plain._replace(password=password), result_of(WITHOUT_PASSWORD))


def test_certificates_are_the_account(queue: Queue, certificates: Path) -> None:
    """With TLS the name in the certificate is the host; without one, or of another authority, there is no way in."""
    url = f"amqps://web-1@127.0.0.1:{queue.rabbit.tls_port}/puller"
    files = {"certificate": f"{certificates}/web-1.pem", "key": f"{certificates}/web-1-key.pem"}
    address = BrokerAddress.parse(url, ca=f"{certificates}/ca.pem", **files)
    send_result(address, result_of("web-1"))
    assert [each.host for each in queue.results(1)] == ["web-1"]
    with pytest.raises(BrokerError, match="cannot be reached"):
        send_result(address._replace(certificate=None, key=None, password=PASSWORD), result_of("web-1"))
    with pytest.raises(BrokerError, match="certificate verify failed"):
        send_result(address._replace(ca=None), result_of("web-1"))
    with pytest.raises(BrokerError, match="certificate verify failed"):
        send_result(address._replace(host="localhost"), result_of("web-1"))
    queue.broker.publish("web-1", [task()])
    queue.worker_at(url, tls=files | {"ca": f"{certificates}/ca.pem"})
    assert [each.outcome["status"] for each in queue.results(1)] == ["pulled"]
