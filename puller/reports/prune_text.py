"""What may go, and what has gone, for people."""

from typing import TYPE_CHECKING

from puller.pruning.planner import Reason
from puller.pruning.work import Action
from puller.reports.text import aligned
from puller.text import clean, format_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from puller.pruning.planner import Staying
    from puller.pruning.work import Look, Step

_HEADER = ("IMAGE", "BROUGHT", "LAST WANTED", "FREES")
_RIGHT = {3}
_WHY = {
    Reason.IN_USE: "a container uses it",
    Reason.BUILT_ON: "another image is built on it",
    Reason.RECENT: "it is among the newest of its repository",
    Reason.NOT_OURS: "it was there before puller, or others have named it",
}


def before(look: "Look", *, until: str = "") -> str:
    """Write what may go and what stays; `until` says how far down the list it will be gone."""
    plan = look.plan
    lines = [f"stays: {clean(', '.join(each.names))}: {_why(each)}" for each in plan.staying if each.reason in _WHY]
    listed = sum(each.reason is Reason.LISTED for each in plan.staying)
    if listed:
        lines.append(f"{_count(listed)} that puller brought {'is' if listed == 1 else 'are'} named by the lists")
    if not plan.going:
        return "\n".join([*lines, "nothing to remove"]) + "\n"
    whole, total = sum(each.whole for each in plan.going), sum(look.frees)
    lines.append(f"may go: {_count(whole)}, up to {format_bytes(total)}{_names_only(len(plan.going) - whole)}")
    if until:
        lines.append(f"of these, from the top, as many as it takes {until}")
    return "\n".join([*aligned([_HEADER, *_rows(look)], _RIGHT), "", *lines]) + "\n"


def after(steps: "Sequence[Step]", freed: int | None, free: int | None) -> str:
    """Write what has gone and how much more is free, as measured; then what could not be removed."""
    removed = sum(step.action is Action.REMOVED for step in steps)
    names = sum(step.action is Action.UNTAGGED for step in steps)
    line = f"removed {_count(removed)}{_names_only(names)}"
    if freed is not None and free is not None:
        line += f": {format_bytes(max(freed, 0))} freed, {format_bytes(free)} are free now"
    told = [str(step) for step in steps if step.action in (Action.CHANGED, Action.FAILED)]
    return "\n".join([line, *told]) + "\n"


def _rows(look: "Look") -> "Iterator[tuple[str, str, str, str]]":
    for each, frees in zip(look.plan.going, look.frees, strict=True):
        first, *others = map(clean, each.targets)
        yield first, _moment(each.brought), _moment(each.wanted), format_bytes(frees) if each.whole else "name only"
        yield from ((name, "", "", "") for name in others)


def _why(staying: "Staying") -> str:
    return _WHY[staying.reason] + (f" ({clean(staying.detail)})" if staying.detail else "")


def _names_only(count: int) -> str:
    return f", and names of {_count(count)} that {'stays' if count == 1 else 'stay'}" if count else ""


def _count(number: int) -> str:
    return f"{number} image{'' if number == 1 else 's'}"


def _moment(text: str) -> str:
    return clean(text).replace("T", " ").rstrip("Z")[:16]
