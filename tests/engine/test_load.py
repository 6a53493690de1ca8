"""Loading from files that are damaged, or made to be expensive."""

import json
import re
from pathlib import Path

from tests.engine.conftest import Puller
from tests.lab import Registry, layer, push_image


def manifest_of(folder: Path) -> Path:
    """Find the file of the only image's manifest."""
    (entry,) = json.loads((folder / "index.json").read_text())["manifests"]
    return folder / "blobs" / str(entry["digest"]).replace(":", "/")


def test_a_wrong_file_in_a_folder_is_permanent(registry: Registry, puller: Puller) -> None:
    """No second attempt makes it right, and no later run: it is nobody's network."""
    image = push_image(registry, "load/wrong", layers=[layer("load-wrong")])
    folder = puller.folder / "images"
    assert puller.pull("--to", f"oci:{folder}", "--image", image.reference).code == 0
    manifest = manifest_of(folder)
    manifest.write_bytes(manifest.read_bytes().replace(b"}", b" }", 1))
    run = puller.run("load", "--format", "json", str(folder))
    (loaded,) = run.images
    assert (run.code, loaded["attempts"]) == (1, 1)
    assert (loaded["error"]["kind"], loaded["error"]["class"]) == ("digest_mismatch", "permanent")


def test_lines_tell_a_load_from_a_pull(registry: Registry, puller: Puller) -> None:
    """With times where nobody watches, as those of a pull."""
    image = push_image(registry, "load/lines", layers=[layer("load-lines")])
    folder = puller.folder / "images"
    assert puller.pull("--to", f"oci:{folder}", "--image", image.reference).code == 0
    time = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ "
    pattern = rf"{time}loading 1 image into .*\n{time}\[0/1\] starts .*\n{time}\[1/1\] loaded .*\n"
    assert re.fullmatch(pattern, puller.run("load", str(folder)).stderr)
    assert puller.run("load", "-q", str(folder)).stderr == ""


def test_a_wrong_blob_in_a_folder_is_permanent(registry: Registry, puller: Puller) -> None:
    """Likewise for a layer."""
    image = push_image(registry, "load/blob", layers=[layer("load-blob")])
    folder = puller.folder / "images"
    assert puller.pull("--to", f"oci:{folder}", "--image", image.reference).code == 0
    blob = folder / "blobs" / image.layers[0].digest.replace(":", "/")
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    run = puller.run("load", "--format", "json", str(folder))
    (loaded,) = run.images
    assert (run.code, loaded["attempts"], loaded["error"]["class"]) == (1, 1, "permanent")
