"""A rate limit that puller itself meets holds for the whole run: its other requests, and the pulls of that registry."""

from collections.abc import Iterator

import pytest

from tests.engine.conftest import Puller
from tests.lab import Engine, Proxy, Registry, Rule, faults, layer, push_image

IMAGES = 6
LIMIT = {"Retry-After": "2"}


@pytest.fixture
def fronts(registry: Registry) -> Iterator[tuple[Proxy, Proxy]]:
    """Stand in front of the registry twice, under two names."""
    with Proxy(registry) as limited, Proxy(registry) as other:
        yield limited, other


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("HEAD", "limits/first/manifests/", ()),
        ("GET", "limits/first/blobs/", ("--prefetch=always", "--connections=4")),
        ("GET", "limits/first/manifests/", ("--prefetch=always", "--connections=4")),
    ],
)
def test_nothing_reaches_a_limited_registry(
    registry: Registry,
    engine: Engine,
    puller: Puller,
    fronts: tuple[Proxy, Proxy],
    method: str,
    path: str,
    options: tuple[str, ...],
) -> None:
    """After a 429 to one request, neither puller nor the engine asks that registry until it ends; others are pulled."""
    limited, other = fronts
    names = ["first", *(f"app{number}" for number in range(IMAGES))]
    references = [
        push_image(registry, f"{group}/{name}", layers=[layer(group + name, 2048)]).at(front.address)
        for group, front in (("limits", limited), ("others", other))
        for name in names
    ]
    engine.wipe()
    file = puller.folder / "images.txt"
    file.write_text("\n".join(references))
    if method == "HEAD":  # only what is there already is asked for by HEAD
        assert puller.pull(str(file)).code == 0
    for front in fronts:
        front.forget()
        front.use(Rule("", faults.delay(0.05)))
    limited.use(Rule(path, faults.answer(429, LIMIT), method=method, times=1), Rule("", faults.delay(0.05)))
    run = puller.pull(str(file), "-j", "2", *options)
    assert run.code == 0, run.stdout + run.stderr
    assert {each["status"] for each in run.images} == {"up_to_date" if method == "HEAD" else "pulled"}
    (met,) = (each for each in limited.log if each.status == 429)
    met_at = met.ended or met.started
    # What was under way at that moment has reached the registry already.
    meanwhile = [each for each in limited.log if met_at + 0.5 < each.started < met_at + 1.9]
    seen = [f"{each.started - met_at:.2f} {each.method} {each.path}" for each in meanwhile]
    assert not seen
    assert max(each.started for each in limited.log) > met_at + 1.9
    assert any(met_at < each.started < met_at + 1.9 for each in other.log)
