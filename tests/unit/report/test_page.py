"""The page about reports knows every kind and every metric."""

import re
from pathlib import Path

import pytest

from puller.report import RENDERERS
from tests.lab.samples import report

PAGE = (Path(__file__).parents[3] / "docs" / "reports.md").read_text()


@pytest.mark.parametrize("kind", RENDERERS)
def test_every_kind_has_a_line_and_a_section(kind: str) -> None:
    """Whoever reads `--help` finds here what a kind is for."""
    assert f"| [`{kind}`](#{kind}) | " in PAGE
    assert f"\n## {kind}\n" in PAGE


def test_every_metric_is_explained() -> None:
    """Names, as they are in the file, and no others."""
    written = set(re.findall(r"^# TYPE (\w+)", RENDERERS["prometheus"](report()), re.MULTILINE))
    assert written == set(re.findall(r"^\| `(puller_\w+)` \|", PAGE, re.MULTILINE))
