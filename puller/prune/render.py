"""What may go, and what has gone, for people."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from puller.prune.planner import Reason, Staying
from puller.prune.remove import Action, PruneCandidates, Removal
from puller.text import aligned, clean, format_bytes

_HEADER = ("IMAGE", "BROUGHT", "LAST WANTED", "FREES")
_RIGHT = {3}
_WHY = {
    Reason.IN_USE: "a container uses it",
    Reason.BUILT_ON: "another image is built on it",
    Reason.RECENT: "it is among the newest of its repository",
    Reason.NOT_OURS: "it was there before puller, or others have named it",
}


def before(look: PruneCandidates, *, until: str = "") -> str:
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


def after(steps: Sequence[Removal], freed: int | None, free: int | None) -> str:
    """Write what has gone and how much more is free, as measured; then what could not be removed."""
    removed = sum(step.action is Action.REMOVED for step in steps)
    names = sum(step.action is Action.UNTAGGED for step in steps)
    line = f"removed {_count(removed)}{_names_only(names)}"
    if freed is not None and free is not None:
        line += f": {format_bytes(max(freed, 0))} freed, {format_bytes(free)} are free now"
    told = [str(step) for step in steps if step.action in (Action.CHANGED, Action.FAILED)]
    return "\n".join([line, *told]) + "\n"


def _rows(look: PruneCandidates) -> Iterator[tuple[str, str, str, str]]:
    for each, frees in zip(look.plan.going, look.frees, strict=True):
        first, *others = map(clean, each.targets)
        yield first, _moment(each.brought), _moment(each.wanted), format_bytes(frees) if each.whole else "name only"
        yield from ((name, "", "", "") for name in others)


def _why(staying: Staying) -> str:
    return _WHY[staying.reason] + (f" ({clean(staying.detail)})" if staying.detail else "")


def _names_only(count: int) -> str:
    return f", and names of {_count(count)} that {'stays' if count == 1 else 'stay'}" if count else ""


def _count(number: int) -> str:
    return f"{number} image{'' if number == 1 else 's'}"


def _moment(text: str) -> str:
    return clean(text).replace("T", " ").rstrip("Z")[:16]


def render_json(
    look: PruneCandidates, steps: Sequence[Removal], *, dry_run: bool, free: tuple[int | None, int | None]
) -> str:
    """Write all of it; `free` is how many bytes were free on the engine's disk before and after, where that is seen."""
    done = {step.going: step for step in steps}
    going = [_going(each, frees, done.get(each)) for each, frees in zip(look.plan.going, look.frees, strict=True)]
    staying = [
        {
            "id": each.image.identity,
            "names": each.names,
            "action": "stays",
            "reason": each.reason.value,
            "detail": each.detail or None,
        }
        for each in look.plan.staying
    ]
    before, after = free
    document = {
        "schema": "puller.prune/1",
        "dry_run": dry_run,
        "bytes_at_most": sum(look.frees),
        "free_before": before,
        "free_after": after,
        "freed": None if before is None or after is None else max(after - before, 0),
        "images": [*going, *staying],
    }
    return json.dumps(document, indent=2) + "\n"


def _going(going: Any, frees: int, step: Removal | None) -> dict[str, Any]:
    return {
        "id": going.image.identity,
        "names": going.targets,
        "action": step.action.value if step else "may_go",
        "whole": going.whole,
        "brought": going.brought,
        "last_wanted": going.wanted,
        "bytes_at_most": frees,
        "error": (step.error or None) if step else None,
    }
