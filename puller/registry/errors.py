"""What can go wrong between us and a registry, in words that hold no URL and no secret."""

import json
from collections.abc import Mapping

from puller.errors import RegistryError, causes
from puller.registry.connections import SlowToConnectError
from puller.registry.responses import wait_of


def trouble(registry: str, error: Exception) -> RegistryError:
    """Say why there was no answer, or no whole one."""
    found = list(causes(error))
    if any(isinstance(cause, SlowToConnectError) for cause in found):
        return RegistryError(f"{registry}: no connection in time", lost=True, late=True)
    if any(isinstance(cause, TimeoutError) for cause in found):
        return RegistryError(f"{registry}: no answer in time", lost=True, late=True)
    return RegistryError(f"{registry}: {reason(error)}", lost=True)


def refusal(
    registry: str, status: int, headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...] = ()
) -> RegistryError:
    """Say what the registry answered (OCI distribution spec "Error Codes"), without the secrets it was told."""
    words = _errors(body)
    for secret in filter(None, secrets):
        words = words.replace(secret, "***")
    text = f"{registry}: status {status}" + (f", {words}" if words else "")
    return RegistryError(text, status=status, wait=wait_of(status, headers))


def reason(error: BaseException) -> str:
    """Find the words of the innermost cause: the outer ones repeat the URL."""
    found = list(causes(error))
    words = [cause.strerror for cause in found if isinstance(cause, OSError) and cause.strerror]
    return str(words[-1]) if words else type(found[-1]).__name__


def _errors(body: bytes) -> str:
    try:
        errors = json.loads(body)["errors"]
        return "; ".join(f"{str(error.get('code', '')).lower()}: {error.get('message', '')}" for error in errors[:3])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
