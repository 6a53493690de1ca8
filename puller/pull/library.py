"""puller as a library: one call, no output of its own."""

import logging
from collections.abc import Iterable

from puller.engine import connect
from puller.errors import ListError
from puller.events import Observer, ignore
from puller.image.reference import Platform
from puller.imagelist import read
from puller.imagelist.requests import request_images
from puller.model import Report
from puller.plan.disk_check import EngineDiskCheck
from puller.pull.platforms import refuse_what_cannot_be_kept
from puller.pull.run import pull_all
from puller.registry.resolver import RegistryResolver
from puller.settings import BackendChoice, Settings

_log = logging.getLogger(__name__)


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

    A failed image is an outcome, not an exception. Raises ListError (a ValueError's worth of bad references, all at
    once, or of tags that are wanted for more platforms than this engine keeps of one), UsageError (a context that does
    not exist), EngineUnreachableError. `observer` is called with events from many threads. A KeyboardInterrupt cancels
    what is in flight and comes back as a report whose `stopped` says so.
    """
    settings = settings or Settings()
    todo = request_images(read((), tuple(images)), platform=platform)
    if todo.bad:
        raise ListError([str(bad) for bad in todo.bad])
    engine = connect(BackendChoice(backend), docker_command=docker_command, context=context, connections=settings.jobs)
    advisor = RegistryResolver(lambda: engine.store.facts().insecure, settings.registries)
    try:
        refuse_what_cannot_be_kept(todo.requests, engine.store)
        room = EngineDiskCheck(engine.store, _log.info, settings.registries)
        return pull_all(todo.requests, engine, settings, observer=observer, advisor=advisor, room=room)
    finally:
        advisor.close()
        engine.close()
