"""SIGINT and SIGTERM in the middle of pulls: what stops, what is still said, and what is left behind."""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
from pathlib import Path

import pyte
import pytest

from tests.engine.conftest import Puller
from tests.lab import Engine, Proxy, PushedImage, Registry, Rule, faults, layer, push_image, wait_until


def processes_naming(text: str) -> list[int]:
    """Find live processes with a text in their command line."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if text.encode() in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


def separate_images(registry: Registry, count: int) -> list[PushedImage]:
    """Push images that share nothing: an engine fetches a shared layer once, and all wait for the slowest."""
    return [push_image(registry, f"signal/app{n}", layers=[layer(f"signal-{n}", 20_000)]) for n in range(count)]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_signal_ends_the_run_in_good_order(
    engine: Engine, registry: Registry, proxy: Proxy, puller: Puller, backend: str, number: signal.Signals, code: int
) -> None:
    """The engine stops, no process is left, and the report tells what was done and what was not."""
    done, *stuck = separate_images(registry, 6)
    proxy.use(Rule(f"{done.repository}/", faults.forward), Rule("/blobs/", faults.drip(500, 50), method="GET"))
    images = puller.list(*(image.at(proxy.address) for image in (done, *stuck)))
    process = puller.start_pull(images, "-j", "2", "--backend", backend, "--progress", "json")
    assert process.stderr is not None
    for line in process.stderr:
        if json.loads(line)["event"] == "finished":
            break
    proxy.wait_for("GET", "/blobs/", count=3)
    process.send_signal(number)
    stdout, _ = process.communicate(timeout=20)

    report = json.loads(stdout)
    assert process.returncode == code
    assert report["stopped"] == f"interrupted by {number.name}"
    assert [image["status"] for image in report["images"]] == ["pulled"] + ["cancelled"] * 5
    assert wait_until(lambda: proxy.in_flight() == 0, 10)
    assert processes_naming(proxy.address) == []
    assert len(engine.images()) == 1


def test_a_second_signal_leaves_at_once_and_leaves_no_orphan(
    registry: Registry, proxy: Proxy, puller: Puller, tmp_path: Path
) -> None:
    """A command that will not stop is killed by the second Ctrl-C, and puller is gone without a report."""
    stubborn = tmp_path / "docker-that-stays"
    stubborn.write_text(
        '#!/bin/sh\n[ "$1" = version ] && exec echo 1.0 Engine\n[ "$1" = pull ] || exit 1\n'
        'trap "" TERM INT\nsleep 300 & wait; sleep 300\n'
    )
    stubborn.chmod(0o755)
    reference = f"{proxy.address}/second/app:v1"
    process = puller.start_pull("--image", reference, "--backend", "cli", "--docker-command", str(stubborn))
    assert wait_until(lambda: len(processes_naming(reference)) > 1, 20)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    stdout, _ = process.communicate(timeout=20)
    assert process.returncode in (130, 143)  # two signals that wait together are delivered in either order
    assert stdout == ""
    assert wait_until(lambda: processes_naming(reference) == [], 10)


class Terminal:
    """A real terminal of 100 by 30 with a process in it, seen through an emulator."""

    def __init__(self, argv: list[str], environment: dict[str, str]) -> None:
        self.screen = pyte.Screen(100, 30)
        self._stream = pyte.ByteStream(self.screen)
        self._lock = threading.Lock()
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.process = subprocess.Popen(
            argv, env=environment | {"TERM": "xterm-256color"}, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )  # fmt: skip
        os.close(slave)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            with self._lock:
                self._stream.feed(data)

    @property
    def text(self) -> str:
        """What stands on the screen."""
        with self._lock:
            return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self.master, keys)

    def close(self) -> int:
        """Wait for the end and return the exit code."""
        code = self.process.wait(30)
        self._reader.join(10)
        os.close(self.master)
        return code


def test_ctrl_c_on_a_terminal_leaves_the_screen_tidy(
    registry: Registry, proxy: Proxy, puller: Puller, backend: str
) -> None:
    """Rows while it runs; after Ctrl-C no row is left, the cursor is back, and the report stands at the end."""
    done, *stuck = separate_images(registry, 5)
    proxy.use(Rule(f"{done.repository}/", faults.forward), Rule("/blobs/", faults.drip(500, 50), method="GET"))
    images = puller.list(*(image.at(proxy.address) for image in (done, *stuck)))
    terminal = Terminal(puller.argv("pull", images, "-j", "2", "--backend", backend), puller.environment)
    proxy.wait_for("GET", "/blobs/", count=3)
    names = [image.repository for image in stuck[:2]]
    assert wait_until(lambda: all(name in terminal.text for name in names), 20), terminal.text
    terminal.press(b"\x03")
    assert terminal.close() == 130
    assert not terminal.screen.cursor.hidden
    assert "\ninterrupted (Ctrl-C): 4 images not pulled\n" in terminal.text
    assert wait_until(lambda: proxy.in_flight() == 0, 10)
