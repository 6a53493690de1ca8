"""config/puller.example.toml says the truth about the program."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from puller.cli.main import puller

EXAMPLE = Path(__file__).parents[3] / "config" / "puller.example.toml"
LINES = EXAMPLE.read_text().splitlines()
SETTING = re.compile(r"#(?P<key>[\w-]+) = (?P<value>\S.*?)(?:\s+# (?P<words>.*))?")
UNSET = {match["key"] for line in LINES if (match := SETTING.fullmatch(line)) and "not set" in (match["words"] or "")}

Rows = dict[str, dict[str, Any]]


def in_force(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Rows, dict[str, Rows]]:
    """Say what `puller pull` would go by with this file: options, and registries."""
    puller.main(["config", "--format", "json", "-c", str(path)], prog_name="puller", standalone_mode=False)
    document = json.loads(capsys.readouterr().out)
    return document["options"], document["registries"]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Write the example with every line of it in force."""
    (tmp_path / "authority.pem").write_text("")
    path = tmp_path / "puller.toml"
    path.write_text("\n".join(re.sub(r"^#(?=[\w\[])", "", line) for line in LINES))
    return path


def test_every_option_is_there_and_known(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With every line in force there is no mistake in it, and no option of a pull or of a registry is left out."""
    options, registries = in_force(written, capsys)
    assert [name for name, row in options.items() if row["source"] != "file"] == []
    (fields,) = {tuple(table) for table in registries.values()}
    said = {name for table in registries.values() for name, row in table.items() if row["source"] == "file"}
    assert said == set(fields)


def test_the_defaults_are_the_true_ones(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a line says is in force without it; where it says "not set" nothing is."""
    options, registries = in_force(written, capsys)
    (bare, none), lab = in_force(Path("/dev/null"), capsys), written.with_name("lab.toml")
    assert none == {}
    lab.write_text('[registry."lab.example"]\n')
    (of_any,) = in_force(lab, capsys)[1].values()
    rows = [(name, row, bare[name]) for name, row in options.items()]
    rows += [(name, row, of_any[name]) for table in registries.values() for name, row in table.items()]
    for name, row, default in rows:
        if row["source"] == "file":
            assert default["value"] in ([None, []] if name in UNSET else [row["value"]]), name


def test_as_it_is_it_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever copies it has the defaults still."""
    options, registries = in_force(EXAMPLE, capsys)
    assert {row["source"] for row in options.values()} == {"default"}
    assert registries == {}


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("#") and line[1:2] not in {" ", ""}])
def test_every_line_can_be_taken_in(line: str) -> None:
    """Nothing but the first # stands before a key or a table."""
    assert SETTING.fullmatch(line) or re.fullmatch(r'#\[registry\."\S+"\]', line)
