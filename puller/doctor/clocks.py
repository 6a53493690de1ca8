"""Clocks: certificates and tokens are good from one moment to another, and both sides must agree on now."""

from datetime import datetime

from puller.doctor.finding import About, Finding, Verdict
from puller.text import format_seconds

_WARNING = 30.0
"""Seconds: more than a slow answer and the whole seconds of a Date header account for."""
_FAILED = 300.0
"""Seconds: tokens live as short as that, and so do signed addresses of blobs."""
_FIX = "timedatectl status\nsudo timedatectl set-ntp true   # on the host whose clock is wrong"


def compare(about: About, whose: str, there: datetime, here: datetime) -> Finding:
    """Compare a clock with ours, read at the same moment."""
    ahead = (there - here).total_seconds()
    skew = abs(ahead)
    if skew < _WARNING:
        return about.ok("clock", f"within {_WARNING:g}s of ours")
    words = f"{whose} clock is {format_seconds(skew)} {'ahead of' if ahead > 0 else 'behind'} ours"
    return about.found("clock", Verdict.FAILED if skew > _FAILED else Verdict.WARNING, words, _FIX)
