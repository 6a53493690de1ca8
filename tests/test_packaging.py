"""What a wheel holds is what an installed puller needs."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_wheel_is_complete(tmp_path: Path) -> None:
    """Types, the schemas, the page's parts and the entry point are in it; tests are not."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
        assert "puller = puller.cli:main" in archive.read(entry_points).decode()
    schemas = {"puller/reports/report.schema.json", "puller/reports/plan.schema.json"}
    parts = {f"puller/reports/html/page.{kind}" for kind in ("html", "css", "js")}
    assert {"puller/py.typed", "puller/cli/pull.py", *schemas, *parts} <= set(names)
    assert not [name for name in names if name.startswith("tests/")]
