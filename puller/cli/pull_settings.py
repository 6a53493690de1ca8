"""From the options of `puller pull` to the settings of a run."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from puller.cli.config_option import outranks, registries, typed
from puller.settings import (
    NO_FAILURE,
    FailureLimit,
    MirrorUse,
    Policy,
    PrefetchMode,
    PrefetchSettings,
    RegistrySettings,
    RetryPolicy,
    Settings,
    Timeouts,
)  # fmt: skip


def settings_of(options: Mapping[str, Any]) -> Settings:
    """Return the settings of a run; a duration of 0 means no limit."""
    fail_fast = options["fail_fast"] and not outranks("max_fail", "fail_fast")
    limit: FailureLimit | None = NO_FAILURE if fail_fast else options["max_fail"]
    return Settings(
        policy=Policy(options["policy"]),
        jobs=options["jobs"],
        per_registry=options["per_registry"],
        timeouts=Timeouts(
            attempt=options["timeout"] or None,
            stall=options["stall_timeout"] or None,
            unpack=options["unpack_timeout"] or None,
        ),
        retry=RetryPolicy(
            retries=options["retries"],
            delay=options["retry_delay"],
            max_wait=options["max_wait"],
            second_pass=not options["no_second_pass"],
        ),
        deadline=options["deadline"] or None,
        engine_wait=options["engine_wait"],
        breaker=options["breaker"],
        max_fail=limit,
        prefetch=PrefetchSettings(
            mode=PrefetchMode(options["prefetch"]),
            connections=options["connections"],
            per_registry=options["registry_connections"],
            bandwidth=options["bandwidth"],
            cache=options["cache_size"],
        ),
        disk_check=not options["no_disk_check"],
        registries=registries_with(options["mirrors"], MirrorUse(options["mirror_use"])),
    )


def registries_with(
    mirrors: Iterable[tuple[str, str]], use: MirrorUse = MirrorUse.FIRST
) -> Mapping[str, RegistrySettings]:
    """Return the settings of registries from files; mirrors given as options replace those of a file."""
    places: dict[str, dict[str, None]] = {}
    for registry, place in mirrors:
        places.setdefault(registry, {})[place] = None
    found = dict(registries())
    for registry, some in places.items():
        found[registry] = replace(found.get(registry, RegistrySettings(mirror_use=use)), mirrors=tuple(some))
    if typed("mirror_use"):
        found = {registry: replace(each, mirror_use=use) for registry, each in found.items()}
    return found
