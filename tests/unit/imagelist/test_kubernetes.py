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
        ("spec: {containers: [{image: }]}", [
            "note f:3: image: is empty, nothing to pull (something fills it in later)"]),
        ("spec: {containers: [{image: ''}]}", [
            "note f:3: image: is empty, nothing to pull (something fills it in later)"]),
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


CUSTOM = "apiVersion: x.example.com/v1\nkind: Server\n"
LATER = "looks like an image that is pulled later, and is not taken; --image adds it"
NO_REFERENCE = "not taken: no reference with a tag, a digest or a registry"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("spec: {image: 'r.io/a:1'}\nstatus: {image: 'r.io/a:0'}", ["f:3 r.io/a:1"]),
        ("spec: {engine: {image: 'a:1'}, pool: [{image: r.io/b}]}", ["f:3 a:1", "f:3 r.io/b"]),
        ("spec: {imageName: 'r.io/pg:16'}", ["f:3 r.io/pg:16"]),
        ("metadata: {annotations: {image: 'r.io/a:1'}}", []),
        (
            "spec: {build: {output: {image: 'r.io/made:1'}}}",
            ["note f:3: r.io/made:1: a build pushes it, nothing to pull"],
        ),
        ("spec: {output: {to: {name: 'r.io/made:1'}}}", ["note f:3: r.io/made:1: a build pushes it, nothing to pull"]),
        ("spec: {image: 'ko://x.io/cmd/a'}", ["note f:3: image: is built by ko, nothing to pull"]),
        ("spec: {reloaderImage: 'a/reloader:1', imageFormat: raw}", [f"note f:3: a/reloader:1: {LATER}"]),
        ("spec: {image: ubuntu}", [f"note f:3: ubuntu: {NO_REFERENCE}"]),
        ("spec: {image: projects/x/global/images/y}", [f"note f:3: projects/x/global/images/y: {NO_REFERENCE}"]),
        ("spec: {image: 'Canonical:Ubuntu Server'}", [f"note f:3: Canonical:Ubuntu Server: {NO_REFERENCE}"]),
        ("spec: {image: true, n: 1}", [f"note f:3: true: {NO_REFERENCE}"]),
        ("spec: {sidecarImage: 'r.io/a:1'}", [f"note f:3: r.io/a:1: {LATER}"]),
        ("spec: {relatedImages: [{name: a, image: 'r.io/a:1'}]}", [f"note f:3: r.io/a:1: {LATER}"]),
        ("spec: {values: {image: {repository: r.io/a, tag: '1'}}}", [f"note f:3: r.io/a:1: {LATER}"]),
        ("spec: {values: {image: {registry: r.io, repository: a/b}}}", [f"note f:3: r.io/a/b:latest: {LATER}"]),
        ("spec: {image: $(tt.params.image)}", ["note f:3: $(tt.params.image): known only at run time"]),
        (
            "spec: {containers: [{image: 'ko://example.com/cmd'}]}",
            ["note f:3: image: is built by ko, nothing to pull"],
        ),
        ("spec: {image: '${TAG}'}", ['bad f:3: contains a variable: run envsubst first: "${TAG}"']),
        ("spec: {containerDisk: {image: 'quay.io/vm/disk:1'}}", ["f:3 quay.io/vm/disk:1"]),
    ],
)
def test_images_of_operators(text: str, found: list[str]) -> None:
    """The image of a custom resource is taken, other references are named, words are no images."""
    assert structured(CUSTOM + text) == found


def test_groups_whose_images_are_patterns() -> None:
    """A policy or a scanner pulls nothing."""
    for group in ("kyverno.io/v1", "image.toolkit.fluxcd.io/v1", "constraints.gatekeeper.sh/v1"):
        text = f"apiVersion: {group}\nkind: Policy\nspec: {{image: 'r.io/*:latest', other: {{image: 'r.io/a:1'}}}}"
        assert structured(text) == [f"note f:3: r.io/a:1: {LATER}"]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("--x=r.io:5000/a:1", "r.io:5000/a:1"),
        ("r.io/a@sha256:" + "0" * 64, "r.io/a@sha256:" + "0" * 64),
        ("localhost/a:1", "localhost/a:1"),
        ("images: r.io/a:1, r.io/b:2.", "r.io/a:1 r.io/b:2"),
        ("https://example.org/a:1", ""),
        ("db.example:5432", ""),
        ("registry.example.org/a", ""),
        ("nginx:1.27", ""),
        ("--x-image=nginx:1.27", "nginx:1.27"),
        ("--x-image=nginx", ""),
        ("/var/lib/a.b/c:ro", ""),
        ("user@example.org/a:1", ""),
        ("r.io/*:1", ""),
        ("r.io/a:${TAG}", ""),
    ],
)
def test_references_in_texts(value: str, found: str) -> None:
    """Arguments, variables and the data of a ConfigMap: what is surely a reference is named, and nothing else."""
    argument = f"spec: {{containers: [{{image: x, args: ['{value}'], env: [{{name: A, value: '{value}'}}]}}]}}"
    expected = [f"note f:3: {text}: {LATER}" for text in found.split()]
    assert structured(f"{POD}{argument}") == ["f:3 x", *expected]
    config = f"apiVersion: v1\nkind: ConfigMap\ndata: {{a: '{value}'}}"
    assert structured(f"{config}\n---\n{POD}spec: {{containers: [{{image: x}}]}}") == ["f:7 x", *expected]


def test_references_with_a_name() -> None:
    """What is called an image needs no registry."""
    container = "{image: x, args: [--an-image, a/b:1, --other, c/d:1], env: [{name: THE_IMAGE, value: 'e:1'}]}"
    assert structured(f"{POD}spec: {{containers: [{container}]}}") == [
        "f:3 x",
        *(f"note f:3: {text}: {LATER}" for text in ("a/b:1", "e:1")),
    ]


def test_a_reference_that_is_taken_is_not_named_again() -> None:
    """The image of a pod may be an argument of another one."""
    assert structured(f"{POD}spec: {{containers: [{{image: 'r.io/a:1', args: ['r.io/a:1']}}]}}") == ["f:3 r.io/a:1"]


TASK = "apiVersion: tekton.dev/v1\nkind: Task\nspec:\n  params: [{name: A, default: 'a:1'}, {name: B}]\n"
WORKFLOW = """apiVersion: argoproj.io/v1alpha1
kind: Workflow
spec:
  arguments: {parameters: [{name: i, value: 'a:1'}]}
  templates: [{container: {image: '{{workflow.parameters.i}}'}}]
"""
TEMPLATE = """apiVersion: template.openshift.io/v1
kind: Template
parameters: [{name: TAG, value: '2'}, {name: NO}]
objects:
- apiVersion: v1
  kind: Pod
  spec: {containers: [{image: 'a:${TAG}'}, {image: 'b:${NO}'}]}
"""
TRIGGER = """apiVersion: triggers.tekton.dev/v1
kind: TriggerTemplate
spec: {resourcetemplates: [{apiVersion: tekton.dev/v1, kind: TaskRun, spec: {taskSpec: {steps: [{image: a}]}}}]}
"""
NESTED = """apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: List
  items:
  - apiVersion: tekton.dev/v1
    kind: Task
    spec: {steps: [{image: a}]}
  - apiVersion: v1
    kind: ConfigMap
    data: {steps: [{image: b}]}
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (TASK + "  steps: [{image: $(params.A)}]", ["note f:5: $(params.A): taken as its default", "f:5 a:1"]),
        (TASK + "  steps: [{image: a:$(inputs.params.A)}]", [
            "note f:5: a:$(inputs.params.A): taken as its default",
            'bad f:5: invalid reference format: "a:a:1"',
        ]),
        (TASK + "  steps: [{image: $(params.B)}]", ["note f:5: $(params.B): known only at run time"]),
        (WORKFLOW, ["note f:5: {{workflow.parameters.i}}: taken as its default", "f:5 a:1"]),
        (TEMPLATE, [
            "note f:7: a:${TAG}: taken as its default",
            "f:7 a:2",
            'bad f:7: contains a variable: run oc process first: "b:${NO}"',
        ]),
        (NESTED, ["f:9 a"]),
        (TRIGGER, ["f:3 a"]),
    ],
)  # fmt: skip
def test_parameters_and_nested_resources(text: str, found: list[str]) -> None:
    """A default is what runs unless somebody says otherwise; each resource of a list has the keys of its group."""
    assert structured(text) == found


def test_images_that_no_cluster_pulls() -> None:
    """They are there, or the pod does not start."""
    text = "spec: {containers: [{image: a, imagePullPolicy: Never}, {image: b, imagePullPolicy: IfNotPresent}]}"
    assert structured(POD + text) == ["note f:3: a: imagePullPolicy: Never, nothing to pull", "f:3 b"]


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("argoproj.io/v1\nkind: Application", "an Argo CD application"),
        ("helm.toolkit.fluxcd.io/v2\nkind: HelmRelease", "a Helm release"),
        ("kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization", "a Flux kustomization"),
    ],
)
def test_a_resource_that_names_a_chart_or_a_directory_is_a_note(kind: str, what: str) -> None:
    """Its images are somewhere else."""
    note = f"note f:1: left out: {what}: render its source first"
    assert structured(f"apiVersion: {kind}\nspec: {{path: x}}") == [note]


def test_packages_of_crossplane_are_notes() -> None:
    """No container engine pulls them."""
    text = "apiVersion: pkg.crossplane.io/v1\nkind: ConfigurationRevision\nspec: {image: 'x.io/a:1'}"
    assert structured(text) == [f"note f:3: x.io/a:1: {LATER}"]


def test_manifests_in_texts_are_notes() -> None:
    """An operator makes pods of them later; values that are no text of a manifest are not looked at."""
    text = "apiVersion: v1\nkind: ConfigMap\ndata: {pod: \"containers:\\n- image: 'a:1'\\n- image: {{ b }}\", c: 'd:1'}"
    assert structured(text) == [f"note f:3: a:1: {LATER}"]


def test_a_step_action_is_a_container() -> None:
    """It has the image itself."""
    text = "apiVersion: tekton.dev/v1beta1\nkind: StepAction\nspec: {image: 'a:1', script: x}"
    assert structured(text) == ["f:3 a:1"]
