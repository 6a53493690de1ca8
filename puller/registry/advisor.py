"""Advice from the registries themselves, for a run in trouble; the client is made, and imported, at first need."""

from threading import Lock
from typing import TYPE_CHECKING

from puller.registry.answers import RegistryTroubleError

if TYPE_CHECKING:
    from puller.reference import ImageReference
    from puller.registry.client import RegistryClient


class RegistryAdvisor:
    """Fulfils `puller.advice.Advisor` by asking; what cannot be learned is not known, and never an error."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._client: RegistryClient | None = None

    def reach(self, registry: str) -> bool:
        """Say whether anybody answers there."""
        from puller.registry.reach import reach  # noqa: PLC0415 - requests takes long to load

        try:
            return reach(registry)
        except Exception:  # noqa: BLE001 - a name that no client can make an address of
            return False

    def wait_of(self, reference: "ImageReference") -> float | None:
        """Say for how many seconds the registry wants to be left alone; None where it does not tell."""
        try:
            return self._connected().wait_of(reference)
        except RegistryTroubleError as error:
            return error.wait
        except Exception:  # noqa: BLE001 - help that fails is no help, and no harm
            return None

    def close(self) -> None:
        """Let go of connections."""
        if self._client:
            self._client.close()

    def _connected(self) -> "RegistryClient":
        from puller.registry.client import RegistryClient  # noqa: PLC0415 - as above

        with self._lock:
            if self._client is None:
                self._client = RegistryClient()
            return self._client
