"""The index.json of a layout, whoever wrote it."""

import json

import pytest

from puller.image.oci_layout import read_index
from tests.lab.samples import DIGEST


@pytest.mark.parametrize("digest", [None, 5, "", "sha256:12", "sha512:" + "a" * 64, "md5:" + "a" * 32])
def test_entries_without_a_digest_that_can_be_checked_are_left_out(digest: object) -> None:
    """The others are read."""
    entries = [{"digest": digest, "size": 3}, {"digest": DIGEST, "size": 3}]
    assert [image.digest for image in read_index(json.dumps({"manifests": entries}))] == [DIGEST]
