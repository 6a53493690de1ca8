"""The output of `puller plan`, as text and as JSON."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from puller.engine.disk import MORE_SPACE, DiskShortage
from puller.failure import error_document
from puller.image.digest import short_digest
from puller.plan.model import Change, Disk, ImageEstimate, PullPlan, QuotaUse
from puller.registry.responses import QuotaSource
from puller.text import aligned, clean, counted, format_bytes, format_seconds, short_reference

_HEADER = ("CHANGE", "IMAGE", "DIGEST", "LAYERS", "DOWNLOAD")
_RIGHT = {3, 4}


def render_text(plan: PullPlan) -> str:
    """Return a table of all images, a summary, then quotas, disk space and problems."""
    lines = [_total(plan), *map(_quota_line, plan.quotas)]
    if plan.would_pull:
        lines.append(_disk_line(plan.disk, len(plan.estimates), complete=plan.complete))
    blocks = ["\n".join(lines), *problems(plan)]
    if plan.images:
        blocks.insert(0, "\n".join(aligned([_HEADER, *map(_cells, plan.images)], _RIGHT)))
    return "\n\n".join(blocks) + "\n"


def _cells(image: ImageEstimate) -> tuple[str, ...]:
    estimate = image.estimate
    no_estimate = "-" if image.change is Change.UP_TO_DATE else "?"
    return (
        image.change.value.replace("_", " "),
        short_reference(clean(str(image.request)), tag_only=True),
        short_digest(image.digest or image.request.reference.digest) or "-",
        f"{estimate.missing}/{estimate.layers}" if estimate else no_estimate,
        format_bytes(estimate.download) if estimate else no_estimate,
    )


def _total(plan: PullPlan) -> str:
    total = len(plan.images)
    if not total:
        return "no images: there is nothing to pull"
    pulls, unknown = len(plan.would_pull), len(plan.unknown)
    parts = [f"{total - pulls - unknown} up to date", f"{pulls} would be pulled"]
    parts += [f"{unknown} unknown"] if unknown else []
    line = f"{counted(total, 'image')}: {', '.join(parts)}"
    if not pulls:
        return line
    least = "" if plan.complete else "at least "
    return f"{line}; {least}{format_bytes(plan.download)} to download"


def quota_of_hosts(uses: Sequence[QuotaUse]) -> str:
    """Return a line about the quota of one registry, and what the hosts would use of it: one value for each host.

    All hosts pull with this machine's account, and so from one quota. The quota of this machine's public address is
    that of a host only if both share the address, which puller does not know.
    """
    looked = max(each.looked for each in uses)  # once for all hosts
    quota = uses[0]._replace(pulls=sum(each.pulls for each in uses), looked=looked)
    left, needed = _quota_left(quota), f"pulls on {counted(len(uses), 'host')} need {quota.pulls}"
    if quota.source is QuotaSource.ACCOUNT:
        return _with_verdict(quota, f"{left} for this account; {needed}")
    if quota.source is QuotaSource.ADDRESS:
        return f"{left} for this machine's address; {needed}, each host's from the quota of its own address"
    return f"{left}; {needed}, if they share it"


def _quota_line(quota: QuotaUse) -> str:
    return _with_verdict(quota, f"{_quota_left(quota)}; this pull needs {quota.pulls}")


def _quota_left(quota: QuotaUse) -> str:
    left = "?" if quota.remaining is None else str(quota.remaining)
    limit = f" of {quota.limit}" if quota.limit is not None else ""
    window = f" in {format_seconds(quota.window_seconds)}" if quota.window_seconds else ""
    return f"quota: {clean(quota.registry)} has {left}{limit} pulls left{window}"


def _with_verdict(quota: QuotaUse, line: str) -> str:
    if quota.looked:
        line += f" (the plan fetched {counted(quota.looked, 'manifest')}, which may count too)"
    return line if quota.enough else f"{line}: not enough"


def _disk_line(disk: Disk, images: int, *, complete: bool) -> str:
    needed = f"{'about' if complete else 'at least'} {format_bytes(disk.needed)}"
    if disk.free is None:
        return f"disk: {needed} needed; free space is unknown: {clean(disk.note)}"
    if not disk.enough:
        return f"{DiskShortage(disk.path or '', disk.needed, disk.free, images)}; {MORE_SPACE}"
    return f"disk: {needed} needed in {clean(disk.path or '')}, {format_bytes(disk.free)} free"


def problems(plan: PullPlan) -> Iterator[str]:
    """Yield a block of lines for each image that is not known completely, and for each invalid line."""
    notes: dict[str, list[str]] = {}
    for image in plan.images:
        if image.note:
            what = "warning" if image.estimate else "size unknown"
            notes.setdefault(clean(image.note), []).append(f"{what}: {clean(str(image.request))}")
        if why := image.failure:
            lines = (f"unknown: {clean(str(image.request))}", f"  {why.named}: {clean(why.message)}")
            yield "\n".join((*lines, f"  → {clean(why.advice)}"))
    for note, names in notes.items():
        yield "\n".join([*names, f"  {note}"])
    for rejected in plan.rejected:
        if rejected.failure:
            yield f"invalid line: {clean(rejected.failure.message)}"


def render_json(plan: PullPlan) -> str:
    """Return the plan as ASCII JSON."""
    estimates = plan.estimates
    document = {
        "schema": "puller.plan/1",
        "engine": plan.engine,
        "changes": bool(plan.would_pull),
        "complete": plan.complete,
        "counts": {change.value: sum(each.change is change for each in plan.images) for change in Change},
        "bytes": {
            "download": plan.download,
            "layers": sum(estimate.blobs for estimate in estimates),
            "unpacked": sum(estimate.unpacked for estimate in estimates),
        },
        "quotas": [quota._asdict() | {"enough": quota.enough} for quota in plan.quotas],
        "disk": plan.disk._asdict() | {"enough": plan.disk.enough, "note": plan.disk.note or None},
        "images": [_image(image) for image in plan.images],
        "invalid": [each.failure.message if each.failure else each.reference for each in plan.rejected],
    }
    return json.dumps(document, indent=2) + "\n"


def _image(image: ImageEstimate) -> dict[str, Any]:
    request, estimate, why = image.request, image.estimate, image.failure
    no_estimate = 0 if image.change is Change.UP_TO_DATE else None
    return {
        "reference": request.reference.canonical,
        "requested": list(request.requested or (request.reference.text,)),
        "platform": str(request.platform) if request.platform else None,
        "change": image.change.value,
        "digest": image.digest,
        "bytes": estimate.download if estimate else no_estimate,
        "unpacked": estimate.unpacked if estimate else no_estimate,
        "layers": {"total": estimate.layers, "missing": estimate.missing} if estimate else None,
        "note": image.note or None,
        "error": error_document(why) if why else None,
    }
