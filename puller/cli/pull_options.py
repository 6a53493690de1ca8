"""The options of `puller pull`, section by section, and the settings that they mean."""

from collections.abc import Callable, Iterable, Mapping
from glob import escape, glob
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from puller import settings
from puller.cli.config_option import registries
from puller.cli.options import (
    FAILURE_LIMIT,
    LOCK_OPTIONS,
    SIZE,
    Parsed,
    complete_files,
    duration,
    engine_options,
    list_options,
    mirror_options,
    refuse,
)
from puller.cli.progress import ProgressMode, Timestamps
from puller.cli.sections import choice, flag, number, section
from puller.report import RENDERERS, history
from puller.text import parse_rate

_DEFAULTS = settings.Settings()
_TARGETS = ("oci", "archive")
_SUFFIXES = {
    ".html": "html", ".json": "json", ".md": "markdown", ".prom": "prometheus", ".txt": "text", ".xml": "junit"
}  # fmt: skip
"""The kinds of reports of which only the path is given."""


def _report(text: str) -> tuple[str, Path]:
    kind, separator, path = text.partition("=")
    if not separator:
        kind, path = _SUFFIXES.get(Path(text).suffix, ""), text
    if not path or kind not in RENDERERS:
        kinds = ", ".join(RENDERERS)
        raise ValueError(
            f"{text!r} is not KIND=PATH with a KIND of {kinds}, nor a PATH with one of {' '.join(_SUFFIXES)}"
        )
    return kind, Path(path)


def _target(text: str) -> tuple[str, Path]:
    kind, separator, path = text.partition(":")
    if kind not in _TARGETS or not separator or not path:
        raise ValueError(f"{text!r} is neither oci:DIR nor archive:FILE.tar")
    return kind, Path(path)


def _complete(kinds: Iterable[str], separator: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Let the shell complete one of the kinds, with the separator after it, and then a file."""

    def complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
        kind, found, path = incomplete.partition(separator)
        if found:  # a shell would complete `json=out` as the name of a file
            paths = glob(f"{escape(path)}*")  # noqa: PTH207 - Path.glob needs a directory to start from
            return [f"{kind}{separator}{each}" for each in sorted(paths)]
        return [f"{kind}{separator}" for kind in kinds if kind.startswith(incomplete)]

    return complete


ATTEMPTS = (
    number("--retries", default=_DEFAULTS.retry.retries, least=0, most=100, help="Retries of a transient failure."),
    duration("--retry-delay", default="1s", help="Maximum first backoff (random below it, doubled on each retry)."),
    duration(
        "--max-wait", default="5m",
        help="Longest wait for a rate limit; beyond it the image fails, and the report says when to try again.",
    ),
    duration("--timeout", help="Time limit of one attempt, such as 90s or 10m; 0 for none."),
    duration("--stall-timeout", default="2m", help="Abort an attempt after this long without progress; 0 for never."),
    duration(
        "--unpack-timeout", default="30m",
        help="The same limit while the engine unpacks and may report no progress; 0 for never.",
    ),
    duration("--engine-wait", default="30s", help="How long to wait for a restarting engine."),
    duration("--network-wait", default="1m", help="How long to wait for this host's network."),
)  # fmt: skip
"""The options of a single image, see `attempt_settings`."""

pull_options = section(
    None,
    list_options,
    section(
        "Selection",
        click.option(
            "--failed", is_flag=False, flag_value="", metavar="[RUN]",
            shell_complete=lambda _ctx, _param, text: history.beginning_with(text),
            help="Pull only the images that failed: in the last run of the LISTs, without a LIST in the last run that "
            "failed, or in RUN (see `puller report`).",
        ),
        choice(
            "--policy", default=_DEFAULTS.policy,
            help="Which images to pull: those that changed in the registry (newer), missing ones, all, or none.",
        ),
    ),
    section(
        "Disk space",
        flag("--no-disk-check", help="Skip the free-disk check."),
        flag("--make-room", help="If disk is short, first remove images puller pulled that are not in these lists."),
    ),
    engine_options,
    section(
        "Hosts",
        click.option(
            "--host", "host_urls", multiple=True, metavar="URL", allow_from_autoenv=False,
            help="Pull into the engine of this host instead, such as ssh://build@web1; may be repeated.",
        ),
    ),
    section(
        "Concurrency",
        number("-j", "--jobs", "--parallel", default=_DEFAULTS.jobs, help="Concurrent pulls, over all registries."),
        number("--per-registry", help="Concurrent pulls from any one registry."),
    ),
    mirror_options,
    section(
        "Prefetching",
        choice(
            "--prefetch", default=_DEFAULTS.prefetch.mode, is_flag=False, flag_value=settings.PrefetchMode.ALWAYS.value,
            help="Who downloads layers; auto: puller, only if the network is slow, and nothing is kept; always: "
            "puller, from the start, and layers are kept; never: the engine.",
        ),
        number(
            "--connections", default=_DEFAULTS.prefetch.connections,
            help="Most connections for prefetching, over all registries; fewer are opened if they are enough.",
        ),
        number("--registry-connections", help="Most connections for prefetching from any one registry."),
        click.option(
            "--bandwidth", type=Parsed("rate", parse_rate), metavar="RATE",
            help="Bandwidth limit of prefetching, such as 50MB/s.",
        ),
        click.option(
            "--cache-size", type=SIZE, metavar="SIZE",
            help="Size of the layer cache, at most half of the free space; 10GB unless given. If it is given, "
            "--prefetch=auto keeps layers there, too.",
        ),
        click.option(
            "--to", type=Parsed("target", _target), metavar="oci:DIR|archive:FILE",
            shell_complete=_complete(_TARGETS, ":"),
            help="Pull into files, without an engine; the command load loads them into one.",
        ),
        flag("--no-extras", help="With --to: leave out the attestations and signatures of the images."),
    ),
    section(
        "Retries and timeouts",
        *ATTEMPTS,
        flag("--no-second-pass", help="No final retry of transient failures at the end of the run."),
        duration("--deadline", help="Time limit of the whole run; 0 for none."),
        number(
            "--breaker", default=_DEFAULTS.breaker,
            help="Connection failures in a row after which a registry counts as down, and its images fail at once.",
        ),
        flag("--fail-fast", help="Stop the run at the first failed image."),
        click.option(
            "--max-fail", type=FAILURE_LIMIT, metavar="N|N%",
            help="Stop the run when more images than this have failed.",
        ),
    ),
    section(
        "Locking",
        *LOCK_OPTIONS,
        duration(
            "--jitter", default="0",
            help="Wait a random time up to this before the run, so that hosts do not start at once.",
        ),
    ),
    section(
        "Output",
        choice("--progress", default=ProgressMode.AUTO, help="Kind of progress on stderr."),
        choice(
            "--log-timestamps", default=Timestamps.AUTO,
            help="Begin each line of plain progress with its time in UTC; auto: unless stderr is a terminal.",
        ),
        click.option(
            "--log-file", type=click.Path(path_type=Path), metavar="PATH", shell_complete=complete_files,
            help="Also append plain progress, with times, to a file, whatever stderr shows.",
        ),
        flag("-q", "--quiet", help="No progress, and a report of failures only."),
        click.option(
            "--format", type=click.Choice([*RENDERERS]), default="text", show_default=True,
            help="Format of the report on stdout.",
        ),
        click.option(
            "--report", "reports", type=Parsed("report", _report), envvar="PULLER_REPORT", multiple=True,
            metavar="[KIND=]PATH", shell_complete=_complete(RENDERERS, "="),
            help=f"Also write a report to a file ({', '.join(RENDERERS)}; default: by the suffix); may be repeated.",
        ),
        flag("--junit-skip-up-to-date", help="In a JUnit report, mark up-to-date images as skipped, not as passed."),
    ),
)  # fmt: skip
"""All options and arguments of the verb, in the order of its help."""

_DEFAULT = ParameterSource.DEFAULT
_NOT_WITH_TO = ("context", "backend", "docker_command", "make_room")
_ONLY_WITH_TO = ("no_extras",)
"""Options that have no effect with `--to`, and without it; in a file or a variable they are for other runs."""
_PRECEDENCE = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP, _DEFAULT)


def attempt_settings(options: Mapping[str, Any]) -> settings.Settings:
    """Return the settings that `ATTEMPTS` and `mirror_options` mean; a duration of 0 means no limit."""
    return settings.Settings(
        timeouts=settings.Timeouts(
            options["timeout"] or None, options["stall_timeout"] or None, options["unpack_timeout"] or None
        ),
        retry=settings.RetryPolicy(options["retries"], options["retry_delay"], max_wait=options["max_wait"]),
        engine_wait=options["engine_wait"],
        network_wait=options["network_wait"],
        registries=registries(),
    )


def settings_of(options: Mapping[str, Any]) -> settings.Settings:
    """Return the settings of a run; a duration of 0 means no limit.

    Raises click.UsageError for a flag that has no effect beside `--to`, or without it.
    """
    if options["to"]:
        refuse(_NOT_WITH_TO, "--to uses no engine")
    else:
        refuse(_ONLY_WITH_TO, "there is no --to")
    fail_fast = options["fail_fast"] and not _outranks("max_fail", "fail_fast")
    single = attempt_settings(options)
    return single._replace(
        policy=settings.Policy(options["policy"]),
        jobs=options["jobs"],
        per_registry=options["per_registry"],
        retry=single.retry._replace(second_pass=not options["no_second_pass"]),
        deadline=options["deadline"] or None,
        breaker=options["breaker"],
        max_fail=settings.NO_FAILURE if fail_fast else options["max_fail"],
        prefetch=settings.PrefetchSettings(
            mode=settings.PrefetchMode(options["prefetch"]),
            connections=options["connections"],
            per_registry=options["registry_connections"],
            bandwidth=options["bandwidth"],
            cache=options["cache_size"],
            extras=not options["no_extras"],
        ),
        disk_check=not options["no_disk_check"],
    )


def _outranks(one: str, other: str) -> bool:
    """Tell whether an option comes from a place with higher precedence than another, as a flag over a file."""
    source = click.get_current_context().get_parameter_source
    return _PRECEDENCE.index(source(one) or _DEFAULT) < _PRECEDENCE.index(source(other) or _DEFAULT)
