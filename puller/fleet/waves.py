"""Which hosts of a fleet begin, and when: canaries first, then wave by wave, until too many hosts have failed.

Pure: it knows neither hosts nor time, only names and what became of them.
"""

from collections import deque
from collections.abc import Sequence
from math import ceil
from typing import NamedTuple, Self

from puller.model.hosts import HostState
from puller.settings import FailureLimit
from puller.text import counted

_PERCENT = 100
_NAMED = 5
"""Failed hosts that a message names."""
_BAD = (HostState.FAILED, HostState.CANCELLED)


class WaveSize(NamedTuple):
    """A number of hosts, or a percentage of all hosts."""

    number: int
    percent: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `5` or `10%`; raises ValueError."""
        digits, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
        valid = digits.isascii() and digits.isdigit() and len(digits) <= len("999999") and int(digits) > 0
        if not valid or (percent and int(digits) > _PERCENT):
            raise ValueError(f"{text!r} is not a number of hosts such as 5, or a share such as 10%")
        return cls(int(digits), percent)

    def of(self, total: int) -> int:
        """Return the number of hosts, at least one."""
        return max(1, ceil(self.number * total / _PERCENT)) if self.percent else self.number


def parse_waves(text: str) -> tuple[WaveSize, ...]:
    """Parse the sizes of waves, such as `10%` or `1,5,10%`, of which the last is repeated; raises ValueError."""
    return tuple(WaveSize.parse(each) for each in text.split(","))


class Waves:
    """Decides which host begins next.

    A canary's failure halts the run, and so do more failed hosts than the limit: hosts that have begun finish, and no
    other begins. An unreachable host is not a failed one, unless `strict`: another one takes the place of a canary
    that cannot be reached, because it has proved nothing.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        canaries: int = 0,
        sizes: Sequence[WaveSize] = (),
        max_fail: FailureLimit | None = None,
        strict: bool = False,
    ) -> None:
        """Without `sizes` all hosts after the canaries are one wave. `max_fail` is a number or a share of all hosts."""
        self._waiting, self._total = deque(names), len(names)
        self._sizes, self._max_fail, self._strict = deque(sizes), max_fail, strict
        self._canaries = canaries
        self._proved: set[str] = set()  # canaries on which every image is present
        self._open = deque[str]()  # hosts of the current wave that have not begun
        self._running: set[str] = set()
        self._failed: dict[str, None] = {}
        self.number = 0
        """The current wave, from 1; the canaries are wave 0."""
        self._next = 1
        self.halted = ""
        """Why no further host begins; empty while one may."""

    @property
    def over(self) -> bool:
        """Whether no host runs, and none will begin."""
        return not self._running and (bool(self.halted) or not (self._open or self._waiting))

    @property
    def last(self) -> int:
        """The number of the last wave, if no canary has to be replaced."""
        canaries = self._canaries - len(self._proved) - len(self._open) - len(self._running) if not self.number else 0
        left, number, sizes = len(self._waiting) - max(0, canaries), self._next - 1, deque(self._sizes)
        while left > 0:
            left, number = left - _next_size(sizes, self._total, left), number + 1
        return number

    def take(self) -> str | None:
        """Return a host that begins now; None if none may.

        A wave begins when all hosts of the one before have ended.
        """
        if self.halted:
            return None
        if not self._open and not self._running and self._waiting:
            self._begin_wave()
        if not self._open:
            return None
        name = self._open.popleft()
        self._running.add(name)
        return name

    def ended(self, name: str, state: HostState) -> None:
        """Note what became of a host that began; that may change, as of a host that could not be reached at first."""
        self._running.discard(name)
        failed = state in _BAD or (self._strict and state is HostState.UNREACHABLE)
        self._failed.pop(name, None)
        if failed:
            self._failed[name] = None
        elif state is HostState.DONE and not self.number:
            self._proved.add(name)
        if self.halted or not failed or not (self._open or self._waiting):
            return
        if not self.number:
            lost = state is HostState.UNREACHABLE
            self.halted = f"the canary {name} {'could not be reached' if lost else 'failed'}"
        elif self._max_fail and self._max_fail.exceeded(len(self._failed), self._total):
            more = f" and {len(self._failed) - _NAMED} more" if len(self._failed) > _NAMED else ""
            named = f"{', '.join([*self._failed][:_NAMED])}{more}"
            self.halted = f"{len(self._failed)} of {counted(self._total, 'host')} failed: {named}"

    def go_on(self) -> None:
        """Let further hosts begin after a halt; those that have failed do not count any more."""
        self.halted = ""
        self._failed.clear()

    def stop(self) -> None:
        """Let no further host begin, for a reason that is not one of the hosts."""
        self._waiting.clear()
        self._open.clear()

    def _begin_wave(self) -> None:
        missing = self._canaries - len(self._proved)
        if missing > 0:
            self.number, size = 0, missing
        else:
            self.number, size = self._next, _next_size(self._sizes, self._total, len(self._waiting))
            self._next += 1
        self._open.extend(self._waiting.popleft() for _ in range(min(size, len(self._waiting))))


def _next_size(sizes: "deque[WaveSize]", total: int, left: int) -> int:
    """Return the size of the next wave, and take it from `sizes`, unless it is the last of them."""
    if not sizes:
        return left
    return (sizes.popleft() if len(sizes) > 1 else sizes[0]).of(total)
