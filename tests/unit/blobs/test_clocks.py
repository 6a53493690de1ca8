"""The clocks of a pull hold for puller's own downloads, too."""

import json
from pathlib import Path

import pytest

from tests.lab import Proxy, Rule, faults
from tests.lab.program import Program


@pytest.mark.parametrize("clock", ["--timeout", "--stall-timeout"])
def test_a_blob_that_drips_is_given_up(tmp_path: Path, proxy: Proxy, clock: str) -> None:
    """A byte now and then is no progress."""
    proxy.use(Rule("/blobs/", faults.drip(4, 1), method="GET"))
    options = (clock, "3", "--retries", "0", "--no-second-pass", "--format", "json", "-q")
    program = Program(
        tmp_path, {"DOCKER_HOST": f"unix://{tmp_path}/nowhere", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    )
    begun = program.begin("pull", "--to", "oci:images", "--image", f"{proxy.address}/prefetch/app:v1", *options)
    code, stdout, _ = begun.ended(15)
    (image,) = json.loads(stdout)["images"]
    assert (code, image["status"]) == (75, "failed")
    assert image["error"]["kind"] in ("timeout", "stalled")
