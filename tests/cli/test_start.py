"""What it costs to ask puller a small question."""

import os
import sys
from pathlib import Path

from tests.bench.process import Running
from tests.program import Program


def test_the_version_costs_little_more_than_click(tmp_path: Path) -> None:
    """`puller --version` takes at most 1.3 times the processor time of `import click`; both take turns."""
    program = Program(tmp_path, {})
    names = tmp_path / "none"
    names.touch()
    commands = {"version": program.argv("--version"), "click": [sys.executable, "-c", "import click"]}
    cpu: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(9):
        for name, command in commands.items():
            cpu[name].append(Running(command, names, os.environ | program.environment).ended().cpu)
    assert min(cpu["version"]) <= 1.3 * min(cpu["click"])
