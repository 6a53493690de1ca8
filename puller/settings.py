"""The settings of a run, with their defaults: the one place where they are written down."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class BackendChoice(StrEnum):
    """How to talk to the engine."""

    AUTO = "auto"
    """The SDK when the engine's API answers, else the CLI."""
    SDK = "sdk"
    CLI = "cli"


class Policy(StrEnum):
    """When to pull."""

    ALWAYS = "always"
    """The engine is asked for every image, every time."""
    MISSING = "missing"
    """What is there stays; the rest is pulled."""
    NEWER = "newer"
    """What the registry says to be there already is not pulled again."""
    NEVER = "never"
    """Nothing is pulled: the report says what is there."""


@dataclass(frozen=True, slots=True)
class FailureLimit:
    """How many failed images a run bears: a number, or a percentage of the list."""

    number: float
    percent: bool = False

    @classmethod
    def parse(cls, text: str) -> "FailureLimit":
        """Read `5` or `10%`; raise ValueError."""
        digits, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
        if not digits.isascii() or not digits.isdigit() or (percent and int(digits) > 100):  # noqa: PLR2004
            raise ValueError(f"{text!r} is not a number of images such as 5, or a share such as 10%")
        return cls(int(digits), percent)

    def exceeded(self, failed: int, total: int) -> bool:
        """Whether `failed` of `total` images are more than this run bears."""
        return failed > (self.number * total / 100 if self.percent else self.number)


NO_FAILURE = FailureLimit(0)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently to try again. Waits are drawn from 0 to a doubling bound (full jitter)."""

    retries: int = 3
    """Tries after the first."""
    delay: float = 1.0
    """Seconds: the bound of the first wait."""
    longest: float = 60.0
    """Seconds: no wait is longer, unless `delay` is, or a registry asks for more."""
    max_wait: float = 300.0
    """Seconds: what a registry may ask for; when it asks for more, the image fails and tells until when."""
    second_pass: bool = True
    """Whether images that failed for a passing reason get one more try, one by one, when all else is done."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long an attempt may take and how long it may be silent, in seconds; None is for ever."""

    attempt: float | None = None
    """From the attempt's start to its end."""
    stall: float | None = 120.0
    """Without a byte and without a change of state, while the engine asks and downloads."""
    unpack: float | None = 1800.0
    """The same while it unpacks: some engines say nothing until a large layer is done."""


class MirrorUse(StrEnum):
    """Which comes first, the mirrors of a registry or the registry itself."""

    FIRST = "first"
    """The mirrors, in their order, and then the registry itself."""
    FALLBACK = "fallback"
    """The registry itself, and the mirrors where it does not serve."""


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """What applies to one registry and to no other."""

    concurrency: int | None = None
    """Pulls in flight there; None means no other limit than that of the run."""
    mirrors: tuple[str, ...] = ()
    """Where else its repositories are to be had, as `HOST[:PORT][/PREFIX]`, in the order in which they are tried."""
    mirror_use: MirrorUse = MirrorUse.FIRST
    insecure: bool = False
    """Whether puller itself asks it over plain HTTP, or with a certificate that nobody vouches for."""
    ca: str | None = None
    """A file of further certificate authorities for what puller itself asks of it."""


_NOTHING_SPECIAL = RegistrySettings()


def registry_settings(registries: Mapping[str, RegistrySettings], registry: str) -> RegistrySettings:
    """Give what applies to a registry; a host's name has no case."""
    return registries.get(registry.lower(), _NOTHING_SPECIAL)


class PrefetchMode(StrEnum):
    """When blobs are fetched in front of the engine."""

    AUTO = "auto"
    """When the first seconds show that the wire is what the engine waits for."""
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class PrefetchSettings:
    """How blobs are fetched in front of the engine."""

    mode: PrefetchMode = PrefetchMode.NEVER
    connections: int = 48
    """To all registries together."""
    per_registry: int | None = None
    """To any one registry; None means no other limit than `connections`."""
    bandwidth: float | None = None
    """Bytes a second, over all connections; None is any number."""
    cache: int = 10_000_000_000
    """Bytes that are kept from run to run, and that are fetched ahead of the engine."""

    @property
    def receive_buffer(self) -> int | None:
        """Bytes that the kernel may take in ahead on one connection; None leaves it to the kernel.

        Within a limited bandwidth it is half a second's worth over all of them: what lies there has crossed the wire
        already, too early, and for nothing if the run is killed.
        """
        return None if self.bandwidth is None else int(self.bandwidth / self.connections / 2)


@dataclass(frozen=True, slots=True)
class Settings:
    """How one run behaves."""

    jobs: int = 3
    """Pulls in flight, over all registries."""
    per_registry: int | None = None
    """Pulls in flight on any one registry; None means no other limit than `jobs`."""
    clocks: Timeouts = Timeouts()
    retry: RetryPolicy = RetryPolicy()
    deadline: float | None = None
    """Seconds that the whole run may take; None means any."""
    engine_wait: float = 30.0
    """Seconds that an engine which has gone gets to come back."""
    breaker: int = 5
    """Connection failures in a row after which a registry counts as down."""
    max_fail: FailureLimit | None = None
    """End the run when more images than this have failed; None means never."""
    policy: Policy = Policy.NEWER
    """When to pull."""
    registries: Mapping[str, RegistrySettings] = field(default_factory=lambda: MappingProxyType({}))
    """What applies to single registries, by the name in canonical references, in lower case: `docker.io`."""
    prefetch: PrefetchSettings = PrefetchSettings()
    disk_check: bool = True
    """Whether to look, before the first pull, if what must be pulled fits on the engine's disk."""
