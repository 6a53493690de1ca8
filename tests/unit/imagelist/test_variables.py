"""Variables in values."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from puller.imagelist.variables import Expanded, expand

VALUES = {"SET": "yes", "EMPTY": "", "VERSION": "v1.22.3", "PATHS": "a/b/a"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$SET-${SET}_$SET", "yes-yes_yes"),
        ("${SET:-x}${EMPTY:-x}${NONE:-x}", "yesxx"),
        ("${SET-x}${EMPTY-x}${NONE-x}", "yesx"),
        ("${SET:+x}${EMPTY:+x}${NONE:+x}", "x"),
        ("${SET+x}${EMPTY+x}${NONE+x}", "xx"),
        ("${SET:?no}${SET?no}${EMPTY?no}", "yesyes"),
        ("${NONE:-${EMPTY:-${SET}}}", "yes"),
        ("${NONE:-a}b}", "ab}"),
        ("${NONE:-{a}}", "{a}"),
        ("$$SET $$", "$SET $"),
        ("${VERSION#v}", "1.22.3"),
        ("${VERSION%.*}", "v1.22"),
        ("${VERSION%%.*}", "v1"),
        ("${VERSION##*.}", "3"),
        ("${VERSION#x}", "v1.22.3"),
        ("${PATHS/a/c}", "c/b/a"),
        ("${PATHS//a/c}", "c/b/c"),
        ("${NONE:-}", ""),
    ],
)
def test_what_a_value_becomes(text: str, expected: str) -> None:
    """The forms of the Compose specification, and the patterns of a Dockerfile."""
    assert expand(text, VALUES) == Expanded(expected)


def test_a_dollar_sign_is_escaped_as_its_file_does() -> None:
    """`$$` in Compose, a backslash in a Dockerfile."""
    assert expand(r"\$SET", VALUES, escape="\\").text == "$SET"


def test_what_has_no_value_is_told_once() -> None:
    """Nothing takes its place, and its name is known."""
    assert expand("$NONE/${NONE}:${OTHER}", VALUES) == Expanded("/:", ("NONE", "OTHER"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("${NONE:?set it to $SET}", "the variable NONE is required: set it to yes"),
        ("${EMPTY:?}", "the variable EMPTY is required: set it"),
        ("${SET", "a variable without its closing brace: ${SET"),
        ("$", "a lone $: write $$ for a dollar sign"),
        ("$ SET", "a lone $: write $$ for a dollar sign"),
        ("${}", "not a variable: ${}"),
        ("${SET!}", "not a variable: ${SET!}"),
        ("${1}", "not a variable: ${1}"),
        ("${N:-" * 30 + "}" * 30, "variables are nested too deeply"),
    ],
)
def test_what_is_no_variable_says_why(text: str, reason: str) -> None:
    """The reason names the cure."""
    with pytest.raises(ValueError, match=r".") as caught:
        expand(text, VALUES)
    assert str(caught.value) == reason


def test_values_cannot_multiply() -> None:
    """A value that is long already is not repeated without end."""
    with pytest.raises(ValueError, match="too long"):
        expand("$A" * 100, {"A": "x" * 10_000})


@given(st.text("${}:-+?ab #%/*[]\\"))
def test_no_text_raises_anything_else(text: str) -> None:
    """Only ValueError, which a list turns into a bad line."""
    with suppress(ValueError):
        expand(text, {"a": "b", "b": "[*"})
