"""The controller: records results, and takes every run further, until it is told to stop."""

from collections.abc import Callable
from contextlib import closing
from time import time

from puller.cancellation import Cancellation
from puller.errors import CancelledError, OutputError, UsageError
from puller.fleet.queue.broker import Broker
from puller.fleet.runs.dispatcher import Dispatcher, Patience
from puller.fleet.runs.recorder import Recorder
from puller.fleet.runs.store import Store
from puller.text import counted, plain_error

_STEP_SECONDS = 1.0
_LONGEST_WAIT = 60.0
_TIDY_SECONDS = 3600.0


class Controller:
    """Connects to the broker, and again whenever the connection or the store is lost.

    Nothing is lost with it: results wait in the broker until they are in the store, and a controller that starts again
    reads from the store what it has decided.
    """

    def __init__(
        self,
        store: Store,
        connect: Callable[[], Broker],
        *,
        say: Callable[[str], object],
        patience: Patience | None = None,
        clock: Callable[[], float] = time,
        keep: float | None = None,
    ) -> None:
        """`connect` returns a new connection to the broker; `say` is told in a line what happens.

        Runs that ended more than `keep` seconds ago are removed; None keeps all.
        """
        self._store, self._connect, self._say = store, connect, say
        self._patience, self._clock, self._keep = patience, clock, keep
        self._tidied = 0.0
        self.recorded = self.refused = self.published = self.lost = 0
        """Results and tasks since the start."""
        self.connected = False

    def serve(self, cancel: Cancellation) -> None:
        """Work until cancelled."""
        wait = 1.0
        while not cancel.requested:
            try:
                with closing(self._connect()) as broker:
                    self.connected, wait = True, 1.0
                    self._work(broker, cancel)
            except CancelledError:
                break
            except UsageError:  # such as the URL of the broker: trying again does not help
                raise
            except Exception as error:  # noqa: BLE001 - whatever the libraries of brokers raise: try again
                why = str(error) if isinstance(error, OutputError) else plain_error(error)
                self._say(f"{why or type(error).__name__}; trying again in {wait:.0f}s")
                self._sleep(wait, cancel)
                wait = min(wait * 2, _LONGEST_WAIT)
            finally:
                self.connected = False

    @staticmethod
    def _sleep(seconds: float, cancel: Cancellation) -> None:
        try:
            cancel.sleep(seconds)
        except CancelledError:
            return

    def _work(self, broker: Broker, cancel: Cancellation) -> None:
        recorder = Recorder(self._store, refused=self._say, clock=self._clock)
        dispatcher = Dispatcher(self._store, broker, say=self._say, patience=self._patience)
        before = self.recorded, self.refused, self.published, self.lost

        def note() -> None:
            now = recorder.recorded, recorder.rejected, dispatcher.published, dispatcher.lost
            self.recorded, self.refused, self.published, self.lost = map(sum, zip(before, now, strict=True))

        stepped = self._clock()
        self._step(dispatcher)
        note()
        for delivery in broker.results():
            recorder.add(delivery)
            idle = delivery.result is None and not delivery.problem
            late = self._clock() - stepped >= _STEP_SECONDS
            if idle or late:
                recorder.flush()
                recorder.forget_unknown()
                self._step(dispatcher)
                stepped = self._clock()
            note()
            if cancel.requested:
                recorder.flush()
                note()
                return

    def _step(self, dispatcher: Dispatcher) -> None:
        for run in self._store.runs(unfinished=True):
            dispatcher.step(run, self._clock())
        self._tidy(self._clock())

    def _tidy(self, now: float) -> None:
        """Remove old runs, now and then."""
        if self._keep is None or now - self._tidied <= _TIDY_SECONDS:
            return
        self._tidied = now
        old = [run.name for run in self._store.runs(ended_before=now - self._keep) if run.removable(now)]
        if old:
            self._store.remove(old)
            self._say(f"{counted(len(old), 'run')} removed: {', '.join(old)}")
