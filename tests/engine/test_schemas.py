"""JSON documents about a real engine are what their schemas promise."""

import pytest

from tests.engine.conftest import Puller
from tests.lab import Engine, Registry, layer, push_image
from tests.lab.schemas import assert_fits

NOTHING = ("--image", "example.org/nothing/here")
"""An empty list is no list."""


@pytest.mark.parametrize("name", ["report", "plan", "verify", "prune", "doctor"])
def test_what_a_verb_prints_fits_its_schema(
    engine: Engine, registry: Registry, puller: Puller, backend: str, name: str
) -> None:
    """With images that are there, that are absent, that cannot be asked about, and that may go."""
    here, absent, used = (
        push_image(registry, f"schemas/{each}-{name}-{backend}") for each in ("here", "absent", "used")
    )
    dead, bad = "127.0.0.1:1/nobody/here:v1", "not a reference"
    assert puller.pull(puller.list(here.reference, used.reference), "--backend", backend).code == 0
    engine.cli("create", used.reference, "/none").check_returncode()
    moved = push_image(registry, f"schemas/here-{name}-{backend}", layers=[layer(f"moved {name} {backend}")])
    images = (puller.list(moved.reference, absent.reference, dead, bad), "--skip-invalid")
    arguments, words = {
        "report": (("pull", *images, "--retries", "0", "--no-second-pass"), {"pulled", "failed"}),
        "plan": (("plan", *images), {"would_pull", "unknown"}),
        "verify": (("verify", *images), {"other_digest", "missing"}),
        "prune": (("prune", *NOTHING, "--yes"), {"removed", "stays"}),
        "doctor": (("doctor", *images), {"ok", "failed"}),
    }[name]
    try:
        run = puller.run(*arguments, "--backend", backend, "--format", "json")
    finally:
        engine.cli("rm", *engine.cli("ps", "--all", "--quiet").stdout.split()).check_returncode()
    document = run.report
    assert document["schema"] == f"puller.{name}/1"
    assert_fits(document, name)
    rows = document.get("images") if name != "verify" else document["differences"]
    key = {"report": "status", "plan": "change", "verify": "kind", "prune": "action", "doctor": "status"}[name]
    assert {row[key] for row in rows or document["checks"]} >= words


def test_a_dry_run_fits_too(registry: Registry, puller: Puller, backend: str) -> None:
    """What may go has no outcome yet."""
    image = push_image(registry, f"schemas/dry-{backend}")
    assert puller.pull(puller.list(image.reference), "--backend", backend).code == 0
    run = puller.run("prune", *NOTHING, "--dry-run", "--backend", backend, "--format", "json")
    assert [each["action"] for each in run.report["images"]] == ["may_go"]
    assert_fits(run.report, "prune")
