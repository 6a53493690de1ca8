"""scripts/quickstart: the demonstration shows what it promises, and leaves nothing but the HTML report."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demonstration_goes_as_planned() -> None:
    """A retry succeeds, a wrong tag fails, and the corrected list is complete; only the page is left."""
    with tempfile.TemporaryDirectory(prefix="demo-") as short:  # the engine's sockets need a short path
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": short}
        done = subprocess.run(
            (sys.executable, "scripts/quickstart.py", "temporary"),
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        left = [path for path in Path(short).rglob("*") if not path.is_dir()]
    assert done.returncode == 0, done.stdout + done.stderr
    assert "retry" in done.stderr
    assert "not_found" in done.stdout
    assert done.stdout.index("(exit code 0)") > done.stdout.index("(exit code 1)")
    assert [f"HTML report of the first run: {path}" in done.stdout for path in left] == [True]
