"""The free space where the engine of a host keeps its images."""

import re

from puller.engine.disk import free_bytes
from puller.engine.interface import Engine
from puller.fleet.connection import forward_of

_SECONDS = 10.0
_DF = re.compile(r"\s\d+\s+\d+\s+(?P<free>\d{1,15})\s+\d+%\s")
"""A line of `df -Pk`, as POSIX prescribes it: the size, what is used and what is free, in 1024 bytes."""


def free_space(engine: Engine) -> tuple[int | None, str]:
    """Return the free bytes at the data root of an engine of `open_host`, or None and why they are not known.

    They are those of this machine, or what `df` says on the host, over the login of ssh.
    """
    facts, forward = engine.store.facts(), forward_of(engine)
    if forward is None or facts.data_root is None:
        return free_bytes(facts)
    done = forward.call(("df", "-Pk", "--", facts.data_root), _SECONDS)
    found = _DF.search(done.stdout) if done and not done.code else None
    return (int(found["free"]) * 1024, "") if found else (None, "the host's `df` does not tell it")
