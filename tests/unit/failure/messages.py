"""The messages that people reported, read from `data`; one JSON object a line.

`known.jsonl` is what the rules were written with. `unseen.jsonl` was written and labelled before the rules had met it.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from puller.failure import Failure, classify

_DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Told:
    """One message and its meaning."""

    message: str
    source: str
    status: int | None
    verdict: str
    """CLASS/KIND."""
    debatable: bool
    labelled: str
    """The verdict of who collected the message; another one than ours only where it is debatable."""

    @property
    def understood(self) -> Failure:
        """What puller makes of it."""
        return classify(self.message, self.status, source=self.source)


def told(name: str) -> list[Told]:
    """Read one file of messages."""
    rows = [json.loads(line) for line in (_DATA / f"{name}.jsonl").read_text().splitlines()]
    verdicts = [f"{row['class']}/{row['kind']}" for row in rows]
    return [
        Told(row["message"], row["source"], row["status"], verdict, "debatable" in row, row.get("labelled", verdict))
        for row, verdict in zip(rows, verdicts, strict=True)
    ]


def verdict(why: Failure) -> str:
    """Write a failure as CLASS/KIND."""
    return f"{why.failure_class}/{why.kind}"
