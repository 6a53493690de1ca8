"""Many questions to several registries at once, a few at a time at each, so that none waits for a slow one."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, TypeVar

from puller.registry.answers import RegistryTroubleError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_T = TypeVar("_T")
_R = TypeVar("_R")
_WIDTH = 4
"""Questions in flight at one registry."""
_SILENT = 3
"""Questions in a row to which nobody answered, after which a registry is asked no more."""


def ask_all(items: "Sequence[tuple[str, _T]]", ask: "Callable[[_T], _R]") -> "list[_R | RegistryTroubleError]":
    """Ask about each item at its registry (the first of each pair), and give the answers in order.

    Trouble is an answer, too. A registry that does not answer at all is given up, and its last trouble is for the rest.
    """
    lines: dict[str, _Line[_T, _R]] = {}
    try:
        futures = []
        for registry, item in items:
            if registry not in lines:
                lines[registry] = _Line(registry, ask)
            futures.append(lines[registry].pool.submit(lines[registry].ask, item))
        return [future.result() for future in futures]
    finally:
        for line in lines.values():
            line.pool.shutdown(wait=False, cancel_futures=True)


class _Line(Generic[_T, _R]):
    def __init__(self, registry: str, ask: "Callable[[_T], _R]") -> None:
        self.pool = ThreadPoolExecutor(_WIDTH, thread_name_prefix=f"ask-{registry}")
        self._ask = ask
        self._silent: list[RegistryTroubleError] = []

    def ask(self, item: _T) -> "_R | RegistryTroubleError":
        if len(self._silent) >= _SILENT:
            return self._silent[-1]
        try:
            answer = self._ask(item)
        except RegistryTroubleError as trouble:
            if trouble.status is None:
                self._silent.append(trouble)
            else:
                self._silent.clear()
            return trouble
        self._silent.clear()
        return answer
