"""The two messages of a fleet: the task for a host, and what came of it; both are strict JSON.

A task names an image and when to pull it, and nothing else: it never has a command, a path or an account.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from puller.image.reference import ImageReference, Platform
from puller.model import PullRequest, Status
from puller.settings import Policy
from puller.text import clean

TASK, RESULT = "puller.task/1", "puller.result/1"
"""The names and versions of the messages, in their key `schema`."""
POLICIES = (Policy.ALWAYS, Policy.MISSING, Policy.NEWER)
"""The policies of tasks: whoever wants nothing pulled sends none."""
LONGEST_TASK, LONGEST_RESULT = 16 << 10, 1 << 20
"""Bytes: a longer message is refused before it is read."""
SIGN_SECONDS = 300.0
"""Between two signs of a worker that a task is in hand, which are results that are `pending`."""
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}")
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MOST_ATTEMPTS = 1000


class MessageError(ValueError):
    """A message that is not what it should be; `str()` says why, on one line."""


class PullTask(NamedTuple):
    """One image for one host."""

    run: str
    host: str
    reference: str
    """By digest, `NAME[:TAG]@sha256:…`."""
    platform: str | None
    attempt: int
    """How often the controller has sent this image to this host in this run, from 1."""
    expires: float
    """Unix seconds after which the task is not begun; 0 for never."""
    policy: Policy = Policy.NEWER
    """One of `POLICIES`; with `missing`, a host keeps whatever image it has of this name."""

    @property
    def request(self) -> PullRequest:
        platform = Platform.parse(self.platform) if self.platform else None
        return PullRequest(ImageReference.parse(self.reference), platform)


class TaskResult(NamedTuple):
    """What came of a task."""

    run: str
    host: str
    reference: str
    """As in the task."""
    attempt: int
    outcome: dict[str, Any]
    """The image as the report `puller.report/1` has it."""


def encode(message: PullTask | TaskResult) -> str:
    """Return a message as ASCII JSON."""
    schema = TASK if isinstance(message, PullTask) else RESULT
    return json.dumps({"schema": schema, **message._asdict()}, allow_nan=False)


def decode_task(text: str | bytes) -> PullTask:
    """Read a task; raises MessageError."""
    fields = _fields(text, TASK, PullTask._fields, LONGEST_TASK)
    task = PullTask(**fields)
    _check_common(task)
    _check("platform", task.platform, lambda each: each is None or _is_platform(each))
    _check("expires", task.expires, _is_time)
    _check("policy", task.policy, lambda each: each in [*POLICIES])
    return task._replace(expires=float(task.expires), policy=Policy(task.policy))


def decode_result(text: str | bytes) -> TaskResult:
    """Read a result; raises MessageError. Of the outcome only the reference, the host and the status are checked."""
    result = TaskResult(**_fields(text, RESULT, TaskResult._fields, LONGEST_RESULT))
    _check_common(result)
    _check("outcome", result.outcome, lambda each: isinstance(each, dict))
    _check("outcome.status", result.outcome.get("status"), lambda each: each in [*Status])
    _check("outcome.reference", result.outcome.get("reference"), lambda each: isinstance(each, str))
    _check("outcome.host", result.outcome.get("host"), lambda each: each == result.host)
    return result


def is_host_name(name: object) -> bool:
    """Tell whether a host may have this name at the broker: its account has it, and its queue."""
    return isinstance(name, str) and bool(_HOST.fullmatch(name))


def _fields(text: str | bytes, schema: str, names: tuple[str, ...], longest: int) -> dict[str, Any]:
    if len(text) > longest:
        raise MessageError(f"the message is longer than {longest} bytes")
    try:
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"the message is not JSON: {clean(str(error), 100)}") from None
    if not isinstance(document, Mapping):
        raise MessageError("the message is not a JSON object")
    fields = dict(document)
    found = fields.pop("schema", None)
    if found != schema:
        raise MessageError(f"the message has the schema {clean(repr(found), 40)}, not {schema!r}")
    for problem, keys in (
        ("has the unknown key", fields.keys() - {*names}),
        ("lacks the key", {*names} - fields.keys()),
    ):
        if keys:
            raise MessageError(f"the message {problem} {clean(repr(min(keys)), 60)}")
    return fields


def _check_common(message: PullTask | TaskResult) -> None:
    _check("run", message.run, lambda each: isinstance(each, str) and _RUN.fullmatch(each))
    _check("host", message.host, is_host_name)
    _check("reference", message.reference, _is_pinned)
    _check("attempt", message.attempt, lambda each: type(each) is int and 0 < each <= _MOST_ATTEMPTS)


def _check(key: str, value: Any, holds: Callable[[Any], object]) -> None:
    if not holds(value):
        raise MessageError(f"the message has an invalid {key}: {clean(repr(value), 100)}")


def _is_pinned(text: Any) -> bool:
    """Whether a text is a reference by digest; what looks like an option is none."""
    if not isinstance(text, str) or text.startswith("-"):
        return False
    reference = ImageReference.read(text)
    return reference is not None and (reference.digest or "").startswith("sha256:")


def _is_platform(text: Any) -> bool:
    try:
        return isinstance(text, str) and bool(Platform.parse(text))
    except ValueError:
        return False


def _is_time(number: Any) -> bool:
    return type(number) in (int, float) and math.isfinite(number) and number >= 0


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice")
    return found


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is not a number")
