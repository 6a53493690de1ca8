"""puller: pull a list of Docker images in parallel and report exactly what succeeded and what failed.

The library is one function: `pull_images` takes references and returns a frozen `Report`. It prints nothing.
Public names are imported at first use (PEP 562): `puller --version` must not wait for a pull's modules.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same names for type checkers, which do not follow __getattr__
    from puller.errors import EngineUnreachableError, FailureClass, FailureKind, ListError, PullerError
    from puller.events import Event, Observer
    from puller.failure import Failure
    from puller.image.reference import ImageReference, Platform
    from puller.model import PullOutcome, PullRequest, Report, Status
    from puller.pull.session import pull_images

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

_MODULES = ("errors", "events", "failure", "image.reference", "model", "pull.session")


def __getattr__(name: str) -> Any:
    """Import a public name from its module at first use."""
    if name in __all__:
        for module in _MODULES:
            found = import_module(f"puller.{module}")
            if name in vars(found):
                return vars(found)[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
