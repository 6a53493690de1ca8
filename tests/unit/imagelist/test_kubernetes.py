"""Kubernetes manifests: what the examples in `data` do not show."""

from __future__ import annotations

import pytest

from tests.unit.imagelist.shown import structured

POD = "apiVersion: v1\nkind: Pod\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("spec: {containers: [{image: a}]}", ["f:3 a"]),
        ("spec: {containers: [{image: '  a  '}]}", ["f:3 a"]),
        ("spec: {containers: {image: a}}", ["f:3 a"]),
        ("spec: {containers: [{name: a}], volumes: [{name: b}]}", []),
        ("spec: {containers: [{image: {repository: a}}]}", []),
        ("spec: {containers: [{image: ''}]}", ["bad f:3: repository name must have at least one component"]),
        ("spec: {containers: [{image: 'a b'}]}", [
            'bad f:3: invalid reference format: white space, a control or a non-ASCII character: "a b"']),
        ("data: {containers: text}", []),
        ("spec: {volumes: [{image: {reference: a}}, {configMap: {name: b}}]}", ["f:3 a"]),
        ("spec: {containers: [{image: a}]}\n---\n---\n", ["f:3 a"]),
        ("kind: Pod\nspec: {containers: [{image: a}]}",
         ["note f:3: duplicate key kind (first on line 2): the last one is used", "f:4 a"]),
    ],
)  # fmt: skip
def test_pods(text: str, found: list[str]) -> None:
    """Containers with an image, and volumes of one."""
    assert structured(POD + text) == found


def test_what_is_no_pod() -> None:
    """A ConfigMap's data, a Secret's and a definition's schema may look like anything."""
    for kind in ("ConfigMap", "Secret", "CustomResourceDefinition"):
        assert structured(f"apiVersion: v1\nkind: {kind}\nspec: {{containers: [{{image: a}}]}}") == []


def test_aliases_are_visited_once() -> None:
    """A billion laughs in a manifest ends before it begins."""
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 60))
    assert structured(f"{POD}a0: &a0 [{{containers: [{{image: x}}]}}]\n{levels}") == ["f:3 x"]
