"""The settings of a run, with their defaults."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple


class BackendChoice(StrEnum):
    """How to reach the engine."""

    AUTO = "auto"  # the engine's API if it answers, else the CLI
    API = "api"
    SDK = "sdk"  # the engine's API, with the Docker SDK for Python for the pulls
    CLI = "cli"


class Policy(StrEnum):
    """When to pull."""

    ALWAYS = "always"  # the engine pulls every image, every time
    MISSING = "missing"  # only images that the engine does not have are pulled
    NEWER = "newer"  # images that the engine does not have with the registry's current digest are pulled
    NEVER = "never"  # nothing is pulled; the report says which images the engine has


class FailureLimit(NamedTuple):
    """The number of failed images after which a run is cancelled, or a percentage of the list."""

    number: float
    percent: bool = False

    @classmethod
    def parse(cls, text: str) -> "FailureLimit":
        """Parse `5` or `10%`; raises ValueError."""
        digits, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
        if not digits.isascii() or not digits.isdigit() or (percent and int(digits) > 100):  # noqa: PLR2004
            raise ValueError(f"{text!r} is not a number such as 5, or a share such as 10%")
        return cls(int(digits), percent)

    def exceeded(self, failed: int, total: int) -> bool:
        """Whether `failed` of `total` images exceed the limit."""
        return failed > (self.number * total / 100 if self.percent else self.number)


NO_FAILURE = FailureLimit(0)


class RetryPolicy(NamedTuple):
    """The retries of an image. Waits are random, from 0 to a bound that doubles (full jitter)."""

    retries: int = 3  # attempts after the first
    delay: float = 1.0  # maximum of the first backoff, in seconds
    longest: float = 60.0  # maximum of every backoff in seconds, unless `delay` is longer; a rate limit is separate
    max_wait: float = 300.0  # longest rate limit to wait for, in seconds; with a longer one the image fails
    second_pass: bool = True  # whether images with a transient failure are tried once more at the end, one by one


class Timeouts(NamedTuple):
    """Time limits of an attempt, in seconds; None means no limit."""

    attempt: float | None = None  # from the start of the attempt to its end
    stall: float | None = 120.0  # without a byte and without a change of state, while the engine resolves and downloads
    unpack: float | None = 1800.0  # the same while it unpacks: some engines report nothing until a large layer is done
    spent: float = 0.0  # how long ago the attempt started, if it has more than one pull


class MirrorUse(StrEnum):
    """Whether the mirrors of a registry are tried before or after the registry itself."""

    FIRST = "first"  # the mirrors in order, and then the registry itself
    FALLBACK = "fallback"  # the registry itself, and the mirrors if it fails


class RegistrySettings(NamedTuple):
    """The settings of one registry."""

    concurrency: int | None = None  # pulls in flight; None means the limit of the run
    mirrors: tuple[str, ...] = ()  # mirrors as `HOST[:PORT][/PREFIX]`, in the order to try them
    mirror_use: MirrorUse = MirrorUse.FIRST
    insecure: bool = False  # whether puller's own requests may use plain HTTP and accept any certificate
    ca: str | None = None  # a file with further certificate authorities for puller's own requests


def registry_settings(registries: Mapping[str, RegistrySettings], registry: str) -> RegistrySettings:
    """Return the settings of a registry; host names are case-insensitive."""
    return registries.get(registry.lower(), RegistrySettings())


class PrefetchMode(StrEnum):
    """When to prefetch blobs."""

    AUTO = "auto"  # when the first seconds show that the network is the bottleneck
    ALWAYS = "always"
    NEVER = "never"


class PrefetchSettings(NamedTuple):
    """The settings of prefetching."""

    mode: PrefetchMode = PrefetchMode.AUTO
    connections: int = 48  # connections to all registries together
    per_registry: int | None = None  # connections to one registry; None means `connections`
    bandwidth: float | None = None  # bytes a second over all connections; None means no limit
    cache: int | None = None  # bytes of the blob store; None means 10 GB, and to keep blobs only with `ALWAYS`
    extras: bool = True  # whether an export includes attestations and signatures

    @property
    def keeps(self) -> bool:
        """Whether blobs stay in the store for later runs."""
        return self.mode is PrefetchMode.ALWAYS or self.cache is not None

    @property
    def cache_size(self) -> int:
        """Bytes of the blob store; also the limit of blobs fetched before they are pulled."""
        return 10_000_000_000 if self.cache is None else self.cache

    @property
    def receive_buffer(self) -> int | None:
        """Size of a connection's receive buffer in bytes; None means the kernel's default.

        With a bandwidth limit all buffers together hold half a second's worth: buffered bytes exceed the limit, and are
        lost if the run is killed.
        """
        return None if self.bandwidth is None else int(self.bandwidth / self.connections / 2)


class Settings(NamedTuple):
    """The settings of a run."""

    jobs: int = 3  # pulls in flight, over all registries
    per_registry: int | None = None  # pulls in flight on one registry; None means `jobs`
    timeouts: Timeouts = Timeouts()
    retry: RetryPolicy = RetryPolicy()
    deadline: float | None = None  # time limit of the run in seconds; None means no limit
    engine_wait: float = 30.0  # seconds to wait for an engine that stopped answering
    network_wait: float = 60.0  # seconds to wait for this host's network when no registry answers
    breaker: int = 5  # connection failures in a row after which a registry counts as down
    max_fail: FailureLimit | None = None  # cancel the run when more images than this have failed; None means never
    policy: Policy = Policy.NEWER
    # By the lower-case name in canonical references: `docker.io`.
    registries: Mapping[str, RegistrySettings] = MappingProxyType({})
    prefetch: PrefetchSettings = PrefetchSettings()
    disk_check: bool = True  # whether to check that the images fit on the engine's disk
