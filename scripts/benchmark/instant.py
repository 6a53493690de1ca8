"""The orchestrator with an engine that has pulled before it was asked: `python -m scripts.benchmark.instant LIST`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from puller.engine.interface import InspectedImage
from puller.image.reference import ImageReference
from puller.model import EngineResult, PullRequest
from puller.pull.session import PullSession
from puller.registry.resolver import Resolver
from puller.settings import Policy, Settings
from tests.lab.fakes import FakeStore

if TYPE_CHECKING:
    from puller.cancellation import Cancellation
    from puller.engine.interface import ProgressSink
    from puller.settings import Timeouts

_DIGEST = f"sha256:{'0' * 64}"
_THERE = InspectedImage(_DIGEST, (_DIGEST,))


class Instant:
    """An engine that takes no time, and remembers nothing."""

    engine = "an instant engine"
    store = FakeStore()

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        """Have pulled."""
        return EngineResult(_DIGEST, up_to_date=False)

    def inspect(self, reference: ImageReference, *, cancel: Cancellation) -> InspectedImage:
        """Have everything."""
        return _THERE

    def alive(self) -> bool:
        """Be there."""
        return True

    def close(self) -> None:
        """Be gone."""


def main() -> int:
    """Pull what a list names, a reference a line; 0 when all is there."""
    lines = Path(sys.argv[1]).read_text().splitlines()
    requests = [PullRequest(ImageReference.parse(line)) for line in lines]
    with PullSession(Instant(), Resolver(), Settings(policy=Policy.ALWAYS, disk_check=False)) as session:
        return 0 if session.pull(requests).ok else 1


if __name__ == "__main__":
    sys.exit(main())
