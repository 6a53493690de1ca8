"""The picture of the live view, from a run on a real engine: `python -m scripts.docs.live_picture > docs/live.svg`.

Two proxies stand for two registries; their loopback addresses are shown as names of the same length.
"""

import io
import os
import pty
import re
import subprocess
import sys
import tempfile
import termios
from contextlib import ExitStack
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import pyte
from rich.console import Console
from rich.text import Text

from tests.lab import Engine, Proxy, Registry, Rule, layer, push_image
from tests.lab.faults import answer, drip

_COLUMNS, _LINES = 100, 16
_HOSTS = ("hub.example.com", "reg.example.org")
_IMAGES = (
    (0, "shop/web:1.4", 3), (0, "shop/api:2.0", 5), (1, "tools/backup:7", 2), (0, "shop/search:2.0", 24),
    (1, "base/python:3.12", 30), (0, "shop/mail:0.9", 1), (1, "tools/lint:3.1", 26), (0, "shop/jobs:2.0", 28),
    (1, "base/node:22", 22), (0, "shop/images:5", 20),
)  # fmt: skip
_MEBIBYTE = 1 << 20
_COLOURS = {"brown": "yellow", "brightblack": "bright_black"}
"""What pyte calls otherwise than rich."""


def picture() -> str:
    """Run puller in a terminal, and draw how that looks in the middle of the run, as SVG."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        registry = stack.enter_context(Registry())
        engine = stack.enter_context(Engine())
        slow = Rule("/blobs/", drip(3.5 * _MEBIBYTE, 64 * 1024))
        broken = Rule("/base/node/manifests/", answer(503), times=8)
        proxies = [stack.enter_context(Proxy(registry, [broken, slow])) for _ in _HOSTS]
        lines = []
        for where, name, size in _IMAGES:
            repository, _, tag = name.partition(":")
            push_image(registry, repository, tag, (layer(name, size * _MEBIBYTE // 2),))
            lines.append(f"{proxies[where].address}/{name}\n")
        lines.insert(3, f"{proxies[0].address}/shop/old:0.1\n")
        (folder / "images.txt").write_text("".join(lines))
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "DOCKER_HOST": engine.host}
        screen = _watched(folder, environment | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"})
        return _svg(screen, {proxy.address: host for proxy, host in zip(proxies, _HOSTS, strict=True)})


def _watched(folder: Path, environment: dict[str, str]) -> pyte.Screen:
    """Run the program until some images have ended and others come; return the terminal as it is then."""
    screen = pyte.Screen(_COLUMNS, _LINES)
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (_LINES, _COLUMNS))
    command = [sys.executable, "-m", "puller", "pull", "images.txt", "-j", "5", "--retry-delay", "8s"]
    with subprocess.Popen(
        command, cwd=folder, env=environment | {"PYTHONPATH": str(Path(__file__).parents[2])}, stdout=theirs,
        stderr=theirs, stdin=theirs, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        try:
            while not _telling(screen.display):
                stream.feed(os.read(ours, 65536))
        finally:
            process.terminate()
            os.close(ours)
    return screen


def _telling(lines: list[str]) -> bool:
    text = "\n".join(lines)
    words = ("retry 1", "s left", "waiting for the engine")
    return text.count("B/s") >= 3 and all(map(text.count, words)) and text.count("✓") >= 4 and not text.count("extract")


def _svg(screen: pyte.Screen, names: dict[str, str]) -> str:
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True, legacy_windows=False)
    console.print(Text("$ puller pull images.txt -j 5", style="bold"))
    used = max(number for number, line in enumerate(screen.display) if line.strip()) + 1
    for number in range(used):
        row = screen.buffer[number]
        text = "".join(row[column].data for column in range(_COLUMNS))
        for address, name in names.items():
            text = text.replace(address, name)
        line = Text()
        styled = zip((_style(row[column]) for column in range(_COLUMNS)), text, strict=True)
        for style, characters in groupby(styled, itemgetter(0)):
            line.append("".join(character for _, character in characters), style)
        console.print(line, no_wrap=True)
    drawn = console.export_svg(title="puller pull", unique_id="puller")
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)  # a page shows it without asking anybody


def _style(cell: pyte.screens.Char) -> str:
    colour = _COLOURS.get(cell.fg, cell.fg)
    return ("bold " if cell.bold else "") + ("" if colour == "default" else colour)


if __name__ == "__main__":
    print(picture(), end="")
