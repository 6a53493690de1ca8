"""puller: pull a list of Docker images, all of them, and report the truth about each.

The library is one function: `pull_images` takes references and returns a frozen `Report`.
It prints nothing. Names are imported at first use, so that `puller --version` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from puller.api import pull_images
    from puller.classify import Failure
    from puller.errors import EngineUnreachableError, FailureClass, FailureKind, ListError, PullerError
    from puller.events import Event, Observer
    from puller.model import PullOutcome, PullRequest, Report, Status
    from puller.reference import ImageReference, Platform

__version__ = "0.1.0"

__all__ = [
    "EngineUnreachableError",
    "Event",
    "Failure",
    "FailureClass",
    "FailureKind",
    "ImageReference",
    "ListError",
    "Observer",
    "Platform",
    "PullOutcome",
    "PullRequest",
    "PullerError",
    "Report",
    "Status",
    "__version__",
    "pull_images",
]

_HOMES = {
    "pull_images": "api",
    "Failure": "classify",
    "EngineUnreachableError": "errors",
    "FailureClass": "errors",
    "FailureKind": "errors",
    "ListError": "errors",
    "PullerError": "errors",
    "Event": "events",
    "Observer": "events",
    "PullOutcome": "model",
    "PullRequest": "model",
    "Report": "model",
    "Status": "model",
    "ImageReference": "reference",
    "Platform": "reference",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home at first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"puller.{_HOMES[name]}"), name)
