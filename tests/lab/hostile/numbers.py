"""Numbers and dates in headers: of rate limits, of waits."""

from tests.lab.hostile.image import add, encoded, manifest_with, saying
from tests.lab.unsafe_text import LINE_ESCAPES

_LIMITED = encoded({"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]})
for _name, _value in (
    ("1e400", "1e400"),
    ("negative", "-1"),
    ("of_20_digits", "9" * 20),
    ("of_400_digits", "9" * 400),
    ("in_9999", "Fri, 31 Dec 9999 23:59:59 GMT"),
    ("in_99999", "Fri, 31 Dec 99999 23:59:59 GMT"),
    ("of_another_zone", "Fri, 31 Dec 9999 23:59:59 -9999"),
    ("in_0000", "Mon, 00 Jan 0000 00:00:00 GMT"),
    ("nan", "NaN"),
    ("no_number", f"soon{LINE_ESCAPES}"),
    ("in_other_digits", "٣٠"),
):
    add(
        f"retry_after_{_name}",
        f"sends 429 and Retry-After: {_value[:40]!r}",
        saying(429, {"Retry-After": _value}, _LIMITED),
    )
    add(
        f"unavailable_{_name}",
        f"sends 503 and Retry-After: {_value[:40]!r}",
        saying(503, {"Retry-After": _value}, b""),
    )
for _name, _fields in (
    ("no_numbers", {"RateLimit-Limit": "many", "RateLimit-Remaining": LINE_ESCAPES, "RateLimit-Reset": "1e400"}),
    ("huge", {"RateLimit-Limit": "9" * 400, "RateLimit-Remaining": "9" * 400, "RateLimit-Reset": "9" * 400}),
    ("negative", {"RateLimit-Limit": "-1;w=-1", "RateLimit-Remaining": "-1", "RateLimit-Reset": "-1"}),
    ("nothing", {"RateLimit-Limit": "0;w=999999999", "RateLimit-Remaining": "0;w=999999999"}),
):
    add(f"ratelimit_{_name}", f"sends rate limits: {_name}", manifest_with(_fields), kind="manifest", harmless=True)
    add(f"limited_{_name}", f"sends 429 with rate limits: {_name}", saying(429, _fields, _LIMITED))
