"""FIFOs and devices in the place of lists: refused at once, as nothing may ever come out of them."""

import os
import re
from pathlib import Path

import pytest

from tests.lab.program import Program

COMPOSE = "services:\n  web: {image: nginx}\n"
SECONDS = 5


@pytest.mark.parametrize(
    ("files", "fifo", "listed"),
    [
        pytest.param({}, "list.txt", "list.txt", id="list"),
        pytest.param({"lists/a.txt": "nginx\n"}, "lists/b.yaml", "lists", id="directory"),
        pytest.param(
            {"ci/.gitlab-ci.yml": "include: {local: more.yml}\nweb: {image: nginx}\n"},
            "ci/more.yml",
            "ci/.gitlab-ci.yml",
            id="gitlab include",
        ),
        pytest.param({"shop/compose.yaml": COMPOSE}, "shop/.env", "shop/compose.yaml", id="compose environment"),
    ],
)
def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path, files: dict[str, str], fifo: str, listed: str) -> None:
    """Whoever may write into the folder of a list must not be able to hang the run."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    os.mkfifo(tmp_path / fifo)
    code, _, stderr = Program(tmp_path, {}).begin("list", listed).ended(SECONDS)
    assert code == 2
    assert re.search(rf"{re.escape(Path(fifo).name)}\b.*not a regular file", stderr)


def test_a_list_from_a_pipe_of_the_shell_is_read(tmp_path: Path) -> None:
    """`puller list <(command)` names a pipe that puller has inherited: nobody else put it there."""
    shell = ("bash", "-c", '"$@" <(echo nginx)', "bash")
    code, stdout, _ = Program(tmp_path, {}).begin("list", prefix=shell).ended(SECONDS)
    assert (code, stdout) == (0, "docker.io/library/nginx:latest\n")
