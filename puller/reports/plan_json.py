"""The plan as JSON, for scripts: schema `puller.plan/1`."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from puller.costing.forecast import Change

if TYPE_CHECKING:
    from puller.costing.forecast import Allowance, Forecast, Prospect

SCHEMA = "puller.plan/1"
"""Name and version; the number grows only when something promised changes its meaning."""


def render(forecast: "Forecast") -> str:
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
        "quotas": [_quota(allowance) for allowance in forecast.quotas],
        "disk": asdict(forecast.disk) | {"enough": forecast.disk.enough, "note": forecast.disk.note or None},
        "images": [_image(prospect) for prospect in forecast.prospects],
        "invalid": [each.failure.message if each.failure else each.reference for each in forecast.rejected],
    }
    return json.dumps(document, indent=2) + "\n"


def _image(prospect: "Prospect") -> dict[str, Any]:
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
        "error": {
            "kind": why.kind.value,
            "class": why.failure_class.value,
            "message": why.message,
            "advice": why.advice,
        }
        if why
        else None,
    }


def _quota(allowance: "Allowance") -> dict[str, Any]:
    return asdict(allowance) | {"enough": allowance.enough}
