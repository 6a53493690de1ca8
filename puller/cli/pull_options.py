"""The options of `puller pull`, section by section."""

import click

from puller.cli.options import FAILURE_LIMIT, LOCK_OPTIONS, MIRROR, RATE, REPORT, SIZE, TARGET, duration
from puller.cli.progress import ProgressMode
from puller.cli.sections import choice, flag, number, section
from puller.report import RENDERERS
from puller.settings import MirrorUse, PrefetchMode, PrefetchSettings, Settings

_DEFAULTS = Settings()
_PREFETCH = PrefetchSettings()

concurrency_options = section(
    "Concurrency",
    number("-j", "--jobs", "--parallel", default=_DEFAULTS.jobs, help="Concurrent pulls, over all registries."),
    number("--per-registry", help="Concurrent pulls from any one registry."),
)

lock_options = section(
    "Locking",
    *LOCK_OPTIONS,
    duration(
        "--jitter",
        default="0",
        help="Wait a random time up to this before the run, so that hosts do not start at once.",
    ),
)

selection_options = section(
    "Selection",
    flag("--failed", help="Pull what failed or was cancelled in the last run, instead of a LIST."),
    choice(
        "--policy", default=_DEFAULTS.policy,
        help="Which images to pull: those that changed in the registry (newer), missing ones, all, or none.",
    ),
    flag("--no-disk-check", help="Skip the free-disk check."),
    flag("--make-room", help="If disk is short, first remove images puller pulled that are not in these lists."),
)  # fmt: skip

mirror_options = section(
    "Mirrors",
    click.option(
        "--mirror", "mirrors", type=MIRROR, multiple=True, metavar="REGISTRY=PLACE",
        help="A mirror of a registry, such as docker.io=mirror.example:5000/prefix; may be repeated.",
    ),
    choice(
        "--mirror-use", default=MirrorUse.FIRST,
        help="Ask mirrors first, or as a fallback when the registry fails.",
    ),
)  # fmt: skip

retry_options = section(
    "Retries and timeouts",
    number("--retries", default=_DEFAULTS.retry.retries, least=0, most=100, help="Retries of a transient failure."),
    duration("--retry-delay", default="1s", help="Maximum first backoff (random below it, doubled on each retry)."),
    duration(
        "--max-wait", default="5m",
        help="Longest wait for a rate limit; beyond it the image fails, and the report says until when.",
    ),
    flag("--no-second-pass", help="No final retry of transient failures at the end of the run."),
    duration("--timeout", help="Time limit of one attempt, such as 90s or 10m; 0 for none."),
    duration("--stall-timeout", default="2m", help="Abort an attempt after this long without progress; 0 for never."),
    duration(
        "--unpack-timeout", default="30m",
        help="The same while the engine unpacks, when it may report no progress; 0 for never.",
    ),
    duration("--deadline", help="Time limit of the whole run; 0 for none."),
    duration("--engine-wait", default="30s", help="How long to wait for a restarting engine."),
    number(
        "--breaker", default=_DEFAULTS.breaker,
        help="Connection failures in a row after which a registry counts as down, and its images fail at once.",
    ),
    flag("--fail-fast", help="Stop the run at the first failed image."),
    click.option(
        "--max-fail", type=FAILURE_LIMIT, metavar="N|N%", help="Stop the run when more images than this have failed."
    ),
)  # fmt: skip

prefetch_options = section(
    "Prefetching",
    choice(
        "--prefetch", default=_PREFETCH.mode, is_flag=False, flag_value=PrefetchMode.ALWAYS.value,
        help="Download layers over many resumable connections, before the engine pulls; auto: on a slow network.",
    ),
    number("--connections", default=_PREFETCH.connections, help="Connections for prefetching, over all registries."),
    number("--registry-connections", help="Connections for prefetching from any one registry."),
    click.option("--bandwidth", type=RATE, metavar="RATE", help="Bandwidth limit of prefetching, such as 50MB/s."),
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
    choice("--progress", default=ProgressMode.AUTO, help="Kind of progress on stderr."),
    flag("-q", "--quiet", help="No progress, and a report of failures only."),
    click.option("-v", "--verbose", count=True, help="Print more; may be repeated."),
    click.option(
        "--format", type=click.Choice([*RENDERERS]), default="text", show_default=True,
        help="Format of the report on stdout.",
    ),
    click.option(
        "--report", "reports", type=REPORT, multiple=True, metavar="KIND=PATH",
        help=f"Also write a report to a file ({', '.join(RENDERERS)}); may be repeated.",
    ),
    flag("--junit-skip-up-to-date", help="In a JUnit report, mark up-to-date images as skipped, not as passed."),
)  # fmt: skip
