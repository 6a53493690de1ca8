"""The part of scripts/fleet-demo that compares puller with what people do today: the same images into four hosts.

The hosts are real, see `tests.lab.fleet`; their links have 50 Mbit/s. The figures are seconds, and how many times as
long as `puller fleet pull` each takes. Everything that is started ends with it, also on Ctrl-C or when the
terminal is closed.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from scripts import demo
from scripts.benchmark.programs import Programs
from tests.lab import WorldError, layer, push_image
from tests.lab.fleet import Fleet, cannot_shape

HOSTS, IMAGES, BYTES, LINK = 4, 20, 1_500_000, "50mbit"
FETCH = "--fetch"
PATIENCE = 600


def main() -> None:
    """Race."""
    with Fleet(HOSTS) as fleet:
        _race(fleet, Programs(FETCH in sys.argv[1:]))


def _race(fleet: Fleet, programs: Programs) -> None:
    if why := cannot_shape():
        raise WorldError(why)
    layers = {number: layer(f"race {number}", size=BYTES) for number in range(IMAGES)}
    images = [push_image(fleet.registry, f"race/app{at}", layers=[each]).reference for at, each in layers.items()]
    seconds = {name: _timed(fleet, run) for name, run in _contenders(fleet, programs, images)}
    for why in programs.missing.values():
        print(f"left out: ansible: {why}")
    least = seconds["puller fleet pull"]
    print(f"{IMAGES} images of {BYTES / 1e6:g} MB into {HOSTS} hosts, links of {LINK}:")
    for name, spent in seconds.items():
        print(f"  {name:<28} {spent:6.1f} s  {spent / least:5.1f}")


def _contenders(fleet: Fleet, programs: Programs, images: Sequence[str]) -> Iterator[tuple[str, Callable[[], object]]]:
    folder = fleet.folder
    environment = os.environ | {
        "PATH": f"{fleet.ssh()}:{os.environ['PATH']}", "ANSIBLE_PIPELINING": "1", "ANSIBLE_HOST_KEY_CHECKING": "0",
        "XDG_CACHE_HOME": str(folder / "cache"), "XDG_STATE_HOME": str(folder / "state"),
    }  # fmt: skip
    (folder / "images.txt").write_text("\n".join(images) + "\n")
    (folder / "hosts.txt").write_text("".join(f"{each.url} name={each.name}\n" for each in fleet.hosts))
    (folder / "puller.toml").write_text(f'[registry."{fleet.registry_address}"]\ninsecure = true\n')

    def run(*argv: str) -> None:
        done = subprocess.run(
            argv, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        if done.returncode:
            raise WorldError(f"{shlex.join(argv)}: {(done.stderr or done.stdout)[-1000:]}")

    def loop() -> None:
        for host in fleet.hosts:
            for image in images:
                pull = ("docker", "-H", f"unix://{host.engine.socket}", "pull", "-q", image)
                run("ssh", "-p", str(host.port), f"root@{host.address}", shlex.join(pull))

    program = str(Path(sys.executable).with_name("puller"))
    puller = (program, "fleet", "pull", "images.txt", "-c", "puller.toml", "--hosts", "hosts.txt", "-q")
    yield "puller fleet pull", lambda: run(*puller)
    yield "puller fleet pull --feed", lambda: run(*puller, "--feed")
    yield "a loop of ssh HOST docker pull", loop
    if ansible := programs.find("ansible-playbook"):
        inventory, play = _playbook(fleet, images)
        yield "ansible, docker_image_pull", lambda: run(str(ansible), "-i", inventory, play)


def _playbook(fleet: Fleet, images: Sequence[str]) -> tuple[str, str]:
    """Write the same pulls for ansible, at its fastest: pipelining, all hosts at once, each at its own pace."""
    hosts = {
        host.name: {
            "ansible_host": host.address, "ansible_port": host.port, "ansible_user": "root",
            "docker_host": f"unix://{host.engine.socket}",
        }
        for host in fleet.hosts
    }  # fmt: skip
    task = {
        "community.docker.docker_image_pull": {"name": "{{ item }}", "docker_host": "{{ docker_host }}"},
        "loop": [*images],
    }
    play = {
        "hosts": "all", "gather_facts": False, "strategy": "free", "tasks": [task],
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
    }  # fmt: skip
    inventory, book = fleet.folder / "inventory.json", fleet.folder / "play.json"
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
    book.write_text(json.dumps([play]))
    return str(inventory), str(book)


def _timed(fleet: Fleet, run: Callable[[], object]) -> float:
    """Empty all hosts, run, and see that they have everything."""
    for host in fleet.hosts:
        host.engine.wipe()
        host.shape(LINK)
    began = time.monotonic()
    run()
    seconds = time.monotonic() - began
    for host in fleet.hosts:
        if len(host.engine.images()) != IMAGES:
            raise WorldError(f"{host.name} has {len(host.engine.images())} images instead of {IMAGES}")
    return seconds


if __name__ == "__main__":
    sys.exit(demo.main("fleet-demo", main))
