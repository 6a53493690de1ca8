"""What a file says of one registry is what happens there."""

from pathlib import Path

from tests.engine.conftest import Puller
from tests.lab import Proxy, Registry, Rule, family, faults

MANIFEST, BLOB = r"/manifests/", r"/v2/(.+)/blobs/"


def test_a_registry_of_its_own_width(registry: Registry, proxy: Proxy, puller: Puller, tmp_path: Path) -> None:
    """With `concurrency = 1` its images come one by one, whatever --jobs allows; and from its mirror, if it has one."""
    pushed = [image.at(proxy.address) for image in family(registry, 3, prefix="configured/app")]
    images = puller.list(*pushed)
    (tmp_path / "job.toml").write_text(f'[pull]\njobs = 3\n[registry."{proxy.address}"]\nconcurrency = 1\n')
    proxy.use(Rule("/blobs/", faults.delay(0.1)))
    run = puller.pull(images, "-c", "job.toml", "--no-disk-check")
    assert (run.code, [image["status"] for image in run.images]) == (0, ["pulled"] * 3)
    assert proxy.max_in_flight(BLOB) == 1
    with Proxy(registry) as mirror:
        (tmp_path / "job.toml").write_text(f'[registry."{proxy.address}"]\nmirrors = ["{mirror.address}"]\n')
        run = puller.pull(images, "-c", "job.toml", "--policy", "always", "--no-disk-check")
        assert run.code == 0
        assert mirror.count("GET", MANIFEST) + mirror.count("HEAD", MANIFEST) >= 3
