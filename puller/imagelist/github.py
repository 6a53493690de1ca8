"""GitHub Actions: the images of the jobs, services and steps of a workflow, and those of an action.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax (`jobs.<job_id>.container`,
`.services`, `.steps[*].uses`) and `/metadata-syntax` (`runs.image`).
"""

from collections.abc import Iterator, Sequence

from puller.imagelist import github_matrix
from puller.imagelist.entry import Item, Note, entry_of
from puller.imagelist.nodes import Node
from puller.imagelist.source import ListSource

_DOCKER = "docker://"


def detect(documents: Sequence[Node], source: ListSource) -> bool:
    """Tell whether this is a workflow or an action."""
    root = documents[0]
    jobs, runs = root.get("jobs"), root.get("runs")
    return bool(
        (jobs and jobs.fields and ("on" in root.fields or ".github/" in source.name)) or (runs and runs.get("using"))
    )


def parse(documents: Sequence[Node], source: ListSource) -> Iterator[Item]:  # noqa: ARG001 - the signature of all
    """Yield the images in the order of the file."""
    for root in documents:
        jobs = root.get("jobs")
        for name, job in jobs.fields.items() if jobs else ():
            yield from _job(name, job)
        if runs := root.get("runs"):
            yield from _action(runs)


def _job(name: str, job: Node) -> Iterator[Item]:
    rows = github_matrix.rows(job.get("strategy", "matrix"))
    yield from _container(job.get("container"), f"job {name}", rows)
    services = job.get("services")
    for service, container in services.fields.items() if services else ():
        yield from _container(container, f"service {service}", rows)
    yield from _steps(job, f"job {name}", rows)


def _action(runs: Node) -> Iterator[Item]:
    image = runs.get("image")
    if image and image.text:
        if image.text.startswith(_DOCKER):
            yield from _image(image.text.removeprefix(_DOCKER), image, "the action", [])
        else:
            yield Note(image.source, f"the action is built from {image.text}, nothing to pull")
    yield from _steps(runs, "the action", [])


def _steps(node: Node, where: str, rows: github_matrix.Rows) -> Iterator[Item]:
    steps = node.get("steps")
    for step in steps.items if steps else ():
        uses = step.get("uses")
        if uses and uses.text and uses.text.strip().startswith(_DOCKER):
            yield from _image(uses.text.strip().removeprefix(_DOCKER), uses, where, rows)


def _container(container: Node | None, where: str, rows: github_matrix.Rows) -> Iterator[Item]:
    """Read a container, which may be just its image."""
    if container is None:
        return
    image = container if container.text is not None else container.get("image")
    if image is not None and image.text is not None:
        yield from _image(image.text, image, where, rows)


def _image(text: str, node: Node, where: str, rows: github_matrix.Rows) -> Iterator[Item]:
    found = github_matrix.fill(text, rows)
    if found is None:
        yield Note(node.source, f"{where}: {text} is known only when the workflow runs")
        return
    for reference in found:
        # With an empty value the job runs without a container.
        if reference := reference.strip().removeprefix(_DOCKER):
            yield entry_of(reference, node.source)
