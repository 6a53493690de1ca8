"""The output of `puller prune`: what may be removed, what was removed, and the same as JSON."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from puller.prune.planner import Kept, PrunePlan, Reason, Removable
from puller.prune.remove import Action, Removal
from puller.text import aligned, clean, counted, format_bytes, short_reference

_HEADER = ("IMAGE", "PULLED", "LAST LISTED", "FREES")
_RIGHT = {3}
_REASONS = {
    Reason.IN_USE: "a container uses it",
    Reason.BUILT_ON: "another image is built on it",
    Reason.RECENT: "it is among the newest of its repository",
    Reason.NOT_OURS: "puller did not pull it, or others have tagged it",
}


def before(plan: PrunePlan, *, until: str = "") -> str:
    """Return what can be removed and what stays; `until` says when the removal stops."""
    lines = [f"stays: {clean(', '.join(each.names))}: {_reason(each)}" for each in plan.kept if each.reason in _REASONS]
    listed = sum(each.reason is Reason.LISTED for each in plan.kept)
    if listed:
        lines.append(f"{counted(listed, 'image')} {'is' if listed == 1 else 'are'} still listed")
    if not plan.removable:
        return "\n".join([*lines, "nothing to remove"]) + "\n"
    whole, total = sum(each.whole for each in plan.removable), sum(each.frees for each in plan.removable)
    names_only = _names_only(len(plan.removable) - whole)
    lines.append(f"{counted(whole, 'image')} can be removed, up to {format_bytes(total)}{names_only}")
    if until:
        lines.append(f"they are removed from the top {until}")
    return "\n".join([*aligned([_HEADER, *_rows(plan)], _RIGHT), "", *lines]) + "\n"


def after(removals: Sequence[Removal], freed: int | None, free: int | None) -> str:
    """Return what was removed, how many bytes that freed as measured, and what could not be removed."""
    actions = Counter(each.action for each in removals)
    line = f"removed {counted(actions[Action.REMOVED], 'image')}{_names_only(actions[Action.UNTAGGED])}"
    if freed is not None and free is not None:
        line += f": {format_bytes(max(freed, 0))} freed, {format_bytes(free)} are free now"
    problems = [str(each) for each in removals if each.action in (Action.CHANGED, Action.FAILED)]
    return "\n".join([line, *problems]) + "\n"


def _rows(plan: PrunePlan) -> Iterator[tuple[str, str, str, str]]:
    for each in plan.removable:
        first, *others = (short_reference(clean(target)) for target in each.targets)
        frees = format_bytes(each.frees) if each.whole else "name only"
        yield first, _time(each.pulled), _time(each.last_listed), frees
        yield from ((name, "", "", "") for name in others)


def _reason(kept: Kept) -> str:
    return _REASONS[kept.reason] + (f" ({clean(kept.detail)})" if kept.detail else "")


def _names_only(count: int) -> str:
    return f", and names of {counted(count, 'image')} that {'stays' if count == 1 else 'stay'}" if count else ""


def _time(text: str) -> str:
    return clean(text).replace("T", " ").rstrip("Z")[:16]


def render_json(
    plan: PrunePlan, removals: Sequence[Removal], *, dry_run: bool, free: tuple[int | None, int | None]
) -> str:
    """Return all of it as JSON; `free` has the free bytes of the engine's disk before and after, if known."""
    results = {each.candidate: each for each in removals}
    removable = [_removable(each, results.get(each)) for each in plan.removable]
    before, after = free
    document = {
        "schema": "puller.prune/1",
        "dry_run": dry_run,
        "bytes_at_most": sum(each.frees for each in plan.removable),
        "free_before": before,
        "free_after": after,
        "freed": None if before is None or after is None else max(after - before, 0),
        "images": [*removable, *map(_kept, plan.kept)],
    }
    return json.dumps(document, indent=2) + "\n"


def _kept(kept: Kept) -> dict[str, Any]:
    common = {"id": kept.image.identity, "names": kept.names, "action": "stays"}
    return common | {"reason": kept.reason.value, "detail": kept.detail or None}


def _removable(candidate: Removable, removal: Removal | None) -> dict[str, Any]:
    return {
        "id": candidate.image.identity,
        "names": candidate.targets,
        "action": removal.action.value if removal else "may_go",
        "whole": candidate.whole,
        "brought": candidate.pulled,
        "last_wanted": candidate.last_listed,
        "bytes_at_most": candidate.frees,
        "error": (removal.error or None) if removal else None,
    }
