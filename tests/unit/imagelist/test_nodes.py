"""YAML and JSON as values with lines, and what neither may do to us."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from puller.imagelist.nodes import load

if TYPE_CHECKING:
    from puller.imagelist.nodes import Node, Parsed

LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 60))


def read(text: str, name: str = "f") -> Parsed:
    """Read a text."""
    return load(text.encode(), name)


def plain(node: Node) -> Any:
    """Take the lines away."""
    if isinstance(node.value, list):
        return [plain(member) for member in node.value]
    return {key: plain(each) for key, each in node.value.items()} if isinstance(node.value, dict) else node.value


def problem(parsed: Parsed) -> str:
    """Say what was wrong."""
    return str(parsed.problem)


def test_scalars_are_what_is_written() -> None:
    """No YAML 1.1 type makes a version shorter or a key a truth; only plain nothing is nothing."""
    (document,) = read("on: yes\na: 3.10\nb: 0o14\nc: 2024-01-01\nd: ~\ne: '~'\nf:\ng: ''\n1: x", "f").documents
    assert plain(document) == {
        "on": "yes", "a": "3.10", "b": "0o14", "c": "2024-01-01", "d": None, "e": "~", "f": None, "g": "", "1": "x",
    }  # fmt: skip


def test_a_value_has_the_line_of_its_key() -> None:
    """That is where a person looks; a member of a list has its own."""
    (document,) = read("a:\n\n  b:\n    - x\n    - &y y\nc: *y\nd: >-\n  text\n").documents
    found = [document.get("a"), document.get("a", "b"), document.get("c"), document.get("d")]
    assert [node.source.line for node in found] == [1, 3, 6, 7]
    members = document.get("a", "b")
    assert [member.source.line for member in members.items] == [4, 5]


def test_merges_keep_the_order_of_the_field() -> None:
    """Own keys win over merged ones, earlier merges over later ones."""
    text = (
        "a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nc: {<<: [*a, *b], y: 3}\nd:\n  y: 4\n  <<: *a\n  <<: *b\ne: {<<: }\n"
    )
    (document,) = read(text).documents
    assert plain(document)["c"] == {"x": "1", "y": "3", "z": "2"}
    assert plain(document)["d"] == {"x": "1", "y": "4", "z": "2"}
    assert plain(document)["e"] == {}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: b: c", "f:1: not valid YAML: mapping values are not allowed in this context"),
        ("a:\n  - b\n c: d\n", "f:3: not valid YAML: "),
        ("a:\n\tb: c\n", "f:2: not valid YAML: found character that cannot start any token: indent with spaces"),
        ("a: *b\n", "f:1: the alias *b has no anchor before it"),
        ("a: &a\n  - *a\n", "f:2: the alias *a is inside the value that it names"),
        ("a: &a [x]\n---\nb: *a", "f:3: the alias *a has no anchor before it"),
        ("a:\n  <<: text", "f:2: << needs a mapping, or a list of mappings"),
        ("? [a, b]\n: c", "f:1: a key must be plain text"),
        ("a: 1\nb: \x07\n", "f:2: not valid YAML: a control character"),
        ("[" * 5000, "f:1: nested deeper than 100 levels"),
        ("- " * 5000 + "a", "f:1: nested deeper than 100 levels"),
        ("a:\n  b: {{ .Values.b }}\n", "f:2: an unrendered template: render it first (helm template, kustomize"),
        ("{% if x %}\na: 1\n{% endif %}\n", "f:1: an unrendered template: "),
        ('a: "\n', "f:2: not valid YAML: "),
        ("a: %x", "f:1: not valid YAML: "),
    ],
)
def test_what_cannot_be_read_is_one_line(text: str, complaint: str) -> None:
    """FILE:LINE, the reason, and the cure where it is known."""
    assert problem(read(text)).startswith(complaint)


def test_a_template_in_a_string_is_nobodys_business() -> None:
    """Rules of Prometheus hold braces, and the tab three documents later is what is wrong."""
    text = "a: '{{ $labels.instance }}'\n" + "b: 1\n" * 0 + "c: 1\nd: 1\ne: 1\nf:\n\tg: 1\n"
    assert problem(read(text)).startswith("f:6: not valid YAML: ")


def test_what_came_before_a_problem_is_there() -> None:
    """A stream that breaks off has given its first documents."""
    parsed = read("a: 1\n---\nb: 2\n---\n\tc\n", "f")
    assert [plain(document) for document in parsed.documents] == [{"a": "1"}, {"b": "2"}]
    assert parsed.problem


def test_aliases_cannot_multiply() -> None:
    """A billion laughs is sixty lists, and as many merges as would fill the memory are refused."""
    parsed = read(LAUGHS, "f")
    assert (len(parsed.documents), parsed.problem) == (1, None)
    merges = (
        "a0: &a0 {"
        + ", ".join(f"k{n}: 1" for n in range(10_000))
        + "}\n"
        + "".join(f"b{n}: {{<<: *a0}}\n" for n in range(200))
    )
    assert "more than 1000000 values" in problem(read(merges, "f"))


def test_a_tag_is_kept_and_never_obeyed() -> None:
    """`!reference` means something to GitLab; a Python object means nothing to anybody."""
    (document,) = read("a: !reference [x, y]\nb: !!python/object/apply:os.system [id]\n").documents
    assert document.fields["a"].tag == "!reference"
    assert plain(document)["b"] == ["id"]


def test_repeated_keys_are_told_with_both_lines() -> None:
    """In either notation the last one counts."""
    for parsed in (read("a: 1\nb: 2\na: 3\n", "f"), read('{"a": 1,\n"b": 2,\n"a": 3}')):
        assert [str(note) for note in parsed.repeated] == ["f:3: duplicate key a (first on line 1)"]
        assert plain(parsed.documents[0])["a"] == "3"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[1,\n2,]", "f.json:2: not valid JSON: "),
        ('{"a" 1}', "f.json:1: not valid JSON: "),
        ("{a: 1}", "f.json:1: not valid JSON: "),
        ("{}\n{}", "f.json:2: not valid JSON: "),
        ('["a\nb"]', "f.json:1: not valid JSON: "),
        ('["a"', "f.json:1: not valid JSON: "),
        ("[" * 90 + "[" * 4910, "f.json:1: nested deeper than 100 levels"),
        ("[" * 150 + "]" * 150, "f.json:1: nested deeper than 100 levels"),
        ("[" + "1," * 1_000_000 + "1]", "f.json:1: more than 1000000 values"),
    ],
    ids=lambda text: text[:12],
)
def test_json_is_read_strictly(text: str, complaint: str) -> None:
    """FILE:LINE and the reason."""
    assert problem(read(text, "f.json")).startswith(complaint)


def test_what_json_allows_and_yaml_does_not() -> None:
    """Tabs, a slash that is escaped, surrogate pairs and halves of one, control characters, line separators."""
    text = (
        '\n\t {\n\t"a":\t"\\/ \\ud83d\\ude00 \\ud83d \\\\ud83d \x7f\u2028\ufeff\uffff",'
        '"<<": {"b": 1},\n"c": [true, null, 1e5]}\n\t'
    )
    (document,) = read(text, "f.json").documents
    assert plain(document) == {
        "a": "/ \U0001f600 \ufffd \\ud83d \x7f\u2028\ufeff\uffff", "<<": {"b": "1"}, "c": ["true", None, "1e5"],
    }  # fmt: skip
    assert [node.source.line for node in (document.get("a"), document.get("c"))] == [3, 4]


def test_an_anchor_may_be_defined_again() -> None:
    """An alias stands for the last value before it, as YAML has it; the member has the line of the alias."""
    (document,) = read("a: &x 1\nb: *x\nc: &x 2\nd:\n- *x\n").documents
    assert plain(document) == {"a": "1", "b": "1", "c": "2", "d": ["2"]}
    assert document.fields["d"].items[0].source.line == 5


values = st.recursive(
    st.none() | st.booleans() | st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=80), inner),
    max_leaves=20,
)


def written(value: Any) -> Any:
    """Turn numbers and truths into what JSON writes for them."""
    if isinstance(value, list):
        return [written(member) for member in value]
    if isinstance(value, dict):
        return {key: written(each) for key, each in value.items()}
    return value if value is None or isinstance(value, str) else json.dumps(value)


@given(values, st.sampled_from([None, 1, "\t"]))
def test_json_means_what_the_standard_library_says(value: Any, indent: Any) -> None:
    """Whatever is written as JSON comes back, tabs and all; libyaml reads keys of up to 1024 characters."""
    parsed = read(json.dumps([value], indent=indent))
    assert plain(parsed.documents[0]) == [written(value)]


@given(st.text())
def test_no_text_raises(text: str) -> None:
    """Whatever a file holds, it is documents and at most one problem."""
    for name in ("f", "f.json"):
        parsed = read(text, name)
        assert parsed.problem is None or str(parsed.problem).startswith(f"{name}:")
