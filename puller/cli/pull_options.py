"""The options of `puller pull`, section by section, as `--help` shows them."""

import click

from puller.cli.options import DURATION, FAILURE_LIMIT, LOCK_OPTIONS, MIRROR, REPORT
from puller.cli.progress import ProgressMode
from puller.cli.sections import section
from puller.report import RENDERERS
from puller.settings import MirrorUse, Policy, Settings

_DEFAULTS = Settings()

pace_options = section(
    "Pace",
    click.option(
        "-j", "--jobs", "--parallel", type=click.IntRange(1, 1000), default=_DEFAULTS.jobs, show_default=True,
        metavar="N", help="Pulls in flight, over all registries.",
    ),
    click.option(
        "--per-registry", type=click.IntRange(1, 1000), metavar="N", help="Pulls in flight on any one registry."
    ),
)  # fmt: skip

turn_options = section(
    "Beside other runs",
    *LOCK_OPTIONS,
    click.option(
        "--jitter", type=DURATION, default="0", show_default=True, metavar="D",
        help="Wait a random time up to this before the run, so that many hosts do not begin at once.",
    ),
)  # fmt: skip

need_options = section(
    "What is pulled",
    click.option(
        "--failed", is_flag=True, help="What failed or was cancelled in the last run on record, instead of a LIST."
    ),
    click.option(
        "--policy", type=click.Choice([policy.value for policy in Policy]),
        default=_DEFAULTS.policy.value, show_default=True,
        help="When to pull: what the registry has in another version (newer), what is missing, all or nothing.",
    ),
    click.option(
        "--no-disk-check", is_flag=True, help="Begin although what is absent may not fit on the engine's disk."
    ),
    click.option(
        "--make-room", is_flag=True,
        help="Where it would not fit, first remove what puller brought and these LISTs do not name; see puller prune.",
    ),
)  # fmt: skip

mirror_options = section(
    "Mirrors",
    click.option(
        "--mirror", "mirrors", type=MIRROR, multiple=True, metavar="REGISTRY=PLACE",
        help="Where else a registry's images are, as docker.io=mirror.example:5000/prefix; may be repeated.",
    ),
    click.option(
        "--mirror-use", type=click.Choice([use.value for use in MirrorUse]), default=MirrorUse.FIRST.value,
        show_default=True, help="Ask mirrors first, or as a fallback when the registry does not serve.",
    ),
)  # fmt: skip

patience_options = section(
    "Patience",
    click.option(
        "--retries", type=click.IntRange(0, 100), default=_DEFAULTS.retry.retries, show_default=True, metavar="N",
        help="Tries after the first, for failures that may pass.",
    ),
    click.option(
        "--retry-delay", type=DURATION, default="1s", show_default=True, metavar="D",
        help="Bound of the first wait; it doubles with every retry, and the wait is drawn below it.",
    ),
    click.option(
        "--max-wait", type=DURATION, default="5m", show_default=True, metavar="D",
        help="The longest wait that a registry may ask for; if it asks for more, the image fails and tells until when.",
    ),
    click.option(
        "--no-second-pass", is_flag=True,
        help="Do not try once more, when all else is done, what failed for a passing reason.",
    ),
    click.option(
        "--timeout", type=DURATION, metavar="D", help="Time limit of one attempt, such as 90s or 10m; 0 is none."
    ),
    click.option(
        "--stall-timeout", type=DURATION, default="2m", show_default=True, metavar="D",
        help="End an attempt when no byte came and nothing changed for so long; 0 is never.",
    ),
    click.option(
        "--unpack-timeout", type=DURATION, default="30m", show_default=True, metavar="D",
        help="The same while the engine unpacks, which it may do in silence; 0 is never.",
    ),
    click.option("--deadline", type=DURATION, metavar="D", help="Time limit of the whole run; 0 is none."),
    click.option(
        "--engine-wait", type=DURATION, default="30s", show_default=True, metavar="D",
        help="How long an engine that has gone may take to come back.",
    ),
    click.option(
        "--breaker", type=click.IntRange(1, 1000), default=_DEFAULTS.breaker, show_default=True, metavar="N",
        help="Connection failures in a row after which a registry counts as down and what is left there fails at once.",
    ),
    click.option("--fail-fast", is_flag=True, help="End the run at the first image that fails."),
    click.option(
        "--max-fail", type=FAILURE_LIMIT, metavar="N|N%", help="End the run when more images than this have failed."
    ),
)  # fmt: skip

output_options = section(
    "Output",
    click.option(
        "--progress", type=click.Choice([mode.value for mode in ProgressMode]),
        default=ProgressMode.AUTO.value, show_default=True, help="What stderr shows meanwhile.",
    ),
    click.option("-q", "--quiet", is_flag=True, help="No progress, and a report only of what failed."),
    click.option("-v", "--verbose", count=True, help="Say more about what is being done."),
    click.option(
        "--format", type=click.Choice([*RENDERERS]), default="text", show_default=True, help="The report on stdout."
    ),
    click.option(
        "--report", "reports", type=REPORT, multiple=True, metavar="KIND=PATH",
        help=f"Write a report to a file, too ({', '.join(RENDERERS)}); may be repeated.",
    ),
    click.option(
        "--junit-skip-up-to-date", is_flag=True,
        help="In a JUnit report, count what needed no pull as skipped, not as passed.",
    ),
)  # fmt: skip
