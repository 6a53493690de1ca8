"""Lists that are made to be expensive: linear time, and few words."""

import time
from pathlib import Path

from puller.imagelist import formats
from puller.imagelist.dockerfile import parse
from puller.imagelist.source import ListSource
from tests.lab.program import Program
from tests.unit.imagelist.shown import shown


def test_here_documents_without_end_take_linear_time() -> None:
    """Each is looked for once, and not in the whole rest of the file once more for each instruction."""
    began = time.process_time()
    found = shown(parse(b"FROM a\n" + b"RUN <<E\n" * 20_000 + b"FROM b\n", "f"))
    assert (found[0], found[-1]) == ("f:1 a", "f:20002 b")
    assert time.process_time() - began < 2


def test_of_many_bad_lines_the_first_hundred_are_shown(tmp_path: Path) -> None:
    """The rest is a number, for all verbs, and costs no memory."""
    program = Program(tmp_path, {"DOCKER_HOST": f"unix://{tmp_path}/nowhere"})
    listed = program.list(*(f"Bad-{number}" for number in range(5_000)))
    for verb in ("list", "plan", "pull"):
        run = program.run(verb, listed)
        lines = run.stderr.splitlines()
        assert (run.code, len(lines)) == (2, 102)
        assert lines[99].endswith(': "Bad-99"')
        assert "4900 more" in lines[100]


def test_a_number_without_end_is_a_name() -> None:
    """It is no stage, and no error of puller's own."""
    (first, bad) = shown(parse(b"FROM a\nCOPY --from=" + b"9" * 5000 + b" x y\n", "f"))
    assert first == "f:1 a"
    assert bad.startswith("bad f:2")


def test_many_stages_and_parameters_take_linear_time() -> None:
    """Names are looked up, and texts are searched once."""
    began = time.process_time()
    stages = b"".join(b"FROM a AS s%d\n" % number for number in range(20_000))
    assert len(shown(parse(stages + b"COPY --from=s1 x y\n" * 20_000, "f"))) == 20_000
    steps = b"steps:\n- name: " + b"$A" * 50_000 + b"\nsubstitutions: {A: $A}\n"
    assert len(shown(formats.parse(steps, ListSource("f")))) == 1
    assert time.process_time() - began < 5
