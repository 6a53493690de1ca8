"""What a pull would do, asked of a real registry and an engine in memory."""

from puller.engine.model import EngineInfo
from puller.image.reference import Platform
from puller.imagelist.requests import RequestedImages
from puller.plan.model import Change
from puller.plan.render import render_text
from puller.plan.survey import plan_pull
from puller.registry.client import RegistryClient
from tests.lab import Registry, push_image
from tests.lab.fakes import FakeBackend, FakeStore
from tests.lab.samples import request


def test_an_image_of_another_platform_is_told_before_the_pull() -> None:
    """A platform that was named is missing; without one, the image is pulled with a warning."""
    engine = FakeBackend(store=FakeStore(facts=EngineInfo(platform=Platform("linux", "amd64"))))
    with Registry() as registry, RegistryClient(read=5) as client:
        name = push_image(registry, "plan/arm", platform="linux/arm64").reference
        requests = (request(name), request(name, "linux/arm64"), request(name, "linux/s390x"))
        plan = plan_pull(RequestedImages(requests), engine, client)
    assert [each.change for each in plan.images] == [Change.WOULD_PULL, Change.WOULD_PULL, Change.UNKNOWN]
    text = render_text(plan)
    assert f"warning: {name}\n  the image is for linux/arm64, not for linux/amd64\n" in text
    assert (
        "not available for this platform (no_matching_platform): the image is for linux/arm64, not for linux/s390x\n"
        in text
    )
