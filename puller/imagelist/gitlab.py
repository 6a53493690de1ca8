"""GitLab CI (https://docs.gitlab.com/ci/yaml/): the images and services of the jobs of a pipeline.

A hidden job (`.name`) counts where a job extends it. What only the pipeline knows, such as `$CI_REGISTRY_IMAGE`, is
said and left out.
"""

from typing import TYPE_CHECKING

from puller.imagelist.entry import Item, Note, wanted
from puller.imagelist.gitlab_pipeline import Pipeline
from puller.imagelist.gitlab_variables import expansions, variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from puller.imagelist.nodes import Node
    from puller.imagelist.origin import Origin


_MARKS = {"script", "trigger", "extends", "before_script", "run"}
_TOP = {"stages", "default", "workflow", "include", "image", "services", "before_script"}


def detect(documents: "Sequence[Node]", origin: "Origin") -> bool:
    """Whether this has jobs, or the name of a pipeline."""
    if ".gitlab-ci." in origin.file or origin.file.startswith(".gitlab-ci"):
        return True
    root = documents[-1]
    jobs = [node for node in root.fields.values() if node.fields.keys() & _MARKS]
    includes = root.get("include")
    only_includes = bool(includes) and root.fields.keys() <= _TOP | {"variables", "spec"}
    return bool(jobs and (root.fields.keys() & _TOP or any(node.get("script") for node in jobs))) or only_includes


def parse(documents: "Sequence[Node]", origin: "Origin") -> "Iterator[Item]":
    """Yield the images of every job that can run, its services after it."""
    pipeline = Pipeline(documents, origin)
    yield from dict.fromkeys(_items(pipeline))


def _items(pipeline: Pipeline) -> "Iterator[Item]":
    for job in pipeline.jobs():
        image = pipeline.of_job(job, "image")
        services = pipeline.of_job(job, "services")
        values = variables(pipeline.variables, job)
        if image:
            yield from _image(image, values)
        for service in services.items if services else ():
            yield from _image(service, values)
    yield from pipeline.problems


def _image(node: "Node", values: "Sequence[Mapping[str, str]]") -> "Iterator[Item]":
    name = node if node.text is not None else node.get("name")
    platform = node.get("docker", "platform")
    if name is None or not name.text:
        return
    for text, unknown in expansions(name.text, values):
        if unknown:
            yield Note(name.source, f"{name.text}: {unknown} is known only in the pipeline")
        else:
            yield wanted(text.strip(), name.source, platform.text if platform else None)
