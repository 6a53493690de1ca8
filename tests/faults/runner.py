"""Plays a case: puller as a process, the bad image before two good ones, and a look at what is left."""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.faults.case import ALL, ARRIVED, NONE, NOTHING, REQUEST, Case
from tests.faults.cases import OPTIONS
from tests.faults.scene import Lab, Scene, scene_of
from tests.lab import wait_until
from tests.lab.binaries import Store
from tests.lab.process import session_of
from tests.lab.seclusion import secluded

RUN_SECONDS = 240
"""When a case is given up: more than any takes on a machine that does much else."""
LEFT_SECONDS = 3


@dataclass(frozen=True)
class Row:
    """How a case ended in truth."""

    case: str
    store: Store
    backend: str
    kind: str
    failure_class: str
    attempts: int
    code: int
    seconds: float
    rest: str
    left: str
    until: str | None
    said: str
    """All that puller said, for whoever looks into a failure."""


Played = Callable[[Case, str], Row]
"""Waits until a case has been played with a backend."""


def play(case: Case, backend: str, lab: Lab) -> Row:
    """Play a case with a backend."""

    def act() -> Row:
        with case.stage(lab) as here, scene_of(here, f"{case.ident}/{backend}") as scene:
            return _play(case, backend, scene)

    return secluded(act) if case.secluded else act()


def _play(case: Case, backend: str, scene: Scene) -> Row:
    bad = case.harm(scene)
    images = scene.puller.list(bad, *scene.good(in_line=case.in_line))
    options = ("--backend", backend, *OPTIONS, *case.options)
    started = time.monotonic()
    process = scene.puller.begin("pull", "--format", "json", images, *options, prefix=case.prefix, session=True)
    try:
        if case.meanwhile:
            case.meanwhile(scene)
        code, stdout, stderr = process.ended(RUN_SECONDS)
        seconds = time.monotonic() - started
        left = _left(scene, process.pid)
    finally:
        for pid in session_of(process.pid):
            os.kill(pid, signal.SIGKILL)
    report = json.loads(stdout) if stdout else {"images": []}
    outcomes = {outcome["requested"][0]: outcome for outcome in report["images"]}
    outcome = outcomes.pop(bad, {"attempts": 0, "error": None})
    error: dict[str, Any] = outcome["error"] or {}
    return Row(
        case.name,
        scene.store,
        backend,
        error.get("kind", ARRIVED),
        error.get("class", ARRIVED),
        outcome["attempts"],
        code,
        seconds,
        _rest([rest["status"] for rest in outcomes.values()]),
        left,
        error.get("until"),
        stdout + stderr,
    )


def _rest(statuses: list[str]) -> str:
    there = statuses.count("pulled")
    return {2: ALL, 0: NONE}.get(there, f"{there} of {len(statuses)}")


def _left(scene: Scene, leader: int) -> str:
    """Say what still runs shortly after puller's end."""
    if not wait_until(lambda: not session_of(leader), LEFT_SECONDS):
        return "a process"
    return NOTHING if wait_until(lambda: not scene.busy(), LEFT_SECONDS) else REQUEST
