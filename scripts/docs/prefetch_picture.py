"""The figure in docs/prefetch.md: `python -m scripts.docs.prefetch_picture` pulls twice, and makes it anew."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from time import monotonic, sleep

from tests.lab import Engine, Registry, layer, parse, push_image
from tests.lab.program import Program
from tests.lab.wire import SlowWire

PICTURE = Path(__file__).parents[2] / "docs/prefetch.svg"
RATE, SIZE = 2_000_000, 4_000_000
IMAGES, LAYERS = 20, 3
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 300, 60, 20, 34, 44
TICK, SPAN = 0.1, 5
"""Seconds between two samples, and the samples that a point is the mean of."""
COLOURS = {"never": "#9aa3ab", "auto": "#2a78b5"}
STYLE = "text{font:12px system-ui,sans-serif;fill:#24292f}.e{text-anchor:end}.m{text-anchor:middle}"
Curve = list[tuple[float, float]]


def measure(engine: Engine, wire: SlowWire, names: list[str], mode: str, folder: Path) -> tuple[Curve, float]:
    """Pull into the empty engine; return MB a second over time, and when prefetching began (0 if it did not)."""
    engine.wipe()
    program = Program(folder, {"HOME": str(folder), "DOCKER_HOST": engine.host, "PATH": os.environ["PATH"]})
    listed = folder / "images.txt"
    listed.write_text("\n".join(names))
    process = program.start("pull", "-j8", "--no-disk-check", f"--prefetch={mode}", str(listed))
    began, before, switched = monotonic(), wire.sent, 0.0
    samples, over = [(0.0, 0)], Event()
    while not over.is_set():
        sleep(TICK)
        now = monotonic() - began
        samples.append((now, wire.sent - before))
        if not switched and (folder / ".cache/puller/blobs").exists():
            switched = now
        if process.poll() is not None:
            over.set()
    process.communicate()
    assert process.returncode == 0
    pairs = zip(samples, samples[SPAN:], strict=False)
    return [(end, (there - here) / (end - start) / 1e6) for (start, here), (end, there) in pairs], switched


def draw(curves: dict[str, Curve], switched: float) -> str:
    """Draw the curves over time, with a line at the moment in which prefetching began."""
    seconds = max(time for curve in curves.values() for time, _ in curve)
    most = max(rate for curve in curves.values() for _, rate in curve) * 1.1
    across, up = (WIDTH - LEFT - RIGHT) / seconds, (HEIGHT - TOP - BOTTOM) / most

    def x(time: float) -> float:
        return LEFT + across * time

    def y(rate: float) -> float:
        return HEIGHT - BOTTOM - up * rate

    drawn = [f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="#24292f"/>']
    drawn += [
        f'<text class="m" x="{x(time):.0f}" y="{HEIGHT - BOTTOM + 18}">{time} s</text>'
        for time in range(0, int(seconds) + 1, 5)
    ]
    drawn += [
        f'<text class="e" x="{LEFT - 8}" y="{y(rate) + 4:.0f}">{rate}</text>' for rate in range(0, int(most) + 1, 20)
    ]
    drawn.append(f'<text x="8" y="18">MB/s received; {RATE / 1e6:g} MB/s a connection</text>')
    for name, curve in curves.items():
        points = " ".join(f"{x(time):.1f},{y(rate):.1f}" for time, rate in curve)
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>')
        end = curve[-1][0]
        words = f"--prefetch={name}: {end:.1f} s"
        drawn.append(f'<text class="e" x="{x(end):.0f}" y="{y(0) - (40 if name == "auto" else 24)}">{words}</text>')
    drawn.append(f'<path d="M{x(switched):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#c0392b" stroke-dasharray="4 3"/>')
    drawn.append(f'<text x="{x(switched) + 6:.0f}" y="{TOP + 10}">{switched:.1f} s: prefetching begins</text>')
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    title = f"<title>Bytes received a second, over time</title><style>{STYLE}</style>"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">{title}'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *drawn, "</svg>\n"])


def main() -> None:
    """Pull 20 images of three layers, with and without prefetching."""
    with Engine(parse("installed")) as engine, Registry() as registry, SlowWire(registry.address, RATE) as wire:
        names = [
            push_image(registry, f"figure/app{n}", layers=[layer(f"figure-{n}-{k}", SIZE) for k in range(LAYERS)]).at(
                wire.address
            )
            for n in range(IMAGES)
        ]
        curves: dict[str, Curve] = {}
        switched = 0.0
        for mode in COLOURS:
            with TemporaryDirectory() as folder:
                curves[mode], switched = measure(engine, wire, names, mode, Path(folder))
    PICTURE.write_text(draw(curves, switched))


if __name__ == "__main__":
    main()
