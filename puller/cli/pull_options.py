"""The options of `puller pull`, section by section."""

from collections.abc import Mapping
from typing import Any

import click

from puller.cli.options import DURATION, FAILURE_LIMIT, LOCK_OPTIONS, MIRROR, RATE, REPORT, SIZE, TARGET
from puller.cli.progress import ProgressMode
from puller.cli.sections import section
from puller.report import RENDERERS
from puller.settings import MirrorUse, Policy, PrefetchMode, PrefetchSettings, Settings

_DEFAULTS = Settings()
_PREFETCH = PrefetchSettings()

concurrency_options = section(
    "Concurrency",
    click.option(
        "-j", "--jobs", "--parallel", type=click.IntRange(1, 1000), default=_DEFAULTS.jobs, show_default=True,
        metavar="N", help="Concurrent pulls, over all registries.",
    ),
    click.option(
        "--per-registry", type=click.IntRange(1, 1000), metavar="N", help="Concurrent pulls from any one registry."
    ),
)  # fmt: skip

lock_options = section(
    "Locking",
    *LOCK_OPTIONS,
    click.option(
        "--jitter", type=DURATION, default="0", show_default=True, metavar="D",
        help="Wait a random time up to this before the run, so that hosts do not start at once.",
    ),
)  # fmt: skip

selection_options = section(
    "Selection",
    click.option(
        "--failed", is_flag=True, help="Pull what failed or was cancelled in the last run, instead of a LIST."
    ),
    click.option(
        "--policy", type=click.Choice([policy.value for policy in Policy]),
        default=_DEFAULTS.policy.value, show_default=True,
        help="Which images to pull: those that changed in the registry (newer), missing ones, all, or none.",
    ),
    click.option(
        "--no-disk-check", is_flag=True, help="Skip the free-disk check."
    ),
    click.option(
        "--make-room", is_flag=True,
        help="If disk is short, first remove images puller pulled that are not in these lists.",
    ),
)  # fmt: skip

mirror_options = section(
    "Mirrors",
    click.option(
        "--mirror", "mirrors", type=MIRROR, multiple=True, metavar="REGISTRY=PLACE",
        help="A mirror of a registry, such as docker.io=mirror.example:5000/prefix; may be repeated.",
    ),
    click.option(
        "--mirror-use", type=click.Choice([use.value for use in MirrorUse]), default=MirrorUse.FIRST.value,
        show_default=True, help="Ask mirrors first, or as a fallback when the registry fails.",
    ),
)  # fmt: skip

retry_options = section(
    "Retries and timeouts",
    click.option(
        "--retries", type=click.IntRange(0, 100), default=_DEFAULTS.retry.retries, show_default=True, metavar="N",
        help="Retries of a transient failure.",
    ),
    click.option(
        "--retry-delay", type=DURATION, default="1s", show_default=True, metavar="D",
        help="Maximum first backoff (random below it, doubled on each retry).",
    ),
    click.option(
        "--max-wait", type=DURATION, default="5m", show_default=True, metavar="D",
        help="Longest wait for a rate limit; beyond it the image fails, and the report says until when.",
    ),
    click.option(
        "--no-second-pass", is_flag=True,
        help="No final retry of transient failures at the end of the run.",
    ),
    click.option(
        "--timeout", type=DURATION, metavar="D", help="Time limit of one attempt, such as 90s or 10m; 0 for none."
    ),
    click.option(
        "--stall-timeout", type=DURATION, default="2m", show_default=True, metavar="D",
        help="Abort an attempt after this long without progress; 0 for never.",
    ),
    click.option(
        "--unpack-timeout", type=DURATION, default="30m", show_default=True, metavar="D",
        help="The same while the engine unpacks, when it may report no progress; 0 for never.",
    ),
    click.option("--deadline", type=DURATION, metavar="D", help="Time limit of the whole run; 0 for none."),
    click.option(
        "--engine-wait", type=DURATION, default="30s", show_default=True, metavar="D",
        help="How long to wait for a restarting engine.",
    ),
    click.option(
        "--breaker", type=click.IntRange(1, 1000), default=_DEFAULTS.breaker, show_default=True, metavar="N",
        help="Connection failures in a row after which a registry counts as down, and its images fail at once.",
    ),
    click.option("--fail-fast", is_flag=True, help="Stop the run at the first failed image."),
    click.option(
        "--max-fail", type=FAILURE_LIMIT, metavar="N|N%", help="Stop the run when more images than this have failed."
    ),
)  # fmt: skip

prefetch_options = section(
    "Prefetching",
    click.option(
        "--prefetch", type=click.Choice([mode.value for mode in PrefetchMode]), is_flag=False,
        flag_value=PrefetchMode.ALWAYS.value, default=_PREFETCH.mode.value, show_default=True,
        help="Download layers over many resumable connections, before the engine pulls; auto: on a slow network.",
    ),
    click.option(
        "--connections", type=click.IntRange(1, 1000), default=_PREFETCH.connections, show_default=True,
        metavar="N", help="Connections for prefetching, over all registries.",
    ),
    click.option(
        "--registry-connections", type=click.IntRange(1, 1000), metavar="N",
        help="Connections for prefetching from any one registry.",
    ),
    click.option(
        "--bandwidth", type=RATE, metavar="RATE", help="Bandwidth limit of prefetching, such as 50MB/s."
    ),
    click.option(
        "--cache-size", type=SIZE, default="10GB", show_default=True, metavar="SIZE",
        help="Size of the layer cache; at most half of the free space.",
    ),
    click.option(
        "--to", type=TARGET, metavar="oci:DIR|archive:FILE",
        help="Pull into files, without an engine; `puller load` loads them into one.",
    ),
)  # fmt: skip

output_options = section(
    "Output",
    click.option(
        "--progress", type=click.Choice([mode.value for mode in ProgressMode]),
        default=ProgressMode.AUTO.value, show_default=True, help="Kind of progress on stderr.",
    ),
    click.option("-q", "--quiet", is_flag=True, help="No progress, and a report of failures only."),
    click.option("-v", "--verbose", count=True, help="Print more; may be repeated."),
    click.option(
        "--format", type=click.Choice([*RENDERERS]), default="text", show_default=True,
        help="Format of the report on stdout.",
    ),
    click.option(
        "--report", "reports", type=REPORT, multiple=True, metavar="KIND=PATH",
        help=f"Also write a report to a file ({', '.join(RENDERERS)}); may be repeated.",
    ),
    click.option(
        "--junit-skip-up-to-date", is_flag=True,
        help="In a JUnit report, mark up-to-date images as skipped, not as passed.",
    ),
)  # fmt: skip


def prefetch_settings(options: Mapping[str, Any]) -> PrefetchSettings:
    """Return the settings of the prefetching options."""
    return PrefetchSettings(
        mode=PrefetchMode(options["prefetch"]),
        connections=options["connections"],
        per_registry=options["registry_connections"],
        bandwidth=options["bandwidth"],
        cache=options["cache_size"],
    )
