"""Holds documents that verbs print against the JSON Schemas that puller ships for them."""

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

import puller

FOLDER = Path(puller.__file__).parent / "schemas"
SCHEMAS: dict[str, dict[str, Any]] = {
    path.name.removesuffix(".schema.json"): json.loads(path.read_text(encoding="utf-8"))
    for path in FOLDER.glob("*.schema.json")
}


def assert_fits(document: Any, name: str) -> None:
    """Validate; a key that is promised and missing fails as much as a wrong value."""
    Draft202012Validator(SCHEMAS[name]).validate(document)
    for key in SCHEMAS[name]["required"]:
        less = {other: value for other, value in document.items() if other != key}
        assert not Draft202012Validator(SCHEMAS[name]).is_valid(less), f"{name} does not miss {key}"
