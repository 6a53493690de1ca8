"""What the failure of one attempt means beyond its image: for its registry, and for the engine."""

from dataclasses import replace
from time import monotonic

from puller.errors import FailureClass, FailureKind
from puller.events import Paused
from puller.failure import Failure, failure
from puller.failure.retry import AttemptFailedError
from puller.image.reference import ImageReference
from puller.pull.context import RunContext
from puller.registry.pools import Lane

_PERHAPS_THE_ENGINE = {
    FailureKind.DAEMON_UNREACHABLE,
    FailureKind.ENGINE_DISCONNECTED,
    FailureKind.UNEXPECTED_EOF,  # what the docker command says when the engine dies, and when a registry hangs up
}
_THROTTLE = 5
"""How many times the bound of a retry's wait a registry gets that throttles and does not say for how long."""


class Judge:
    """Judges for one image, and tells its registry's lane."""

    def __init__(self, reference: ImageReference, context: RunContext, lane: Lane) -> None:
        self._reference = reference
        self._context = context
        self._lane = lane

    def judged(self, why: Failure, attempts: int) -> AttemptFailedError:
        """Turn the failure of that many attempts, the last on the registry itself, into one that `retry` understands.

        Raises CancelledError when the run is told to stop while the engine is waited for.
        """
        why = self.engine_or(why)
        if why.wait is not None or why.failure_class is FailureClass.RATE_LIMITED:
            return self._cooled(why, attempts)
        return AttemptFailedError(why)

    def engine_or(self, why: Failure) -> Failure:
        """Find out whether it was the engine that went, and wait for it; everything else is given back as it is."""
        engine, gone = self._context.engine, FailureKind.DAEMON_UNREACHABLE
        if why.kind not in _PERHAPS_THE_ENGINE:
            return why
        if why.kind is FailureKind.UNEXPECTED_EOF and not engine.missing():
            return why
        if engine.comes_back(self._context.cancel):
            return failure(FailureKind.ENGINE_DISCONNECTED, why.message)
        return why if why.kind is gone else failure(gone, f"the engine has gone: {why.message}")

    def too_long(self, wait: float) -> bool:
        """Tell whether so many seconds are more than this run waits for a registry."""
        ends = self._context.ends
        return wait > self._context.settings.retry.max_wait or (ends is not None and monotonic() + wait > ends)

    def throttle(self, attempts: int) -> float:
        """Give the seconds for which a registry is left alone that throttles and does not say for how long."""
        delay: float = self._context.settings.retry.delay
        return delay * _THROTTLE * float(2 ** (attempts - 1))

    def _cooled(self, why: Failure, attempts: int) -> AttemptFailedError:
        """Leave the registry alone, all of its images, for as long as it asks."""
        context, cooldown = self._context, self._lane.cooldown
        wait = why.wait
        if wait is None or self.too_long(wait):  # words are often vague about a long wait, headers are not
            wait = cooldown.left or context.ask_wait(self._reference) or wait
        if wait is None:
            wait = self.throttle(attempts)
        grew, too_long = cooldown.extend(wait, why), self.too_long(wait)
        if too_long:
            return AttemptFailedError(replace(why, wait=wait, until=cooldown.until), final=True)
        if grew:
            context.emit(Paused(self._lane.registry, why, wait))
        return AttemptFailedError(replace(why, wait=wait))
