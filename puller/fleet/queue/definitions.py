"""What a broker must have for a fleet: accounts, permissions, queues, and tokens for registries.

All of it is one document of definitions, which `rabbitmqctl import_definitions` takes at once: an account a command
would take half a second a host (https://www.rabbitmq.com/docs/definitions).
"""

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from secrets import token_bytes
from typing import Any

from puller.fleet.queue.address import RESULTS, TASKS, VHOST, host_queue, token_queue

CONTROLLER = "controller"
"""The account of the controller, which sends tasks and reads results."""
_NOTHING = "^$"


def definitions(hosts: Mapping[str, str], tokens: Mapping[str, int], controller: str, vhost: str = VHOST) -> str:
    """Return the definitions as JSON, without any password in clear.

    `hosts` are the names of hosts with their passwords, and `controller` is that of the account `controller`; an empty
    password allows certificates only. `tokens` are the most pulls from single registries.
    """
    accounts = {CONTROLLER: controller, **hosts}
    permissions = [_controller(vhost), *(_host(name, vhost) for name in hosts)]
    queues = [RESULTS, *map(host_queue, hosts), *map(token_queue, tokens)]
    bindings = [(RESULTS, RESULTS, RESULTS), *((TASKS, host_queue(name), name) for name in hosts)]
    document = {
        "vhosts": [{"name": vhost}],
        "users": [_user(name, password) for name, password in accounts.items()],
        "permissions": permissions,
        "exchanges": [_durable(name, vhost) | {"type": "direct", "internal": False} for name in (TASKS, RESULTS)],
        "queues": [_durable(name, vhost) for name in queues],
        "bindings": [_binding(*each, vhost) for each in bindings],
        "policies": [_limit(registry, number, vhost) for registry, number in tokens.items()],
    }
    return json.dumps(document, indent=1) + "\n"


def missing_tokens(listed: str, tokens: Mapping[str, int]) -> dict[str, int]:
    """Return how many tokens each queue lacks, by what `rabbitmqctl list_queues name messages` says as JSON.

    A token that a pull holds counts. Raises ValueError.
    """
    found = {each["name"]: int(each["messages"]) for each in json.loads(listed)}
    wanted = {token_queue(registry): number for registry, number in tokens.items()}
    return {queue: number - found.get(queue, 0) for queue, number in wanted.items() if number > found.get(queue, 0)}


def hash_password(password: str, salt: bytes | None = None) -> str:
    """Return a password as RabbitMQ stores it: salted SHA-256 (https://www.rabbitmq.com/docs/passwords)."""
    salt = token_bytes(4) if salt is None else salt
    return b64encode(salt + sha256(salt + password.encode()).digest()).decode()


def _user(name: str, password: str) -> dict[str, Any]:
    hashed = hash_password(password) if password else ""
    return {"name": name, "password_hash": hashed, "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": []}


def _controller(vhost: str) -> dict[str, str]:
    """Let it publish tasks and tokens, read results, and take back tasks; it declares nothing.

    The default exchange, `amq.default`, is the way to the queues of tokens; hosts may not use it, since it leads to
    every queue.
    """
    return _permission(CONTROLLER, vhost, rf"^({_any(TASKS)}|amq\.default)$", rf"^({_any(RESULTS)}|puller\.host\..*)$")


def _host(name: str, vhost: str) -> dict[str, str]:
    """Let it read its own queue and the tokens, and write results."""
    read = rf"^({re.escape(host_queue(name))}|puller\.tokens\..*)$"
    return _permission(name, vhost, rf"^{_any(RESULTS)}$", read)


def _any(name: str) -> str:
    return re.escape(name)


def _permission(user: str, vhost: str, write: str, read: str) -> dict[str, str]:
    return {"user": user, "vhost": vhost, "configure": _NOTHING, "write": write, "read": read}


def _durable(name: str, vhost: str) -> dict[str, Any]:
    return {"name": name, "vhost": vhost, "durable": True, "auto_delete": False, "arguments": {}}


def _binding(source: str, queue: str, key: str, vhost: str) -> dict[str, Any]:
    return {
        "source": source, "vhost": vhost, "destination": queue, "destination_type": "queue", "routing_key": key,
        "arguments": {},
    }  # fmt: skip


def _limit(registry: str, number: int, vhost: str) -> dict[str, Any]:
    """Let no queue have more tokens than the registry is given, also after the number was lowered."""
    queue = token_queue(registry)
    return {
        "vhost": vhost, "name": queue, "pattern": f"^{re.escape(queue)}$", "apply-to": "queues", "priority": 1,
        "definition": {"max-length": number},
    }  # fmt: skip
