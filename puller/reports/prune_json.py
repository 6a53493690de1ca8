"""What may go, and what has gone, as JSON: `puller.pruning.planner/1`."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from puller.pruning.work import Look, Step


def render(look: "Look", steps: "Sequence[Step]", *, dry_run: bool, free: tuple[int | None, int | None]) -> str:
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
        "schema": "puller.pruning.planner/1",
        "dry_run": dry_run,
        "bytes_at_most": sum(look.frees),
        "free_before": before,
        "free_after": after,
        "freed": None if before is None or after is None else max(after - before, 0),
        "images": [*going, *staying],
    }
    return json.dumps(document, indent=2) + "\n"


def _going(going: Any, frees: int, step: "Step | None") -> dict[str, Any]:
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
