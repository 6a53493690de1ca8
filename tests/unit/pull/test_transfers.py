"""Bytes are counted once, whoever reports them."""

from puller.cancellation import Cancellation
from puller.cli.progress.state import State
from puller.engine.interface import ProgressSink
from puller.errors import EngineError
from puller.events import Event, Phase, Progress
from puller.image.manifest import Descriptor
from puller.model import EngineResult, PullRequest
from puller.pull.transfers import Transfers
from puller.report.json import render
from puller.settings import RetryPolicy, Settings, Timeouts
from tests.lab.fakes import PULLED, FakeBackend, pull_all
from tests.lab.samples import request


def test_a_shared_layer_counts_for_who_reports_it_first() -> None:
    """The others lag behind, or are ahead for a moment."""
    transfers = Transfers()
    assert transfers.new("a", {"base": 100, "own": 10}) == 110
    assert transfers.new("b", {"base": 90}) == 0
    assert transfers.new("b", {"base": 150, "mine": 5}) == 55
    assert transfers.new("a", {"base": 150, "own": 20}) == 10


def test_a_layer_that_is_fetched_again_counts_again() -> None:
    """One that is continued counts what is new; another pull that is in flight is part of the same transfer."""
    transfers = Transfers()
    assert transfers.new("a", {"x": 100}) == 100
    transfers.end("a")
    assert transfers.new("again", {"x": 120}) == 20
    transfers.end("again")
    assert transfers.new("anew", {"x": 30}) == 30
    assert transfers.new("beside", {"x": 10}) == 0
    transfers.end("anew")
    assert transfers.new("beside", {"x": 40}) == 10


def test_a_layer_without_bytes_counts_with_its_size_once() -> None:
    """Also where puller has downloaded it for another image, and where an engine rounds what it says."""
    transfers = Transfers()
    transfers.describe([Descriptor(f"sha256:{each * 64}", 1000) for each in "abc"])
    assert transfers.new("one", {}, {"a" * 12}) == 1000
    assert transfers.new("two", {"a" * 12: 400}, {"a" * 12}) == 0
    assert transfers.new("one", {f"sha256:{'b' * 64}": 1000}) == 1000
    assert transfers.new("two", {}, {"b" * 12}) == 0
    assert transfers.new("one", {"c" * 12: 990}, {"c" * 12}) == 1000
    assert transfers.total == 3000


def test_what_puller_downloads_counts_once_before_and_after_a_pull_reports_it() -> None:
    """It is counted when it comes, and belongs to the image whose pull reports it."""
    transfers, layer = Transfers(), f"sha256:{'a' * 64}"
    assert transfers.download({layer: (300, 1000)}) == 300
    assert transfers.new("one", {layer: 300}) == 300
    assert transfers.download({layer: (400, 1000)}) == 400
    assert transfers.new("two", {layer: 1000}) == 700
    assert transfers.download({layer: (1000, 1000)}) == 1000
    assert transfers.other == 0


def test_what_puller_downloads_for_no_pull_is_told_apart() -> None:
    """Wrong content, and layers of images whose pull did not begin: the total of the report has them, no image."""
    transfers, layer, other = Transfers(), f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
    transfers.new("one", {layer: 300})
    assert transfers.download({layer: (1300, 1300), other: (50, None)}) == 1350
    assert transfers.other == 1050


def test_bytes_that_are_fetched_again_are_part_of_the_total_at_once() -> None:
    """What the engine began with is lost where puller downloads a layer, and what a cache has is not fetched."""
    transfers, layers = Transfers(), [Descriptor(f"sha256:{each * 64}", 1000) for each in "abc"]
    transfers.describe(layers)
    transfers.new("one", {"a" * 12: 200})
    assert transfers.total == 3000
    transfers.download({layers[0].digest: (0, 1000)})
    assert transfers.total == 3200
    transfers.download({layers[1].digest: (0, 0), layers[2].digest: (100, None)})
    assert transfers.total == 2200


class Restarting(FakeBackend):
    """Pulls that begin anew once, as at the start of prefetching."""

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        """Report the layers."""
        for fetched, total in ((100, 1000), (900, 3000), (0, 3000), (2000, 3000), (0, 0)):
            progress(Progress(request, Phase.DOWNLOADING, fetched, total))
        return super().pull(request, cancel=cancel, clocks=clocks, progress=progress)


def test_the_bytes_of_an_image_never_decrease_in_an_attempt() -> None:
    """Whoever begins anew: only a retry, which is said, begins at nothing."""
    seen: list[tuple[int, int]] = []

    def observe(event: Event) -> None:
        if isinstance(event, Progress):
            seen.append((event.current, event.total))

    pull_all([request("a.io/x")], Restarting(), Settings(), observer=observe)
    assert seen == [(100, 1000), (900, 3000), (900, 3000), (2000, 3000), (2000, 3000)]


class Breaking(FakeBackend):
    """Every first attempt breaks off after half of the layer, which the second fetches from its first byte."""

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        """Report the layer."""
        name, again = request.reference.repository, self.attempts.get(request.reference.text)
        for fetched in (250, 500, *((750, 1000) if again else ())):
            progress(Progress(request, Phase.DOWNLOADING, fetched, 1000, 0, 1, {name: fetched}))
        return super().pull(request, cancel=cancel, clocks=clocks, progress=progress)


def test_the_live_view_and_the_report_count_the_bytes_of_all_attempts() -> None:
    """What a failed attempt fetched was fetched, too."""
    state, names = State(), ["a.io/x", "a.io/y"]
    engine = Breaking({name: [EngineError("unexpected EOF"), PULLED] for name in names})
    settings = Settings(jobs=1, retry=RetryPolicy(delay=0.01))
    report = pull_all([request(name) for name in names], engine, settings, observer=state.add)
    assert (report.ok, report.bytes, state.downloaded) == (True, 3000, 3000)


class Sharing(FakeBackend):
    """Images in flight together that have a layer of 1000 bytes in common, and one of 10 each."""

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        """Report the layers."""
        for half in (1, 2):
            layers = {"base": 500 * half, request.reference.repository: 5 * half}
            progress(Progress(request, Phase.DOWNLOADING, sum(layers.values()), 1010, 0, 2, layers))
        return super().pull(request, cancel=cancel, clocks=clocks, progress=progress)


def test_the_live_view_and_the_report_count_the_same_bytes() -> None:
    """As many as the registry sent."""
    state, engine = State(), Sharing()

    def observe(event: Event) -> None:
        state.add(event)

    report = pull_all([request(f"a.io/{name}") for name in "wxyz"], engine, Settings(jobs=1), observer=observe)
    assert sum(outcome.bytes for outcome in report.outcomes) == state.downloaded
    assert '"bytes": 1010' in render(report)
