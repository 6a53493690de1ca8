"""What registries say for themselves: before an engine is asked at all, and when its words are not enough."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from threading import Lock
from typing import Protocol

from puller.errors import RegistryError
from puller.image.reference import ImageReference, Platform
from puller.registry.client import RegistryClient
from puller.registry.manifests import parts_of
from puller.registry.ping import reach
from puller.settings import RegistrySettings


@dataclass(frozen=True, slots=True)
class ResolvedTag:
    """What a reference stands for in its registry."""

    digest: str
    single: bool
    """Whether it is one image for one platform; where it is not, or may not be, the platform must be looked at."""
    counted: bool = False
    """Whether a pull there counts against a quota."""
    mirror: str | None = None
    """The mirror that says so, where the registry itself was silent."""


class Resolver(Protocol):
    """Asks registries directly. Never raises: it is there to help, and not to be one more thing that fails."""

    def reach(self, registry: str) -> bool:
        """Say whether anybody answers there."""

    def head(self, reference: ImageReference) -> ResolvedTag | None:
        """Say what a reference stands for now; None where the registry does not tell, whatever the reason."""

    def silent(self, registry: str) -> bool:
        """Say whether the registry, when it was asked last, did not answer, or could not: a refusal is an answer."""

    def image_id(self, reference: ImageReference, platform: Platform) -> str | None:
        """Say what ID a graph-driver store gives the image that a digest stands for; None where nobody tells."""

    def wait_of(self, reference: ImageReference) -> float | None:
        """Say for how many seconds the registry wants to be left alone; None where it does not tell."""

    def close(self) -> None:
        """Break off what is being asked, and let go of connections."""


class _NullResolver:
    def reach(self, registry: str) -> bool:  # noqa: ARG002
        return True

    def head(self, reference: ImageReference) -> ResolvedTag | None:  # noqa: ARG002
        return None

    def silent(self, registry: str) -> bool:  # noqa: ARG002
        return False

    def image_id(self, reference: ImageReference, platform: Platform) -> str | None:  # noqa: ARG002
        return None

    def wait_of(self, reference: ImageReference) -> float | None:  # noqa: ARG002
        return None

    def close(self) -> None:
        pass


NULL_RESOLVER: Resolver = _NullResolver()
"""Knows nothing, and so stands in nobody's way."""


_CONNECT_SECONDS, _READ_SECONDS = 3.0, 5.0
"""Less than the client's own: whoever does not answer at once is left to the engine."""


class RegistryResolver:
    """Fulfils `puller.registry.resolver.Advisor` by asking; what cannot be learned is not known, and never an error."""

    def __init__(
        self,
        insecure: Callable[[], Collection[str]] = tuple,
        registries: Mapping[str, RegistrySettings] | None = None,
    ) -> None:
        """`insecure` tells hosts and networks that need no TLS; it is called when one is met for which it matters.

        `registries` are the settings of single ones.
        """
        self._insecure = _Late(insecure)
        self._registries = registries
        self._lock = Lock()
        self._client: RegistryClient | None = None
        self._lost: set[str] = set()
        """Registries that did not answer, or want to be asked less: they are not asked what they hold again."""
        self._silent: set[str] = set()

    def reach(self, registry: str) -> bool:
        """Say whether anybody answers there."""
        try:
            return reach(registry)
        except Exception:  # noqa: BLE001 - a name that no client can make an address of
            return False

    def head(self, reference: ImageReference) -> ResolvedTag | None:
        """Say what a reference stands for now; None where the registry does not tell, whatever the reason."""
        registry = reference.registry
        if registry in self._lost:
            return None
        try:
            described = self._connected().head(reference)
        except RegistryError as error:
            status = error.status or 0
            if error.lost or status == HTTPStatus.TOO_MANY_REQUESTS:
                self._lost.add(registry)
            if registry in self._lost or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                self._silent.add(registry)
            return None
        except Exception:  # noqa: BLE001 - as below
            return None
        self._silent.discard(registry)
        return ResolvedTag(described.digest, single=described.single, counted=described.quota is not None)

    def silent(self, registry: str) -> bool:
        """Say whether the registry, when it was asked last, did not answer, or could not: a refusal is an answer."""
        return registry in self._silent

    def image_id(self, reference: ImageReference, platform: Platform) -> str | None:
        """Say what ID a graph-driver store gives the image that a digest stands for: the digest of its config."""
        try:
            return parts_of(self._connected(), reference, reference.digest or "", platform).config.digest
        except Exception:  # noqa: BLE001 - as below
            return None

    def wait_of(self, reference: ImageReference) -> float | None:
        """Say for how many seconds the registry wants to be left alone; None where it does not tell."""
        try:
            return self._connected().wait_of(reference)
        except RegistryError as error:
            return error.wait
        except Exception:  # noqa: BLE001 - help that fails is no help, and no harm
            return None

    def close(self) -> None:
        """Break off what is being asked, and let go of connections."""
        if self._client:
            self._client.close()

    def _connected(self) -> RegistryClient:
        with self._lock:
            if self._client is None:
                self._client = RegistryClient(
                    insecure=self._insecure,
                    registries=self._registries,
                    connect=_CONNECT_SECONDS,
                    read=_READ_SECONDS,
                )
            return self._client


class _Late(Collection[str]):
    """A collection that is asked for when somebody looks into it, and empty when that fails."""

    def __init__(self, ask: Callable[[], Collection[str]]) -> None:
        self._ask = ask
        self._known: tuple[str, ...] | None = None

    def __iter__(self) -> Iterator[str]:
        if self._known is None:
            try:
                self._known = tuple(self._ask())
            except Exception:  # noqa: BLE001 - then the registry is taken for a secure one, and the engine is asked
                self._known = ()
        return iter(self._known)

    def __len__(self) -> int:
        return len(tuple(self))

    def __contains__(self, item: object) -> bool:
        return item in tuple(self)
