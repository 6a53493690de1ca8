"""Several platforms of one tag in one list: pulled where the engine keeps them, refused where it cannot."""

from collections.abc import Iterable, Sequence

from puller.engine.interface import ImageStore
from puller.errors import EngineError, ListError
from puller.image.reference import Platform
from puller.model import PullRequest


def refuse_what_cannot_be_kept(requests: Iterable[PullRequest], store: ImageStore) -> None:
    """Raise ListError with a line for each tag that is wanted for more platforms than this engine keeps of one.

    The engine is asked about itself only when there is such a tag, and one that will not say is not contradicted.
    """
    several = {name: group for name, group in _by_name(requests).items() if len({one.platform for one in group}) > 1}
    if not several:
        return
    try:
        facts = store.facts()
    except EngineError:
        return
    if facts.keeps_platforms:
        return
    problems = [
        f"{group[0].reference.text} is wanted for {_in_words(platforms)}, and this engine keeps one platform of a tag: "
        "leave one of them out, or use an engine with the containerd image store"
        for group in several.values()
        if len(platforms := _platforms(group, facts.platform)) > 1
    ]
    if problems:
        raise ListError(problems)


def _by_name(requests: Iterable[PullRequest]) -> dict[str, list[PullRequest]]:
    groups: dict[str, list[PullRequest]] = {}
    for request in requests:
        reference = request.reference
        name = f"{reference.name}:{reference.tag}" if reference.tag else f"{reference.name}@{reference.digest}"
        groups.setdefault(name, []).append(request)
    return groups


def _platforms(group: Iterable[PullRequest], own: Platform | None) -> list[str]:
    return list(dict.fromkeys(str(request.platform or own or "the engine's own platform") for request in group))


def _in_words(platforms: Sequence[str]) -> str:
    return f"{', '.join(platforms[:-1])} and {platforms[-1]}"
