"""Directories as lists: which of their files are read, and what is passed over."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from puller.errors import ListError
from puller.imagelist.compose_cli import DEFAULT_NAMES, OVERRIDES
from puller.imagelist.entry import BadLine, Note, Source
from puller.imagelist.variables import read_dotenv
from puller.text import counted

DATA_FILES = (".yaml", ".yml", ".json")
_TEXT_FILES = (".txt", ".list", ".lock")
_CHART = "Chart.yaml"
_DOCKERFILE = re.compile(r"(?i)(?:.*[./])?(?:dockerfile|containerfile)(?:[.-][^/]*)?")
_NO_DOCKERFILE = r"(?i).*\.(?:dockerignore|go|md|rst|txt|sh|py|js|ts|rb|html?|ya?ml|json|orig|bak|swp)"
_NO_LIST = (
    r"(?i)(?:readme|licen[cs]e|notice|copying|authors|changelog|robots|cmakelists|requirements|constraints).*\.txt"
    r"|(?:package-lock|npm-shrinkwrap)\.json|pnpm-lock\.ya?ml"
    r"|(?:yarn|cargo|poetry|gemfile|composer|flake|pipfile|uv|pdm|mix|podfile|bun|pubspec|chart)\.lock"
)
_READ_BY = {
    "text file": "--from text",
    "Dockerfile": "--from dockerfile",
    "GitLab CI file": "name the file",
    "GitHub workflow": "name .github/workflows",
    "directory link": "name it",
}


def is_dockerfile(name: str) -> bool:
    """Tell whether a file has the name of a Dockerfile, or of a template of one."""
    return bool(_DOCKERFILE.fullmatch(name)) and not re.fullmatch(_NO_DOCKERFILE, name)


def files_of(path: str, list_format: str | None) -> Iterator[Sequence[str] | BadLine | Note]:
    """Yield the files below a directory that may be lists, in order, without hidden ones.

    Several files are one Compose project, named by COMPOSE_FILE. A Helm chart is a bad line, as it has to be rendered
    first. Links to directories are not followed. The last item is a note about what was passed over.
    """
    passed: Counter[str] = Counter()
    failed: list[OSError] = []
    for folder, folders, names in os.walk(path, onerror=failed.append):
        if list_format is None:
            passed += _passed_over(folder, folders, names)
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        links = sum(Path(folder, each).is_symlink() for each in folders)
        passed += Counter({"directory link": links} if links else {})
        if _CHART in names and list_format in (None, "kubernetes"):
            chart, name = os.path.join(folder, _CHART), folder if folder == path else "CHART"  # noqa: PTH118
            reason = f"a Helm chart: render it first: helm template {name} | puller list -"
            yield BadLine(Source(chart), "", reason, is_template=folder != path)
            folders[:] = []
            continue
        project: Sequence[str] = ()
        try:
            project = _project(folder, names) if list_format in (None, "compose") else ()
        except ListError as error:
            yield BadLine(Source(folder), "", str(error))
        if project:
            yield [os.path.join(folder, name) for name in project]  # noqa: PTH118
        # Compose reads an override file with the file that it overrides.
        known = {*project, *DEFAULT_NAMES} if project else set()
        known |= {*OVERRIDES} if project or {*DEFAULT_NAMES}.intersection(names) else set()
        for name in sorted(names):
            if _is_list(name, list_format) and name not in known:
                yield [os.path.join(folder, name)]  # noqa: PTH118
    yield from (BadLine(Source(str(error.filename)), "", f"cannot be read: {error.strerror}") for error in failed)
    if passed:
        kinds = (f"{counted(passed[kind], kind)} ({how})" for kind, how in _READ_BY.items() if passed[kind])
        yield Note(Source(path), f"passed over: {', '.join(kinds)}")


def _is_list(name: str, list_format: str | None) -> bool:
    if name.startswith("."):
        return False
    if list_format == "dockerfile":
        return is_dockerfile(name)
    ends = _TEXT_FILES if list_format == "text" else DATA_FILES
    return name.lower().endswith(ends) and not re.fullmatch(_NO_LIST, name)


def _passed_over(folder: str, folders: Sequence[str], names: Sequence[str]) -> Counter[str]:
    """Count the lists of one folder that are read only if they are named."""
    visible = [name for name in names if not name.startswith(".")]
    found = Counter({"Dockerfile": sum(map(is_dockerfile, visible))})
    found["text file"] = sum(_is_list(name, "text") for name in visible)
    found["GitLab CI file"] = int(".gitlab-ci.yml" in names)
    if ".github" in folders:
        with suppress(OSError):
            workflows = os.listdir(Path(folder, ".github", "workflows"))  # noqa: PTH208 - the names are enough
            found["GitHub workflow"] = sum(name.endswith((".yml", ".yaml")) for name in workflows)
    return +found


def _project(folder: str, names: Sequence[str]) -> Sequence[str]:
    """Return the files that COMPOSE_FILE names, in the environment for the current directory, or else in `.env`.

    https://docs.docker.com/compose/how-tos/environment-variables/envvars/#compose_file
    """
    environment = os.environ if Path(folder).absolute() == Path.cwd() else {}
    values = read_dotenv(Path(folder), environment) if environment or ".env" in names else {}
    values |= environment
    separator = values.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
    return [name for name in values.get("COMPOSE_FILE", "").split(separator) if name]
