"""What is mounted below a directory: a killed dockerd leaves its data root mounted on itself."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path


def mounted_below(directory: Path) -> list[Path]:
    """Return the mount points at or below a directory, innermost first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        point = Path(re.sub(r"\\(\d{3})", lambda octal: chr(int(octal.group(1), 8)), line.split()[4]))
        if point.is_relative_to(directory):
            found.append(point)
    return sorted(found, reverse=True)


def unmount_below(directory: Path) -> None:
    """Unmount everything at or below a directory, lazily when it is still in use."""
    for point in mounted_below(directory):
        if subprocess.run(["umount", str(point)], capture_output=True, check=False).returncode:
            subprocess.run(["umount", "--lazy", str(point)], capture_output=True, check=False)
