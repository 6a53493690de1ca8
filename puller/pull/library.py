"""The Python API: one function, without any output of its own."""

from collections.abc import Iterable
from contextlib import closing

from puller.cancellation import Cancellation, interruptible
from puller.engine import connect, locate
from puller.errors import ListError
from puller.events import Observer, ignore
from puller.image.reference import Platform
from puller.imagelist import read
from puller.imagelist.requests import request_images
from puller.model import Report
from puller.pull.session import PullSession
from puller.settings import BackendChoice, Settings


def pull_images(
    images: Iterable[str],
    *,
    settings: Settings | None = None,
    platform: Platform | None = None,
    backend: BackendChoice | str = BackendChoice.AUTO,
    docker_command: str = "docker",
    context: str | None = None,
    observer: Observer = ignore,
) -> Report:
    """Pull image references, such as `nginx:1.27`, and return a frozen `Report` with one outcome for each.

    A failed image is an outcome, not an exception. Raises ListError (for invalid references, all at once, and for tags
    requested for more platforms than the engine keeps), UsageError (for a context that does not exist) and
    EngineUnreachableError. All `settings` apply, including the disk check and prefetching. `observer` is called with
    events from many threads. A KeyboardInterrupt cancels the pulls in flight; `Report.stopped` then says so.
    """
    settings, choice = settings or Settings(), BackendChoice(backend)
    todo = request_images(read((), tuple(images)), platform=platform)
    if todo.bad:
        raise ListError([str(bad) for bad in todo.bad])
    cancel = Cancellation()
    address = locate(choice, docker_command=docker_command, context=context)
    engine = connect(address, choice, docker_command=docker_command, connections=settings.jobs)
    with closing(engine), PullSession(engine, None, settings, observer, cancel=cancel) as session:
        return interruptible(lambda: session.pull(todo.requests), cancel)
