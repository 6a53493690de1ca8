"""Room at the engine's data root: bytes, and the inodes that images of many small files use up first."""

import os
from collections.abc import Iterator

from puller.doctor.finding import About, Finding, Verdict
from puller.engine.disk import free_bytes
from puller.engine.model import EngineInfo
from puller.text import format_bytes

DISK = About("disk")
_WARNING_BYTES, _FAILED_BYTES = 10_000_000_000, 1_000_000_000
_WARNING_SHARE, _FAILED_SHARE = 0.05, 0.01
"""Of all inodes."""
_FIX = "docker system df\ndocker image prune --all --filter until=240h   # images that no container uses"


def examine_disk(facts: EngineInfo) -> Iterator[Finding]:
    """Say how much is free, and from where on that is too little."""
    free, note = free_bytes(facts)
    if free is None or facts.data_root is None:
        yield DISK.ok("space", f"not known: {note}")
        return
    status = _judge(free, _WARNING_BYTES, _FAILED_BYTES)
    words = f"{format_bytes(free)} are free at {facts.data_root}"
    limits = f"warning under {format_bytes(_WARNING_BYTES)}, failed under {format_bytes(_FAILED_BYTES)}"
    yield DISK.found("space", status, f"{words} ({limits})", "" if status is Verdict.OK else _FIX)
    yield _inodes(facts.data_root)


def _inodes(path: str) -> Finding:
    seen = os.statvfs(path)
    if not seen.f_files:
        return DISK.ok("inodes", "this file system sets no limit")
    share = seen.f_favail / seen.f_files
    status = _judge(share, _WARNING_SHARE, _FAILED_SHARE)
    words = f"{share:.0%} are free at {path} (warning under {_WARNING_SHARE:.0%}, failed under {_FAILED_SHARE:.0%})"
    return DISK.found("inodes", status, words, "" if status is Verdict.OK else f"df -i {path}\n{_FIX}")


def _judge(value: float, warning: float, failed: float) -> Verdict:
    if value < failed:
        return Verdict.FAILED
    return Verdict.WARNING if value < warning else Verdict.OK
