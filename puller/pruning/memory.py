"""What puller brought to each engine, kept in a file of its own: replaced whole, one run at a time."""

import json
import re
from dataclasses import fields
from typing import TYPE_CHECKING

from puller import files, flock
from puller.errors import PullerError
from puller.places import state_home
from puller.pruning.brought import Brought

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

_SCHEMA = "puller.pruning.brought/1"
_PATIENCE = 10.0
"""Seconds that another run may take to write a small file."""


class Memory:
    """The names that puller gave the images of one engine, as the last run left them."""

    def __init__(self, engine: str) -> None:
        """Name the engine by its own ID; raises UsageError when there is no home."""
        self._engine = engine
        self.path: Path = state_home() / "brought" / (re.sub(r"[^\w.-]", "_", engine)[:200] + ".json")

    def recall(self) -> tuple[Brought, ...]:
        """Read them; raises PullerError for a file that puller did not write."""
        try:
            return self._read(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise PullerError(f"cannot read {self.path}: {error.strerror}") from None
        except (ValueError, LookupError, TypeError) as error:
            raise PullerError(f"{self.path} is not what puller wrote: {error}; move it away to begin anew") from None

    def change(self, how: "Callable[[tuple[Brought, ...]], Iterable[Brought]]") -> None:
        """Read, change and write while no other run does; raises PullerError."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with flock.held(self.path.with_suffix(".lock"), _PATIENCE):
                known = self.recall()
                changed = tuple(how(known))
                if changed != known:
                    files.write(self.path, self._text(changed))
        except TimeoutError:
            raise PullerError(f"{self.path} is locked by another run for {_PATIENCE:.0f}s") from None
        except OSError as error:
            raise PullerError(f"cannot write {self.path}: {error.strerror}") from None

    def _read(self, text: str) -> tuple[Brought, ...]:
        document = json.loads(text)
        if (document["schema"], document["engine"]) != (_SCHEMA, self._engine):
            raise ValueError("it is of another version, or of another engine")
        return tuple(Brought(**each) for each in document["images"])

    def _text(self, entries: "Iterable[Brought]") -> str:
        # A run that is up to date writes as many of these as it has images: not by asdict, and not for the eye.
        names = [field.name for field in fields(Brought)]
        images = [{name: getattr(entry, name) for name in names} for entry in entries]
        return json.dumps({"schema": _SCHEMA, "engine": self._engine, "images": images}) + "\n"
