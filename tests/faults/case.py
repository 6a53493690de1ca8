"""A case of the matrix: what is done to which image, and how it must end on either image store."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.scene import Scene, Stage, shared
from tests.lab.binaries import Store

ARRIVED = "-"
"""What stands for kind and class where the image arrived after all."""
ALL = "all"
NONE = "none"
NOTHING = "nothing"
REQUEST = "a request"
"""Known of the graph store: it does not break off a connection on which the registry is silent."""


@dataclass(frozen=True)
class Ending:
    """How a case ends; attempts are exact where the engine leaves nothing to chance."""

    kind: str
    failure_class: str
    attempts: tuple[int, int]
    code: int
    rest: str = ALL
    left: str = NOTHING
    until: bool = False
    """The report names the time when it will have passed."""
    or_kind: str = ""
    """What the last attempt may end with as well, where the engine leaves that to chance."""


Harm = Callable[[Scene], str]
"""Prepares the harm and returns the reference that it befalls."""


@dataclass(frozen=True)
class Case:
    """One row of the matrix for each backend and store."""

    name: str
    harm: Harm
    graph: Ending
    containerd: Ending
    options: tuple[str, ...] = ()
    stage: Stage = shared
    secluded: bool = False
    """Played where no network leads out."""
    meanwhile: Callable[[Scene], None] | None = None
    """Done while puller runs."""
    prefix: tuple[str, ...] = ()
    """Put before puller's command line."""
    in_line: bool = False
    """The good images are behind the bad one at its own registry: elsewhere they might have their turn before it."""

    both: bool = False
    """The command plays it on every store; see `depends_on_both`."""

    @property
    def depends_on_both(self) -> bool:
        """Whether the ending depends on the image store and on the backend together.

        The words for a failure are the engine's own, and the docker command passes them on as they are: one store with
        both backends and the other with the API show all of them. Not so where the command draws what the store tells
        of a transfer (time limits, silence), where the two stores end differently, where the engine goes away beneath
        the command, and where the command itself reacts to an answer, by asking for a login (`both`).
        """
        silent = any(option.startswith("--stall-timeout") for option in self.options)
        return self.both or silent or self.graph != self.containerd or self.meanwhile is not None

    @property
    def retries_alone(self) -> bool:
        """Whether all is about the retry, which is the same with each backend: a case that fails has the same words."""
        return self.graph.kind == self.containerd.kind == ARRIVED and not self.depends_on_both

    @property
    def ident(self) -> str:
        """Its name as a word."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    def ending(self, store: Store) -> Ending:
        """How it must end on a store."""
        return self.graph if store == "graph" else self.containerd


def arrived(attempts: int = 1, most: int = 0, *, left: str = NOTHING) -> Ending:
    """End well after so many attempts."""
    return Ending(ARRIVED, ARRIVED, (attempts, most or attempts), 0, left=left)


def passing(kind: str, attempts: int = 3, *, left: str = NOTHING, or_kind: str = "") -> Ending:
    """Fail for a reason that may pass, after a first try, a retry, and a try in the second pass."""
    return Ending(kind, "transient", (attempts, attempts), 75, left=left, or_kind=or_kind)


def limited(attempts: int = 3, *, until: bool = False) -> Ending:
    """Fail because the registry's limit outlasts the run."""
    return Ending("rate_limited", "rate_limited", (attempts, attempts), 75, until=until)


def final(kind: str) -> Ending:
    """Fail at once and for good."""
    return Ending(kind, "permanent", (1, 1), 1)


def fatal(kind: str, code: int, attempts: int = 1) -> Ending:
    """End the whole run."""
    return Ending(kind, "host_fatal", (attempts, attempts), code, rest=NONE)
