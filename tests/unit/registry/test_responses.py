"""What stands in headers, and digests."""

import hashlib
import time
from email.utils import formatdate

import pytest

from puller.errors import RegistryError
from puller.image.digest import is_digest, matches, sha256
from puller.registry.responses import Quota, QuotaSource, wait_of

ACCOUNT, ADDRESS = QuotaSource.ACCOUNT, QuotaSource.ADDRESS
SHA512 = f"sha512:{hashlib.sha512().hexdigest()}"


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {"retry-after": "7"}, 7),
        (503, {"retry-after": " 120 "}, 120),
        (429, {"retry-after": "0"}, 0),
        (429, {"retry-after": "1.5"}, 1.5),
        (429, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        (429, {"retry-after": "1445412480"}, 0),
        (429, {"retry-after": "soon"}, None),
        (429, {"retry-after": "-5"}, None),
        (429, {"retry-after": "9" * 400}, None),
        (429, {"retry-after": "Wed, 99 Oct 99999 07:28:00 GMT"}, None),
        (429, {"retry-after": "soon", "x-ratelimit-reset": "30"}, 30),
        (429, {"ratelimit-reset": "50"}, 50),
        (429, {}, None),
        (200, {"ratelimit-reset": "50"}, None),
        (200, {"ratelimit-reset": "50", "ratelimit-remaining": "3;w=21600"}, None),
        (200, {"ratelimit-reset": "50", "ratelimit-remaining": "0;w=21600"}, 50),
    ],
)
def test_the_wait_is_read(status: int, headers: dict[str, str], wait: float | None) -> None:
    """Seconds, points in time, and nonsense."""
    assert wait_of(status, headers) == wait


@pytest.mark.parametrize("form", [lambda at: formatdate(at, usegmt=True), lambda at: str(int(at))])
def test_a_point_in_time_becomes_a_wait(form: object) -> None:
    """An HTTP date, or the seconds since 1970 that Docker Hub sends."""
    assert callable(form)
    wait = wait_of(429, {"retry-after": form(time.time() + 1000)})
    assert wait is not None
    assert 0 < wait <= 1000


@pytest.mark.parametrize(
    ("headers", "quota"),
    [
        ({"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "76;w=21600"}, Quota(100, 76, 21600)),
        ({"ratelimit-limit": "100 ; w=60"}, Quota(100, None, 60)),
        ({"ratelimit-remaining": "0"}, Quota(None, 0, None)),
        ({"ratelimit-remaining": "7", "docker-ratelimit-source": "192.0.2.7"}, Quota(None, 7, None, ADDRESS)),
        ({"ratelimit-remaining": "7", "docker-ratelimit-source": "2001:db8::"}, Quota(None, 7, None, ADDRESS)),
        ({"ratelimit-remaining": "7", "docker-ratelimit-source": "0ac1-77"}, Quota(None, 7, None, ACCOUNT)),
        ({"ratelimit-limit": "many"}, None),
        ({}, None),
    ],
)
def test_the_quota_is_read(headers: dict[str, str], quota: Quota | None) -> None:
    """As Docker Hub sends it."""
    assert Quota.of(headers) == quota


def test_digests_are_checked() -> None:
    """Both algorithms of the spec, and no other."""
    assert matches(sha256(b"x"), b"x")
    assert not matches(sha256(b"x"), b"y")
    assert matches(SHA512, b"")
    assert not matches(SHA512, b"x")
    for wrong in (None, "", "sha256:", "sha256:" + "A" * 64, "sha256:" + "a" * 128, "md5:" + "a" * 32, "sha256:\u0661"):
        assert not is_digest(wrong)
        assert not matches(wrong or "", b"")


def test_a_message_is_one_safe_line() -> None:
    """Whatever a registry said."""
    trouble = RegistryError("a\n\x1b[31mb token=abcdefgh " + "x" * 9999)
    assert str(trouble).startswith("a b token=*** xxx")
    assert len(str(trouble)) == 300
    assert (trouble.status, trouble.wait) == (None, None)
