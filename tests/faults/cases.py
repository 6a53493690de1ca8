"""The fault matrix as a table: one row a case, with the ending that is right for it on either image store."""

from collections.abc import Callable

from tests.faults import harms
from tests.faults.case import REQUEST, Case, Ending, Harm, arrived, fatal, final, limited, passing
from tests.faults.harms import Times, on_blob, on_manifest
from tests.faults.scene import UNPRIVILEGED, locked_engine, own_engine, own_world, small_disk
from tests.lab import faults
from tests.lab.faults import Action
from tests.lab.limits import BODY, QUOTA, RateLimit

OPTIONS = ("-j", "1", "--policy", "always", "--retries", "1", "--retry-delay", "0.3s", "--no-lock")
"""What every case begins with; its own options come after and prevail. A look before the pull would shuffle turns.

Cases share an engine, several at once."""

_ONE_ATTEMPT: Times = {"graph": 2, "containerd": 6}
"""As many requests as an engine makes in one pull before it takes 429 for an answer."""
_TWO_ATTEMPTS: Times = {"graph": 4, "containerd": 12}
_TWO_AND_A_LOOK: Times = {"graph": 5, "containerd": 13}
"""Two pulls, and in between puller's own look at what the registry says."""
_AFTER = 50_000


def _status(code: int) -> Callable[[], Action]:
    return lambda: faults.answer(code)


def _throttle() -> Action:
    return faults.answer(429, {"Content-Type": "application/json"}, BODY)


def _quota() -> Action:
    spent = {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "0;w=21600"}
    return faults.answer(429, {"Content-Type": "application/json", **spent}, QUOTA)


def _case(name: str, harm: Harm, graph: Ending, containerd: Ending | None = None, *options: str) -> Case:
    return Case(name, harm, graph, containerd or graph, options)


_LIMITS = (
    _case("429 with Retry-After, manifest, once", on_manifest(lambda: RateLimit(2)), arrived(2)),
    _case(
        "429 with Retry-After, manifest, twice", on_manifest(lambda: RateLimit(2, 2)), arrived(3), None, "--retries=2"
    ),
    _case("429 with Retry-After, manifest, for ever", on_manifest(lambda: RateLimit(1, None)), limited()),
    _case(
        "429 with Retry-After of an hour, --max-wait 5s",
        on_manifest(lambda: RateLimit(3600)),
        limited(1, until=True),
        None,
        "--max-wait=5s",
    ),
    _case(
        "429 with Retry-After, blob, once",
        on_blob(lambda: faults.answer(429, {"Retry-After": "1"}, BODY), _ONE_ATTEMPT),
        arrived(2),
    ),
    _case(
        "429 with Retry-After, blob, twice",
        on_blob(lambda: faults.answer(429, {"Retry-After": "1"}, BODY), _TWO_ATTEMPTS),
        arrived(3),
        None,
        "--retries=2",
    ),
    _case("429 with Retry-After, blob, for ever", on_blob(lambda: RateLimit(1, None)), limited()),
    _case("429 without Retry-After, manifest, once", on_manifest(_throttle, _ONE_ATTEMPT), arrived(2)),
    _case(
        "429 without Retry-After, manifest, twice",
        on_manifest(_throttle, _TWO_AND_A_LOOK),
        arrived(3),
        None,
        "--retries=2",
    ),
    _case("429 without Retry-After, manifest, for ever", on_manifest(_throttle), limited()),
    _case("429 without Retry-After, blob, once", on_blob(_throttle, _ONE_ATTEMPT), arrived(2)),
    _case("429 without Retry-After, blob, twice", on_blob(_throttle, _TWO_ATTEMPTS), arrived(3), None, "--retries=2"),
    _case("429 without Retry-After, blob, for ever", on_blob(_throttle), limited()),
    _case("429 in the words of a used-up quota", on_manifest(_quota), limited(1, until=True)),
)

_SERVER_ERRORS = (
    # The containerd store asks twice before it takes 500 or 503 for an answer, but not for 502.
    _case("500, manifest, once", on_manifest(_status(500), 2), arrived(2)),
    _case("502, manifest, once", on_manifest(_status(502), {"graph": 2, "containerd": 1}), arrived(2)),
    _case("503, manifest, once", on_manifest(_status(503), 2), arrived(2)),
    *(
        _case(f"{code}, manifest, for ever", on_manifest(_status(code)), passing("registry_5xx"))
        for code in (500, 502, 503)
    ),
    _case("503, blob, once", on_blob(_status(503), 2), arrived(1, 2), arrived(2)),
    _case("503, blob, for ever", on_blob(_status(503)), passing("registry_5xx")),
)

_TRANSFERS = (
    _case("reset mid-blob, once", on_blob(lambda: faults.reset(_AFTER), 1), arrived(1, 2), arrived(2)),
    _case("reset mid-blob, for ever", on_blob(lambda: faults.reset(_AFTER)), passing("connection_reset")),
    _case("clean close mid-blob, once", on_blob(lambda: faults.close(_AFTER), 1), arrived(1, 2), arrived()),
    _case(
        "clean close mid-blob, for ever", on_blob(lambda: faults.close(_AFTER)), passing("unexpected_eof"), arrived()
    ),
    _case("truncated blob, once", on_blob(lambda: faults.short(_AFTER), 1), arrived(2)),
    _case(
        "truncated blob, for ever",
        on_blob(lambda: faults.short(_AFTER)),
        passing("digest_mismatch"),
        # Under load containerd may remove the half of the last attempt while the next one relies on it.
        passing("unexpected_eof", or_kind="content_lost"),
    ),
    _case("corrupted blob, once", on_blob(lambda: faults.corrupt, 1), arrived(2)),
    _case("corrupted blob, for ever", on_blob(lambda: faults.corrupt), passing("digest_mismatch")),
    _case(
        "stall mid-blob, once",
        on_blob(lambda: faults.stall(_AFTER, 600), 1),
        arrived(2, left=REQUEST),
        arrived(2),
        "--stall-timeout=2s",
    ),
    _case(
        "stall mid-blob, for ever",
        on_blob(lambda: faults.stall(_AFTER, 600)),
        passing("stalled", left=REQUEST),
        passing("stalled"),
        "--stall-timeout=2s",
    ),
    _case(
        "unanswered manifest",
        on_manifest(lambda: faults.hang(600)),
        passing("stalled", left=REQUEST),
        passing("stalled"),
        "--stall-timeout=2s",
    ),
    _case(
        "slow drip of one layer, longer than --stall-timeout",
        harms.dripping_layer,
        arrived(),
        None,
        "--stall-timeout=6s",
    ),
    _case(
        "slow drip of five layers, longer than --stall-timeout",
        harms.dripping_layers,
        arrived(),
        None,
        "--stall-timeout=5s",
    ),
)

_NAMES = (
    Case("401, no credentials", harms.no_credentials, *2 * (final("unauthorized"),), both=True),
    Case("401, wrong credentials", harms.wrong_credentials, *2 * (final("unauthorized"),), both=True),
    _case("token expires in mid-pull", harms.token_expires, arrived(2), arrived()),
    Case(
        "TLS with an unknown CA",
        harms.unknown_authority,
        *2 * (final("x509_untrusted"),),
        stage=own_world,
        secluded=True,
    ),
    Case("DNS failure", harms.unknown_name, *2 * (passing("dns_failure"),), stage=own_world, secluded=True),
    _case("connection refused", harms.closed_port, passing("connection_refused")),
    _case("missing tag", harms.missing_tag, final("not_found")),
    _case("missing repository", harms.missing_repository, final("not_found")),
    _case("no matching platform", harms.other_platform, final("no_matching_platform")),
)

_HOST = (
    Case(
        "disk full", harms.too_large, *2 * (fatal("disk_full", 1),), ("--no-disk-check",), stage=small_disk(20),
        in_line=True,
    ),
    Case(
        "engine killed in mid-pull and restarted", harms.held_blob, *2 * (arrived(2),), ("--engine-wait=30s",),
        stage=own_engine, meanwhile=harms.kill_and_restart,
    ),
    Case(
        "engine killed in mid-pull for good", harms.held_blob, *2 * (fatal("daemon_unreachable", 69),),
        ("--engine-wait=1s",), stage=own_engine, meanwhile=harms.kill, in_line=True,
    ),
    Case(
        "engine's socket unreadable", harms.closed_port, *2 * (fatal("socket_permission", 69, 0),),
        stage=locked_engine, prefix=UNPRIVILEGED,
    ),
)  # fmt: skip

CASES: tuple[Case, ...] = _LIMITS + _SERVER_ERRORS + _TRANSFERS + _NAMES + _HOST
