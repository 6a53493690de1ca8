"""A JSON report read back: what `as_json.render` writes, also before it told of tries, phases and bytes."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Self, TypeVar

from puller.errors import FailureClass, FailureKind, UsageError
from puller.failure import Failure
from puller.image.reference import Platform
from puller.model import Attempt, PullOutcome, Report, Span, Status
from puller.report.json import SCHEMA
from puller.text import clean

T = TypeVar("T")
_KINDS = set(FailureKind)
_SHOWN = 60


def report_of(text: str) -> Report:
    """Read a JSON report; raise UsageError with one line that says where it is none."""
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"this is no report of puller: it is not JSON ({clean(str(error))})") from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise UsageError(f"this is no report of puller: it does not begin with the schema {SCHEMA!r}")
    node = _Node(document, "")
    images = tuple(map(_outcome, node.each("images")))
    return Report(node.get("started", _moment), node.get("seconds", _number), images, node.get("stopped", _text, ""))


@dataclass(frozen=True, slots=True)
class _Node:
    """An object of the document, and where it stands: `images[3].error`."""

    value: Any
    where: str

    def get(self, key: str, read: Callable[[Any], T], otherwise: T | None = None) -> T:
        """Read what stands under a key; what is missing or null is `otherwise`, unless that is None."""
        value = self._found(key)
        if value is None and otherwise is not None:
            return otherwise
        try:
            return read(value)
        except (ValueError, OverflowError) as error:
            raise self._wrong(key, clean(str(error))) from None

    def some(self, key: str, read: Callable[[Any], T]) -> T | None:
        """Read what stands under a key; what is missing or null is None."""
        return None if self._found(key) is None else self.get(key, read)

    def each(self, key: str) -> Iterator[Self]:
        """Give the objects of an array."""
        values = self._found(key)
        if not isinstance(values, list):
            raise self._wrong(key, f"{_shown(values)} is not an array")
        return (type(self)(value, f"{self.where}{key}[{place}].") for place, value in enumerate(values))

    def under(self, key: str) -> Self | None:
        """Give the object under a key; None where it is missing or null."""
        value = self._found(key)
        return None if value is None else type(self)(value, f"{self.where}{key}.")

    def _found(self, key: str) -> Any:
        if not isinstance(self.value, dict):
            raise UsageError(f"this is no report of puller: {self.where.rstrip('.')} is not an object")
        return self.value.get(key)

    def _wrong(self, key: str, why: str) -> UsageError:
        return UsageError(f"this is no report of puller: {self.where}{key}: {why}")


def _outcome(image: _Node) -> PullOutcome:
    why = image.under("error")
    failure = _failure(why) if why else None
    if image.under("tries"):
        tries = tuple(map(_attempt, image.each("tries")))
    else:  # all that an older report says is how many there were
        tries = (Attempt(0.0, 0.0, None),) * image.get("attempts", _count)
    return PullOutcome(
        image.get("reference", _text),
        image.get("requested", _texts),
        image.get("status", Status),
        image.some("platform", _platform),
        image.some("digest", _text),
        tries,
        image.get("seconds", _number),
        failure,
        image.get("began", _number, 0.0),
        image.some("mirror", _text),
        image.get("confirmed", _truth, True),
    )


def _attempt(node: _Node) -> Attempt:
    why = node.under("error")
    return Attempt(
        node.get("started", _number),
        node.get("seconds", _number),
        _failure(why) if why else None,
        tuple(
            Span(span.get("phase", _text), span.get("started", _number), span.get("seconds", _number))
            for span in node.each("phases")
        ),
        node.get("bytes", _count, 0),
        node.some("mirror", _text),
    )


def _failure(node: _Node) -> Failure:
    return Failure(
        node.get("kind", _kind),
        node.get("class", FailureClass),
        node.get("message", _text),
        node.get("advice", _text),
        until=node.some("until", _moment),
    )


def _kind(value: Any) -> FailureKind:
    """Read a kind; one that a later puller has added is not known here."""
    return FailureKind(value) if _text(value) in _KINDS else FailureKind.UNCLASSIFIED


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{_shown(value)} is not text")  # noqa: TRY004 - like what the other readers raise
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"{_shown(value)} is not a list of names")
    return tuple(map(_text, value))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise ValueError(f"{_shown(value)} is not a number of seconds")
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{_shown(value)} is not a number")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{_shown(value)} is neither true nor false")  # noqa: TRY004 - as above
    return value


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(_text(value))
    if moment.tzinfo is None:
        raise ValueError(f"{_shown(value)} has no time zone")
    return moment.astimezone(UTC)


def _platform(value: Any) -> Platform:
    return Platform.parse(_text(value))


def _shown(value: Any) -> str:
    return clean(json.dumps(value), _SHOWN)
