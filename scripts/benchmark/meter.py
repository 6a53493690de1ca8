"""What a run takes of the machine besides the client's process: processor time, memory and disk of the engine."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from scripts.benchmark.sample import Sample

MIB = 1 << 20
_TICKS = os.sysconf("SC_CLK_TCK")
_KTHREADD = 2
_IRQ, _SOFTIRQ = 6, 7
"""Columns of the first line of /proc/stat."""
_FORGET_PEAK = "5"
"""What /proc/PID/clear_refs takes to make the peak of the memory start again."""
_SETTLE_SECONDS = 5.0


class _Process(NamedTuple):
    name: str
    parent: int
    ticks: int
    waited_ticks: int
    """Of children that have ended."""


class Meter:
    """Counts from its making on: the engine's processes, and the kernel's threads and interrupts."""

    def __init__(self, engine: int) -> None:
        """`engine` is dockerd's process id; its descendants count, too."""
        self._engine = engine
        for pid in self._tree(_processes()):
            _forget_peak(pid)
        self._before = _processes()
        self._interrupts = _interrupts()

    def read(self, sample: Sample) -> Sample:
        """Add to a client's books what the engine and the kernel took since."""
        after = _processes()
        engine = self._engine_ticks(after) - self._engine_ticks(self._before)
        # The time of a thread that has ended meanwhile is lost, and ksoftirqd's is the interrupts'.
        kernel = _interrupts() - self._interrupts
        for pid, thread in after.items():
            if thread.parent == _KTHREADD and not thread.name.startswith("ksoftirqd"):
                before = self._before.get(pid)
                kernel += thread.ticks - (before.ticks if before else 0)
        peak = sum(map(_peak_kib, self._tree(after)))
        return replace(sample, engine_cpu=engine / _TICKS, kernel_cpu=kernel / _TICKS, engine_mib=peak / 1024)

    def _engine_ticks(self, processes: dict[int, _Process]) -> int:
        return sum(processes[pid].ticks + processes[pid].waited_ticks for pid in self._tree(processes))

    def _tree(self, processes: dict[int, _Process]) -> list[int]:
        tree = [self._engine] if self._engine in processes else []
        for parent in tree:  # grows while it is gone through
            tree += [pid for pid, process in processes.items() if process.parent == parent]
        return tree


def _processes() -> dict[int, _Process]:
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
            fields = rest.split()
            own, waited = sum(map(int, fields[11:13])), sum(map(int, fields[13:15]))
            found[int(folder.name)] = _Process(name, int(fields[1]), own, waited)
    return found


def _interrupts() -> int:
    columns = Path("/proc/stat").read_text().partition("\n")[0].split()
    return int(columns[_IRQ]) + int(columns[_SOFTIRQ])


def _forget_peak(pid: int) -> None:
    with suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text(_FORGET_PEAK)


def _peak_kib(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


@dataclass
class DiskWatch:
    """Looks ten times a second at how much the files of some folders occupy, until its block ends."""

    folders: Sequence[Path]
    peak_mib: float = 0.0

    def __enter__(self) -> Self:
        """Wait until the engine has removed what it no longer needs, and begin."""
        self._over = threading.Event()
        least = occupied(self.folders)
        for _ in range(round(_SETTLE_SECONDS)):
            self._over.wait(1)
            before, least = least, occupied(self.folders)
            if least >= before:
                break
        self._least = least
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.peak_mib = max(self.peak_mib, (occupied(self.folders) - self._least) / MIB)


def occupied(folders: Sequence[Path]) -> int:
    """Count the bytes on the disk of the files below some folders: hard links once, and no other file system."""
    files: dict[tuple[int, int], int] = {}
    for folder in folders:
        with suppress(OSError):
            device = folder.stat().st_dev
            files |= {(each.st_dev, each.st_ino): each.st_blocks * 512 for each in _files(folder, device)}
    return sum(files.values())


def _files(folder: Path, device: int) -> Iterator[os.stat_result]:
    try:
        entries = list(os.scandir(folder))
    except OSError:  # it was there a moment ago
        return
    for entry in entries:
        with suppress(OSError):
            about = entry.stat(follow_symlinks=False)
            if about.st_dev != device:
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path), device)
            else:
                yield about
