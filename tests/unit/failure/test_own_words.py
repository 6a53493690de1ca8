"""Every sentence with which puller itself raises an error has a kind: none is `unclassified`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import puller
from puller.engine.api.client import engine_error
from puller.errors import FailureKind
from puller.failure import classify, failure_of
from puller.http import HttpError, HttpErrorKind
from puller.registry.http import registry_error

ROOT = Path(puller.__file__).parent
ERRORS = {"EngineError", "RegistryError"}


def sentences() -> Iterator[tuple[str, str | None]]:
    """Yield the place and the text of each error that is raised without a kind; None for the words of somebody else."""
    for path in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            texts = {
                target.id: node.value
                for node in ast.walk(function)
                if isinstance(node, ast.Assign)
                for target in node.targets
                if isinstance(target, ast.Name)
            }
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ERRORS:
                    known = any(keyword.arg in ("kind", "otherwise") for keyword in call.keywords)
                    first = call.args[0] if call.args else None
                    text = text_of(texts.get(first.id, first) if isinstance(first, ast.Name) else first)
                    if not known:
                        yield f"{path.relative_to(ROOT)}:{call.lineno}", text


def text_of(node: ast.AST | None) -> str | None:
    """Return the text of a literal, with an `x` for each value in it; None for another expression."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
    return None


FOREIGN = {
    "engine/api/client.py": "the engine's answer, or its HTTP status",
    "engine/api/docker_py.py": "the engine's answer, or docker-py's exception",
    "engine/cli/engine.py": "what the command printed",
}
"""Where the words of others are raised as they are."""


def test_each_sentence_of_ours_has_a_kind() -> None:
    """By its text or by a `kind`; only the words of others may be unknown."""
    found = [*sentences()]
    assert [each for each in found if each[1] is None and each[0].partition(":")[0] not in FOREIGN] == []
    unknown = [each for each in found if each[1] and classify(each[1]).kind is FailureKind.UNCLASSIFIED]
    assert unknown == []


@pytest.mark.parametrize("kind", HttpErrorKind)
def test_each_way_in_which_a_response_fails_to_arrive_has_a_kind(kind: HttpErrorKind) -> None:
    """Whatever libcurl says about it, from an engine and from a registry."""
    for error in (engine_error(HttpError(kind, "odd")), registry_error("a.io", HttpError(kind, "odd"))):
        assert failure_of(error).kind not in (FailureKind.UNCLASSIFIED, FailureKind.INTERNAL), kind
