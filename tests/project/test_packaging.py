"""What a wheel holds is what an installed puller needs."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from puller.imagelist import Entry, read

ROOT = Path(__file__).parents[2]


def test_the_wheel_is_complete(tmp_path: Path) -> None:
    """Types, the schemas, the page's parts and the entry point are in it; tests are not."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
        assert "puller = puller.cli.main:main" in archive.read(entry_points).decode()
    verbs = ("report", "list", "plan", "lock-check", "verify", "doctor", "prune", "history", "config", "explain")
    schemas = {f"puller/schemas/{verb}.schema.json" for verb in verbs}
    parts = {f"puller/report/html/page.{kind}" for kind in ("html", "css", "js")}
    assert {"puller/py.typed", "puller/cli/commands/pull.py", *schemas, *parts} <= set(names)
    assert not [name for name in names if name.startswith("tests/")]
    assert [name for name in names if name.endswith(".data/data/share/man/man1/puller.1")]
    tracked = subprocess.run(["git", "ls-files", "puller"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert not {*tracked.stdout.split()} - {*names}


def test_the_image_of_puller_has_all_that_the_wheel_needs() -> None:
    """The Dockerfile copies, and .dockerignore lets in, what pyproject.toml names; it does not run as root."""
    text = (ROOT / "Dockerfile").read_text()
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {word for line in re.findall(r"^COPY (?!--)(.*) \S+$", text, re.MULTILINE) for word in line.split()}
    assert copied == allowed
    assert {"pyproject.toml", "README.md", "LICENSE", "docs/puller.1", "puller"} == copied
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["10001:10001"]
    images = [str(entry.reference) for entry in read([str(ROOT / "Dockerfile")]) if isinstance(entry, Entry)]
    assert images
    assert all(image.endswith("-slim") for image in images)
