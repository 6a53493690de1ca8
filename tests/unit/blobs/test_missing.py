"""Which blobs an image lacks."""

import pytest
from pytest_mock import MockerFixture

from puller.blobs.missing import MissingBlobs, QuotaError
from puller.engine.model import LocalImage, LocalImages
from puller.image.reference import Platform
from puller.plan.inventory import EngineInventory
from puller.settings import Policy
from tests.lab.samples import request


def test_an_image_that_is_wanted_only_if_it_is_missing(mocker: MockerFixture) -> None:
    """Its registry is not asked, as nothing of it will be pulled."""
    client = mocker.Mock()
    client.with_limits.return_value = client
    client.record.return_value.unreachable = False
    here = LocalImages([LocalImage("sha256:1", ("docker.io/library/nginx:1.27",))])
    blobs = MissingBlobs(client, EngineInventory(mocker.Mock(), lambda: here), Policy.NEWER)
    assert blobs.look_up(request()._replace(if_missing=True), Platform("linux", "amd64")) is None
    client.head.assert_not_called()
    client.manifest.assert_not_called()


def test_a_registry_that_counts_is_not_asked_for_manifests(mocker: MockerFixture) -> None:
    """It is asked once, without cost, whether it counts."""
    client = mocker.Mock()
    client.with_limits.return_value = client
    client.record.return_value = mocker.Mock(unreachable=False, quota=None)
    client.head.side_effect = lambda _: setattr(client.record.return_value, "quota", "100")
    blobs = MissingBlobs(client, EngineInventory(mocker.Mock(), lambda: LocalImages([])), spare_quota=True)
    for name in ("nginx", "redis"):
        with pytest.raises(QuotaError, match="counts"):
            blobs.look_up(request(name), Platform("linux", "amd64"))
    client.head.assert_called_once()
    client.manifest.assert_not_called()
