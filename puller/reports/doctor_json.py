"""The findings of `puller doctor` as JSON, for scripts: schema `puller.doctor/1`."""

import json
from typing import TYPE_CHECKING

from puller.doctor import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from puller.doctor import Finding

SCHEMA = "puller.doctor/1"
"""Name and version; the number grows only when something promised changes its meaning."""


def render(findings: "Sequence[Finding]", *, asked: bool) -> str:
    """Write them as JSON in plain ASCII; `asked` tells whether registries were."""
    document = {
        "schema": SCHEMA,
        "ok": all(each.status is not Verdict.FAILED for each in findings),
        "registries_asked": asked,
        "counts": {status.value: sum(each.status is status for each in findings) for status in Verdict},
        "checks": [
            {
                "subject": each.subject,
                "check": each.check,
                "status": each.status.value,
                "message": each.words,
                "fix": each.fix or None,
            }
            for each in findings
        ],
    }
    return json.dumps(document, indent=2) + "\n"
