"""The plan, as people and as scripts read it."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

import puller
from puller.errors import FailureKind
from puller.failure import failure
from puller.plan import render
from puller.plan.layers import Estimate
from puller.plan.model import Change, Disk, ImageEstimate, PullPlan, QuotaUse
from puller.registry.responses import QuotaSource
from tests.lab.samples import DIGEST, outcome, request

VALIDATOR = Draft202012Validator(json.loads((Path(puller.__file__).parent / "schemas/plan.schema.json").read_text()))
COST = Estimate(download=1_234_567, layers=5, missing=2, unpacked=3_000_000, blobs=1_230_000)
CURRENT = ImageEstimate(request("nginx:1.27"), Change.UP_TO_DATE, DIGEST)
PULLED = ImageEstimate(request("redis:7", "linux/arm64"), Change.WOULD_PULL, DIGEST, COST)
UNSIZED = ImageEstimate(request("dear"), Change.WOULD_PULL, DIGEST, note="its size is not asked for")
UNKNOWN = ImageEstimate(request("nope"), Change.UNKNOWN, failure=failure(FailureKind.NOT_FOUND, "manifest unknown"))
DOWN = UNKNOWN._replace(failure=failure(FailureKind.CONNECTION_REFUSED, "h: Connection refused"))
ROOM = Disk(3_000_000, "/var/lib/docker", 5_000_000_000)


def forecast(*prospects: ImageEstimate, disk: Disk = ROOM, quotas: tuple[QuotaUse, ...] = (), **more: Any) -> PullPlan:
    """Plan for these images."""
    return PullPlan("engine 0", prospects, quotas, disk, **more)


def test_text_has_table_total_and_disk() -> None:
    """A row for each image, and a line that sums up."""
    assert render.render_text(forecast(CURRENT, PULLED)) == (
        "CHANGE      IMAGE                  DIGEST        LAYERS  DOWNLOAD\n"
        "up to date  nginx:1.27             0123456789ab       -         -\n"
        "would pull  redis:7 (linux/arm64)  0123456789ab     2/5     1.2MB\n"
        "\n"
        "2 images: 1 up to date, 1 would be pulled; 1.2MB to download\n"
        "disk: about 3.0MB needed in /var/lib/docker, 5.0GB free\n"
    )


def test_the_lines_of_a_lock_do_not_widen_the_table() -> None:
    """The digest of `name:tag@digest` is in its own column, also if nothing more is known of the image."""
    pin = f"@{DIGEST}"
    images = (CURRENT._replace(request=request(f"a:1{pin}")), UNKNOWN._replace(request=request(f"b{pin}")))
    rows = render.render_text(forecast(*images)).splitlines()[1:3]
    assert [row.split()[-4:-2] for row in rows] == [["a:1", "0123456789ab"], ["b@sha256:0123456789ab", "0123456789ab"]]


def test_text_of_nothing_to_do_is_short() -> None:
    """No disk where nothing is written, and a word for an empty list."""
    assert render.render_text(forecast(CURRENT)).endswith("\n\n1 image: 1 up to date, 0 would be pulled\n")
    assert render.render_text(forecast()) == "no images: there is nothing to pull\n"


def test_text_says_what_is_not_known_and_what_is_too_little() -> None:
    """Sums become lower bounds, with the reasons below."""
    text = render.render_text(
        forecast(
            PULLED,
            UNSIZED,
            UNKNOWN,
            disk=Disk(3_000_000, "/var", 1000),
            quotas=(QuotaUse("docker.io", 100, 1, 21600, 2, 0), QuotaUse("x.io", None, 9, None, 1, 1)),
            rejected=(outcome("bad", why=failure(FailureKind.BAD_REFERENCE, "a.txt:3: no")),),
        )
    )
    assert "3 images: 0 up to date, 2 would be pulled, 1 unknown; at least 1.2MB to download\n" in text
    assert "quota: docker.io has 1 of 100 pulls left in 6h00m; this pull needs 2: not enough\n" in text
    assert (
        "quota: x.io has 9 pulls left; this pull needs 1 (the plan fetched 1 manifest, which may count too)\n" in text
    )
    assert "not enough disk: 1 image needs about 3.0MB in /var, 1.0kB are free; try --make-room, " in text
    assert "unknown: nope\n  image or tag not found (not_found): manifest unknown\n  → " in text
    assert "size unknown: dear\n  its size is not asked for\n" in text
    assert "invalid line: a.txt:3: no\n" in text


def test_hosts_share_the_quota_of_an_account_and_not_that_of_an_address() -> None:
    """Only what is shared can be too little; what the plan fetched, it fetched once."""
    own = QuotaUse("docker.io", 200, 30, 21600, 12, 12, QuotaSource.ACCOUNT)
    other = own._replace(pulls=7, looked=7)
    start, looked = "quota: docker.io has 30 of 200 pulls left in 6h00m", "(the plan fetched 12 manifests, which may"
    assert render.quota_of_hosts([own, other]) == (
        f"{start} for this account; pulls on 2 hosts need 19 {looked} count too): not enough"
    )
    assert render.quota_of_hosts([own]).endswith(
        "pulls on 1 host need 12 (the plan fetched 12 manifests, which may count too)"
    )
    uses = [each._replace(source=QuotaSource.ADDRESS) for each in (own, other)]
    assert render.quota_of_hosts(uses) == (
        f"{start} for this machine's address; pulls on 2 hosts need 19, each host's from the quota of its own address"
    )
    untold = [each._replace(source=None) for each in uses]
    assert render.quota_of_hosts(untold) == f"{start}; pulls on 2 hosts need 19, if they share it"


def test_text_says_why_the_disk_is_not_known() -> None:
    """An engine on another host keeps its disk to itself."""
    text = render.render_text(forecast(PULLED, disk=Disk(5, note="the engine is on another host")))
    assert "disk: about 5B needed; free space is unknown: the engine is on another host\n" in text


def test_json_holds_the_same() -> None:
    """Numbers as numbers; what is not known is null."""
    quotas = (QuotaUse("docker.io", 100, 76, 21600, 2, 2),)
    read = json.loads(render.render_json(forecast(CURRENT, PULLED, UNSIZED, UNKNOWN, quotas=quotas)))
    assert (read["schema"], read["changes"], read["complete"]) == ("puller.plan/1", True, False)
    assert read["counts"] == {"up_to_date": 1, "would_pull": 2, "unknown": 1}
    assert read["bytes"] == {"download": 1_234_567, "layers": 1_230_000, "unpacked": 3_000_000}
    assert [image["bytes"] for image in read["images"]] == [0, 1_234_567, None, None]
    assert read["images"][1]["platform"] == "linux/arm64"
    assert read["images"][1]["layers"] == {"total": 5, "missing": 2}
    assert read["images"][3]["error"]["kind"] == "not_found"
    assert read["quotas"][0] == {
        "registry": "docker.io",
        "limit": 100,
        "remaining": 76,
        "window_seconds": 21600,
        "pulls": 2,
        "looked": 2,
        "source": None,
        "enough": True,
    }
    assert read["disk"] == {
        "needed": 3_000_000,
        "path": "/var/lib/docker",
        "free": 5_000_000_000,
        "note": None,
        "enough": True,
    }


def everything() -> dict[str, Any]:
    """Write a plan with all that a plan may hold, and read it back."""
    bad = outcome("bad", why=failure(FailureKind.BAD_REFERENCE, "a.txt:3: no"))
    quotas = (QuotaUse("docker.io", 100, 76, 21600, 2, 2), QuotaUse("x.io", None, None, None, 1))
    images = (CURRENT, PULLED, UNSIZED, UNKNOWN)
    read: dict[str, Any] = json.loads(render.render_json(forecast(*images, quotas=quotas, rejected=(bad,))))
    return read


def test_json_fits_its_schema() -> None:
    """Every change, quotas that are known and unknown, bad lines, an unknown disk, an empty plan."""
    VALIDATOR.validate(everything())
    VALIDATOR.validate(json.loads(render.render_json(forecast(disk=Disk(5, note="another host")))))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("change", "pulled"),
        ("requested", []),
        ("bytes", -1),
        ("digest", "abc"),
        ("layers", {"total": 1}),
        ("note", ""),
        ("error", {"kind": "not_found", "class": "permanent", "message": "", "advice": ""}),
    ],
)
def test_schema_refuses_a_bad_value(key: str, value: object) -> None:
    """A plan that breaks the contract does not pass for one."""
    read = everything()
    read["images"][0][key] = value
    with pytest.raises(ValidationError):
        VALIDATOR.validate(read)


def test_schema_wants_every_promised_key_and_bears_others() -> None:
    """New keys may appear; promised ones may not go."""
    read = everything() | {"new": 1}
    VALIDATOR.validate(read)
    for key in set(read) - {"new"}:
        with pytest.raises(ValidationError):
            VALIDATOR.validate({name: value for name, value in read.items() if name != key})
    for part in ("images", "quotas"):
        for key in read[part][0]:
            less = {name: value for name, value in read[part][0].items() if name != key}
            with pytest.raises(ValidationError):
                VALIDATOR.validate(read | {part: [less]})


@pytest.mark.parametrize(
    ("prospects", "code", "complete"),
    [
        ((CURRENT, PULLED), 0, True),
        ((UNSIZED,), 0, False),
        ((UNKNOWN,), 1, False),
        ((DOWN, CURRENT), 75, False),
        ((DOWN, UNKNOWN), 1, False),
        ((), 0, True),
    ],
)
def test_a_forecast_knows_what_it_does_not_know(
    prospects: tuple[ImageEstimate, ...], code: int, complete: bool
) -> None:
    """A missing size is no error; an unknown image is one, and temporary if its failure is."""
    made = forecast(*prospects)
    assert (made.exit_code, made.complete) == (code, complete)
