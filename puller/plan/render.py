"""The plan for people: a table of all images, a line that sums up, then quotas, disk and what went wrong."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from puller.failure import error_document
from puller.plan.model import Change, Disk, ImageEstimate, PullPlan, QuotaUse
from puller.text import aligned, clean, format_bytes, format_seconds

_HEADER = ("CHANGE", "IMAGE", "DIGEST", "LAYERS", "DOWNLOAD")
_RIGHT = {3, 4}


def render_text(forecast: PullPlan) -> str:
    """Write the plan for people."""
    lines = [_total(forecast), *map(_quota_words, forecast.quotas)]
    if forecast.would_pull:
        lines.append(_disk(forecast.disk, complete=forecast.complete))
    blocks = ["\n".join(lines), *_remarks(forecast)]
    if forecast.prospects:
        blocks.insert(0, "\n".join(aligned([_HEADER, *map(_cells, forecast.prospects)], _RIGHT)))
    return "\n\n".join(blocks) + "\n"


def _cells(prospect: ImageEstimate) -> tuple[str, ...]:
    estimate = prospect.estimate
    nothing = "-" if prospect.change is Change.UP_TO_DATE else "?"
    return (
        prospect.change.value.replace("_", " "),
        clean(str(prospect.request)),
        (prospect.digest or "").partition(":")[2][:12] or "-",
        f"{estimate.missing}/{estimate.layers}" if estimate else nothing,
        format_bytes(estimate.download) if estimate else nothing,
    )


def _total(forecast: PullPlan) -> str:
    total = len(forecast.prospects)
    if not total:
        return "no images: there is nothing to pull"
    pulls, unknown = len(forecast.would_pull), len(forecast.unknown)
    parts = [f"{total - pulls - unknown} up to date", f"{pulls} would be pulled"]
    parts += [f"{unknown} unknown"] if unknown else []
    line = f"{total} {'image' if total == 1 else 'images'}: {', '.join(parts)}"
    if not pulls:
        return line
    least = "" if forecast.complete else "at least "
    return f"{line}; {least}{format_bytes(forecast.download)} to download"


def _quota_words(allowance: QuotaUse) -> str:
    left = "?" if allowance.remaining is None else str(allowance.remaining)
    limit = f" of {allowance.limit}" if allowance.limit is not None else ""
    window = f" in {format_seconds(allowance.window_seconds)}" if allowance.window_seconds else ""
    line = f"quota: {clean(allowance.registry)} has {left}{limit} pulls left{window}; {allowance.pulls} would count"
    if allowance.looked:
        line += f" (this plan looked at {allowance.looked} manifests, which may count, too)"
    return line if allowance.enough else f"{line}: not enough"


def _disk(disk: Disk, *, complete: bool) -> str:
    needed = f"{'about' if complete else 'at least'} {format_bytes(disk.needed)}"
    if disk.free is None:
        return f"disk: {needed} needed; what is free is not known: {clean(disk.note)}"
    line = f"disk: {needed} needed at {clean(disk.path or '')}, {format_bytes(disk.free)} are free"
    return line if disk.enough else f"{line}: not enough"


def _remarks(forecast: PullPlan) -> Iterator[str]:
    notes: dict[str, list[str]] = {}
    for prospect in forecast.prospects:
        if prospect.note:
            notes.setdefault(clean(prospect.note), []).append(clean(str(prospect.request)))
        if why := prospect.failure:
            lines = (f"unknown: {clean(str(prospect.request))}", f"  {why.kind}: {clean(why.message)}")
            yield "\n".join((*lines, f"  → {clean(why.advice)}"))
    for note, names in notes.items():
        yield "\n".join([*(f"no size: {name}" for name in names), f"  {note}"])
    for rejected in forecast.rejected:
        if rejected.failure:
            yield f"bad line: {clean(rejected.failure.message)}"


SCHEMA = "puller.plan/1"
"""Name and version; the number grows only when something promised changes its meaning."""


def render_json(forecast: PullPlan) -> str:
    """Write the plan as JSON in plain ASCII."""
    estimates = forecast.estimates
    document = {
        "schema": SCHEMA,
        "engine": forecast.engine,
        "changes": bool(forecast.would_pull),
        "complete": forecast.complete,
        "counts": {change.value: sum(each.change is change for each in forecast.prospects) for change in Change},
        "bytes": {
            "download": forecast.download,
            "layers": sum(estimate.blobs for estimate in estimates),
            "unpacked": sum(estimate.unpacked for estimate in estimates),
        },
        "quotas": [_quota_json(allowance) for allowance in forecast.quotas],
        "disk": asdict(forecast.disk) | {"enough": forecast.disk.enough, "note": forecast.disk.note or None},
        "images": [_image(prospect) for prospect in forecast.prospects],
        "invalid": [each.failure.message if each.failure else each.reference for each in forecast.rejected],
    }
    return json.dumps(document, indent=2) + "\n"


def _image(prospect: ImageEstimate) -> dict[str, Any]:
    request, estimate, why = prospect.request, prospect.estimate, prospect.failure
    return {
        "reference": request.reference.canonical,
        "requested": list(request.requested or (request.reference.text,)),
        "platform": str(request.platform) if request.platform else None,
        "change": prospect.change.value,
        "digest": prospect.digest,
        "bytes": estimate.download if estimate else 0 if prospect.change is Change.UP_TO_DATE else None,
        "unpacked": estimate.unpacked if estimate else 0 if prospect.change is Change.UP_TO_DATE else None,
        "layers": {"total": estimate.layers, "missing": estimate.missing} if estimate else None,
        "note": prospect.note or None,
        "error": error_document(why) if why else None,
    }


def _quota_json(allowance: QuotaUse) -> dict[str, Any]:
    return asdict(allowance) | {"enough": allowance.enough}
