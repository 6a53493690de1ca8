"""Files as people write them, and the lists that they mean: one table.

Every expected line was worked out by hand from the file and the rules of the tool that owns it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.imagelist.shown import listed

DATA = Path(__file__).parent / "data"
BUILD_TOO = "has build: as well; the image is pulled"
NO_KIND = (
    "unknown list format: expected Compose, Kubernetes, GitHub Actions, GitLab CI, Cloud Build, skopeo sync, "
    "an array of references, or plain lines of text (--from names the format)"
)
SUM = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
KUSTOMIZATION = "left out: a kustomization: build it first: kustomize build | puller list -"
LATER = "looks like an image that is pulled later, and is not taken; --image adds it"
IN_A_RUN = ": known only when the workflow runs"
NOT_HERE = "not read, it is not in this repository"
NEEDED = (
    "needs docker compose: install its plugin (package docker-compose-plugin), "
    "or pipe the output of `docker compose config` into puller"
)
RENDER = "render it first (helm template, kustomize build, …)"

EXPECTED: dict[str, list[str]] = {
    # Compose
    "shop/compose.yaml": [
        f"note shop/compose.yaml:6: service web: {BUILD_TOO}",
        "shop/compose.yaml:6 ghcr.io/acme/shop-web:2.1",
        "shop/compose.yaml:15 registry.example:5000/shop-worker:2.1",
        "shop/compose.yaml:19 postgres:16-alpine",
        "shop/compose.override.yaml:3 valkey/valkey:8",
        "note shop/compose.yaml:28: service assets: only build:, nothing to pull",
        "shop/compose.override.yaml:5 axllent/mailpit",
    ],
    "anchors.yml": [
        "anchors.yml:9 example/app:4.2",
        "anchors.yml:9 example/app:4.2",
        "anchors.yml:28 example/migrations:4.2",
        "anchors.yml:33 linux/arm64 example/app:4.2",
        "anchors.yml:36 traefik:v3.1",
    ],
    "profiles.yml": [
        "profiles.yml:2 example/api:1",
        "note profiles.yml:3: service debug (--profile debug or --profile tools): left out, its profile is not active",
        "note profiles.yml:6: service adminer (--profile tools): left out, its profile is not active",
        "note profiles.yml:10: service seed (--profile seed): left out, its profile is not active",
        "profiles.yml:14 busybox:1.36",
    ],
    "extends/docker-compose.yml": [f"bad extends/docker-compose.yml:6: extends {NEEDED}"],
    "include/compose.yaml": [f"bad include/compose.yaml:1: include {NEEDED}"],
    "windows.yml": [
        f"note windows.yml:5: service catalog.api: {BUILD_TOO}",
        "windows.yml:5 catalogapi",
        "windows.yml:10 mcr.microsoft.com/mssql/server:2022-latest",
        "windows.yml:12 mongo",
    ],
    "odd-indentation.yml": [
        "odd-indentation.yml:4 nginx:1.27-alpine",
        "odd-indentation.yml:11 redis:7",
        "odd-indentation.yml:15 memcached:1.6",
        f"note odd-indentation.yml:17: service four: {BUILD_TOO}",
        "odd-indentation.yml:17 example/four",
        "odd-indentation.yml:19 quay.io/example/five:5",
        "odd-indentation.yml:22 example/six:6",
    ],
    "legacy-v1.yml": [f"bad legacy-v1.yml:1: {NO_KIND}"],
    "docker-compose.legacy.yml": [
        "note docker-compose.legacy.yml:1: service web: only build:, nothing to pull",
        "docker-compose.legacy.yml:6 postgres:9.6",
        "docker-compose.legacy.yml:8 redis",
    ],
    "stack.yml": [
        f"stack.yml:4 dockersamples/visualizer:stable@{SUM}",
        "stack.yml:8 portainer/agent:2.21.0",
        "stack.yml:11 portainer/portainer-ce:2.21.0",
    ],
    "variables.yml": [
        "variables.yml:2 example/a:1",
        "variables.yml:3 example/b:2",
        "variables.yml:4 example/c:three",
        "variables.yml:5 example/d:4",
        "variables.yml:6 example/e:1",
        "variables.yml:7 example/f:6",
        "variables.yml:8 yes/g",
        "note variables.yml:9: no value for UNSET_H: replaced by an empty string",
        "variables.yml:9 example/h",
        'bad variables.yml:10: no value for UNSET_I: set it in the environment or in .env: "example/i:${UNSET_I}"',
        'bad variables.yml:11: the variable UNSET_J is required: which registry?: "${UNSET_J:?which registry?}/j"',
        'bad variables.yml:12: not a variable: ${}: "example/k:${}"',
        'bad variables.yml:13: a variable without its closing brace: ${SET: "example/l:${SET"',
        'bad variables.yml:14: a lone $: write $$ for a dollar sign: "example/m:$"',
        'bad variables.yml:15: invalid reference format: "example/n:1$2"',
        "variables.yml:16 linux/arm64 example/o",
    ],
    "policies.yml": [
        "note policies.yml:4: service local: pull_policy: never, nothing to pull",
        "note policies.yml:8: service built: pull_policy: build, nothing to pull",
        f"note policies.yml:10: service both: {BUILD_TOO}",
        "policies.yml:10 example/both:dev",
        "policies.yml:14 example/daily",
        "policies.yml:17 linux/386 example/old",
        "bad policies.yml:20: 'arm' is not a platform such as linux/amd64 or linux/arm/v7: \"example/wrong\"",
        "note policies.yml:22: service model: neither image: nor build:, nothing to pull",
        "policies.yml:27 example/tools",
        "policies.yml:30 example/data:1",
        'bad policies.yml:34: invalid reference format: repository name (Upper) must be lowercase: "Example/Upper"',
        "note policies.yml:35: service nothing: neither image: nor build:, nothing to pull",
        "bad policies.yml:37: expected plain text, not a list or a mapping",
    ],
    "rendered.compose.json": [
        "rendered.compose.json:5 nginx:1.27",
        "rendered.compose.json:8 linux/amd64 postgres:16",
    ],
    "repeated.yml": [
        "bad repeated.yml:6: duplicate key A (first on line 5)",
        "bad repeated.yml:7: duplicate key image (first on line 3)",
        "repeated.yml:7 nginx:1.27",
    ],
    "several-documents.yml": ["several-documents.yml:9 nginx:1.27"],
    # Kubernetes
    "k8s": [
        "note k8s/values.yaml: left out: unknown list format",
        "k8s/web.yaml:18 busybox:1.36",
        "k8s/web.yaml:21 nginx:1.27",
        f"k8s/web.yaml:25 ghcr.io/acme/exporter@{SUM}",
        (
            "note k8s/web.yaml:24: not/this:1: looks like an image that is pulled later, and is not taken; "
            "--image adds it"
        ),
        "note k8s/dashboards/board.json: left out: unknown list format",
        "k8s/jobs/backup.yml:12 postgres:16",
        "k8s/jobs/backup.yml:14 rclone/rclone:1.67",
        "k8s/jobs/once.json:3 alpine:3.20",
    ],
    "rendered-chart.yaml": [
        "rendered-chart.yaml:35 docker.io/bitnami/postgresql:16.3.0-debian-12-r23",
        "rendered-chart.yaml:52 nginx:1.16.0",
        "rendered-chart.yaml:67 busybox",
        f"note rendered-chart.yaml:19: text/in-a-configmap:1: {LATER}",
    ],
    "workloads.yaml": [
        "workloads.yaml:9 example/pod:1",
        "workloads.yaml:12 example/debug:1",
        "workloads.yaml:17 quay.io/example/model:v2",
        "workloads.yaml:27 example/daemon:1",
        "workloads.yaml:30 example/replica:1",
        "workloads.yaml:33 example/controller:1",
        "workloads.yaml:39 example/template:1",
    ],
    "custom-resources.yaml": [
        "custom-resources.yaml:19 gcr.io/example/hello",
        "custom-resources.yaml:27 argoproj/rollouts-demo:blue",
        "custom-resources.yaml:35 busybox:1.36",
        "custom-resources.yaml:38 python:3.12-alpine",
        "note custom-resources.yaml:42: {{inputs.parameters.image}}: known only at run time",
        "custom-resources.yaml:49 gcr.io/kaniko-project/executor:v1.23.0",
        "note custom-resources.yaml:51: $(params.image): known only at run time",
        "custom-resources.yaml:53 docker:27-dind",
        "note custom-resources.yaml:62: image: auto is chosen by Istio when the pod starts",
    ],
    "with-anchors.yaml": [
        "with-anchors.yaml:9 registry.example/team/app:3.10",
        "with-anchors.yaml:9 registry.example/team/app:3.10",
        "with-anchors.yaml:16 registry.example/team/app:3.10",
        "with-anchors.yaml:19 1.10",
    ],
    "kustomize": [
        "kustomize/base/deployment.yaml:8 nginx",
        f"note kustomize/base/kustomization.yaml:1: {KUSTOMIZATION}",
        f"note kustomize/overlay/kustomization.yml:1: {KUSTOMIZATION}",
        "kustomize/overlay/patch.yaml:8 envoyproxy/envoy:v1.31",
    ],
    "chart": ["bad chart/Chart.yaml: a Helm chart: render it first: helm template chart | puller list -"],
    "chart/templates/deployment.yaml": [
        f"bad chart/templates/deployment.yaml:4: an unrendered template: {RENDER}",
    ],
    "quoted-template.yaml": [
        f'bad quoted-template.yaml:5: a template: {RENDER}: "{{{{ .Values.image }}}}"',
        'bad quoted-template.yaml:6: contains a variable: run envsubst first: "registry.example/${APP}:${TAG}"',
        "quoted-template.yaml:7 redis:7",
    ],
    "broken.yaml": [
        "broken.yaml:5 redis:7",
        (
            "bad broken.yaml:10: not valid YAML: found character that cannot start any token: "
            "indent with spaces, not with a tab"
        ),
    ],
    # Dockerfiles
    "Dockerfile": [
        "note Dockerfile:1: docker/dockerfile:1.7: the frontend, which BuildKit pulls itself",
        "Dockerfile:5 golang:1.22-alpine3.20",
        "Dockerfile:7 ghcr.io/acme/tools:2",
        "Dockerfile:14 alpine:3.20",
        "Dockerfile:20 busybox:1.36-musl",
    ],
    "arguments.Dockerfile": [
        "arguments.Dockerfile:6 node:20-bookworm-slim",
        "arguments.Dockerfile:8 docker.io/library/nginx:1.27",
        "arguments.Dockerfile:9 python:3.12.4",
        "arguments.Dockerfile:10 debian:v3",
        "arguments.Dockerfile:11 redis:7",
        "arguments.Dockerfile:12 node:20-bookworm-slim",
        (
            "bad arguments.Dockerfile:13: no value for TAG: set it with --build-arg TAG=VALUE, "
            'or write a default before FROM (ARG TAG=VALUE): "example/app:${TAG}"'
        ),
        "arguments.Dockerfile:14 example/app:none",
        "arguments.Dockerfile:15 linux/arm64 example/arm",
        "arguments.Dockerfile:16 example/any",
        "arguments.Dockerfile:17 example/any2",
        (
            "bad arguments.Dockerfile:18: depends on the platform: add the image with --image: "
            '"example/tools-${TARGETARCH}"'
        ),
    ],
    "Containerfile": [
        "Containerfile:3 registry.fedoraproject.org/fedora:40",
        "Containerfile:10 quay.io/example/runtime:1",
        "Containerfile:16 quay.io/example/extra:2",
    ],
    "windows.Dockerfile": [
        "windows.Dockerfile:2 mcr.microsoft.com/windows/servercore:ltsc2022",
        "windows.Dockerfile:6 mcr.microsoft.com/dotnet/sdk:8.0",
    ],
    "Dockerfile.heredoc": ["Dockerfile.heredoc:1 debian:12", "Dockerfile.heredoc:13 debian:11"],
    "platforms.Dockerfile": [
        "platforms.Dockerfile:1 linux/amd64 busybox",
        "platforms.Dockerfile:2 linux/arm64 busybox",
        'bad platforms.Dockerfile:4: variables are not allowed here: use a stage, FROM … AS NAME: "$IMAGE"',
    ],
    # GitHub Actions and GitLab CI
    "repo/.github/workflows/ci.yml": [
        "repo/.github/workflows/ci.yml:9 node:20-bookworm",
        "repo/.github/workflows/ci.yml:12 postgres:16",
        "repo/.github/workflows/ci.yml:17 redis",
        "repo/.github/workflows/ci.yml:21 hadolint/hadolint:v2.12.0",
        "repo/.github/workflows/ci.yml:26 ghcr.io/acme/ci:5",
        "note repo/.github/workflows/ci.yml:29: job integration: ghcr.io/acme/tool:${{ github.sha }}" + IN_A_RUN,
    ],
    "repo/.github/workflows/matrix.yml": [
        "repo/.github/workflows/matrix.yml:15 python:3.9-bookworm",
        "repo/.github/workflows/matrix.yml:15 python:3.10-bookworm",
        "repo/.github/workflows/matrix.yml:15 python:3.10-alpine",
        "repo/.github/workflows/matrix.yml:15 python:3.12-bookworm",
        "repo/.github/workflows/matrix.yml:15 python:3.12-alpine",
        "repo/.github/workflows/matrix.yml:15 python:3.13-rc-bookworm",
        "repo/.github/workflows/matrix.yml:26 debian:12",
        "repo/.github/workflows/matrix.yml:26 fedora:40",
        "repo/.github/workflows/matrix.yml:36 mysql:8",
        "repo/.github/workflows/matrix.yml:36 mariadb:11",
        "note repo/.github/workflows/matrix.yml:42: job late: ${{ matrix.image }}" + IN_A_RUN,
        "note repo/.github/workflows/matrix.yml:45: job input: ${{ inputs.image || 'ubuntu' }}" + IN_A_RUN,
    ],
    "repo/action.yml": ["repo/action.yml:5 ghcr.io/acme/lint:1"],
    "repo/local-action.yml": [
        "note repo/local-action.yml:2: the action is built from Dockerfile, nothing to pull",
    ],
    "repo/composite.yaml": ["repo/composite.yaml:5 alpine:3.20"],
    "repo/.gitlab-ci.yml": [
        "repo/ci/build.yml:3 gcr.io/kaniko-project/executor:v1.23.0-debug",
        "repo/ci/build.yml:3 linux/amd64 gcr.io/kaniko-project/executor:v1.23.0-debug",
        "repo/.gitlab-ci.yml:11 node:20-alpine",
        "repo/.gitlab-ci.yml:11 node:22-alpine",
        "repo/.gitlab-ci.yml:13 postgres:16",
        "repo/.gitlab-ci.yml:28 linux/amd64 docker:27",
        "repo/.gitlab-ci.yml:30 docker:27-dind",
        "repo/.gitlab-ci.yml:48 aquasec/trivy:0.53.0",
        "repo/.gitlab-ci.yml:52 redis:7",
        (
            "note repo/.gitlab-ci.yml:56: $CI_REGISTRY_IMAGE/smoke:latest: "
            "no value for $CI_REGISTRY_IMAGE: set it in the environment"
        ),
        "repo/.gitlab-ci.yml:64 ruby:3.2",
        "repo/.gitlab-ci.yml:64 ruby:3.3",
        f"note repo/.gitlab-ci.yml:18: include: template Security/SAST.gitlab-ci.yml: {NOT_HERE}",
        f"note repo/.gitlab-ci.yml:19: include: project acme/templates: {NOT_HERE}",
        f"note repo/.gitlab-ci.yml:21: include: remote https://example.com/ci.yml: {NOT_HERE}",
    ],
    "simple.gitlab-ci.yml": [
        "simple.gitlab-ci.yml:1 python:3.12-slim",
        "simple.gitlab-ci.yml:4 mysql:8.0",
        "simple.gitlab-ci.yml:14 alpine",
    ],
    # The rest
    "sync.yml": [
        ("note sync.yml:3: registry.example.com/busybox: left out: no tags means all tags; list the tags to pull"),
        "sync.yml:5 registry.example.com/redis:1.0",
        "sync.yml:6 registry.example.com/redis:2.10",
        f"sync.yml:7 registry.example.com/redis@sha256:{'0' * 32}{'1' * 32}",
        (
            "note sync.yml:9: registry.example.com/nginx: left out: only the registry can tell "
            "which tags match a regular expression"
        ),
        "sync.yml:16 quay.io/coreos/etcd:latest",
        "sync.yml:20 docker.io/library/hello-world:linux",
        "note sync.yml:19: docker.io/alpine: left out: only the registry can tell which tags match a range of versions",
    ],
    "images.json": [
        "images.json:2 nginx:1.27",
        "images.json:3 linux/arm64 redis:7",
        "images.json:4 ghcr.io/acme/app",
        "bad images.json:5: expected a reference, or an object with image or reference",
        "bad images.json:6: expected a reference, or an object with image or reference",
    ],
    "listed.json": [
        "listed.json:4 docker.io/library/nginx:1.27",
        "listed.json:5 linux/arm64 docker.io/library/redis:7",
    ],
    "array.yml": ["array.yml:2 nginx:1.27", "array.yml:3 linux/arm64 redis:7", "array.yml:5 quay.io/example/x:1"],
    "text-in-disguise.yaml": ["text-in-disguise.yaml:2 nginx:1.27", "text-in-disguise.yaml:3 linux/arm64 redis:7"],
    "images.lock": [
        f"images.lock:2 docker.io/library/nginx:1.27@{SUM}",
        f"images.lock:3 linux/arm64 docker.io/library/redis:7@{SUM}",
    ],
    "playbook.yml": [f"bad playbook.yml:1: {NO_KIND}"],
    "circleci.yml": [f"bad circleci.yml:1: {NO_KIND}"],
}
READ_WITH_ANOTHER = {
    "shop/compose.override.yaml", "shop/.env", "extends/common/services.yml", "extends/common/more.yml",
    "include/infra/compose.yaml", "include/infra/.env", "include/monitoring/base.yaml", "include/monitoring/prod.yaml",
    "include/monitoring/versions.env", "repo/ci/build.yml", ".gitattributes",
}  # fmt: skip
NEEDS_ITS_PLACE = ("shop/", "extends/", "include/", "repo/.gitlab", "docker-compose.legacy")
"""What has neighbours, or only its name to be known by."""


@pytest.fixture(autouse=True)
def _in_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DATA)
    for name in ("TAG", "REGISTRY", "POSTGRES_VERSION", "POSTGRES_PASSWORD", "DOCKER_REGISTRY", "COMPOSE_PROFILES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SET", "yes")
    monkeypatch.setenv("EMPTY", "")


@pytest.mark.parametrize("path", EXPECTED)
def test_a_file_means_what_it_says(path: str) -> None:
    """Each file by its path alone: its kind is chosen by content and name."""
    assert listed(path) == EXPECTED[path]


@pytest.mark.parametrize(
    "path",
    [path for path in EXPECTED if (DATA / path).is_file() and not path.startswith(NEEDS_ITS_PLACE)],
)
def test_content_alone_is_enough(path: str) -> None:
    """On standard input there is no name, and the same list comes out where the file needs none."""
    expected = [line.replace(f"{path}:", "stdin:") for line in EXPECTED[path]]
    assert listed("-", stdin=(DATA / path).read_bytes()) == expected


@pytest.mark.parametrize("path", [path for path in EXPECTED if (DATA / path).is_file()])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_line_ends_and_a_bom_change_nothing(tmp_path: Path, path: str, end: bytes) -> None:
    """Whichever editor wrote a file, it means the same, line by line."""
    file = tmp_path / Path(path).name
    data = (DATA / path).read_bytes().removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    file.write_bytes(data)
    plain = listed(str(file))
    file.write_bytes(b"\xef\xbb\xbf" + data.replace(b"\n", end))
    assert listed(str(file)) == plain


def test_every_file_is_in_the_table() -> None:
    """No example is there without its list."""
    files = {str(path.relative_to(DATA)) for path in DATA.rglob("*") if path.is_file()}
    folders = tuple(f"{path}/" for path in EXPECTED if (DATA / path).is_dir())
    assert {path for path in files - EXPECTED.keys() - READ_WITH_ANOTHER if not path.startswith(folders)} == set()
    assert len(EXPECTED) > 30


def test_several_lists_of_several_kinds_at_once() -> None:
    """A Compose file, a directory and plain lines come in the order in which they are named."""
    found = listed("anchors.yml", "k8s", "images.lock")
    assert found == EXPECTED["anchors.yml"] + EXPECTED["k8s"] + EXPECTED["images.lock"]
