"""docs/architecture.md names what exists, and describes the paths that images really take."""

import json
import re
import sys
import threading
import tomllib
from contextlib import closing
from dataclasses import dataclass, field
from functools import reduce
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from puller.engine.api.engine import ApiEngine
from puller.engine.endpoint import EngineAddress
from puller.model import Status
from puller.pull.session import PullSession
from puller.registry.client import RegistryClient
from puller.settings import Settings
from tests.lab import DOCKER
from tests.lab.fakes import EngineAnswer, FakeEngine, Script
from tests.lab.http_server import saying, serving
from tests.lab.samples import DIGEST, request

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text()
PACKAGES = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
UP_TO_DATE, PULLED = (re.findall(r"^\d+\. `([\w.]+)`", part, re.MULTILINE) for part in PAGE.split("\n### ")[1:])
IMAGE = "sha256:" + "1" * 64


def test_every_package_is_on_the_page_in_the_order_of_the_contract() -> None:
    """Whoever adds a package, or moves one, changes the map."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert [name for layer in layers for name in layer.split(" | ")] == PACKAGES
    modules = {path.name.removesuffix(".py") for path in (ROOT / "puller").iterdir() if path.suffix in {"", ".py"}}
    assert modules - {"__init__", "__pycache__"} == {*PACKAGES, "schemas"}


def test_names_and_files_on_the_page_exist() -> None:
    """A function that is renamed is renamed on the page."""
    dotted = {name for name in re.findall(r"`([\w.]+)`", PAGE) if "." in name and not (ROOT / name).exists()}
    assert len(dotted) > 30
    for name in dotted:
        assert reduce(_member, name.split("."), import_module("puller")) is not None
    for path in re.findall(r"`([\w.]+/[\w./]*)`", PAGE):
        assert (ROOT / path).exists() or (ROOT / "puller" / path).exists(), path


def _member(owner: Any, name: str) -> Any:
    """Return an attribute, or import a submodule."""
    return getattr(owner, name) if hasattr(owner, name) else import_module(f"{owner.__name__}.{name}")


@dataclass
class Trace:
    """The functions of puller that the pools' threads call, and how deep the call is that reaches libcurl."""

    names: list[str] = field(default_factory=list)
    depth: int = 0

    def __call__(self, frame: FrameType, event: str, called: Any) -> None:
        """Record a call (`sys.setprofile`)."""
        module, code = str(frame.f_globals.get("__name__")), frame.f_code
        last = code.co_name == "_settle"  # in the thread that waits, if the check has ended before it does
        if threading.current_thread().name not in {"check", "pull"} and not last:
            return
        ours = module.startswith("puller.")
        if event == "call" and ours:
            self.names.append(f"{module.removeprefix('puller.')}.{code.co_qualname}")
        elif not self.depth and event == "c_call" and called.__name__ == "perform":
            self.depth = _depth(frame)


def _depth(frame: FrameType | None) -> int:
    ours = 0
    while frame:
        ours += str(frame.f_globals.get("__name__")).startswith("puller.")
        frame = frame.f_back
    return ours


def _json(document: object) -> Script:
    return lambda answer: answer.answer(json.dumps(document).encode(), Content_Type="application/json")


def _pull(answer: EngineAnswer) -> None:
    answer.begin(Transfer_Encoding="chunked")
    for status in ("Pulling fs layer", "Downloading", "Download complete", "Pull complete"):
        answer.message(status=status, id="abcdef012345", progressDetail={"current": 5, "total": 10})
    answer.message(status=f"Digest: {DIGEST}")
    answer.message(status="Status: Downloaded newer image")
    answer.message()


@pytest.mark.parametrize(
    ("status", "path", "way"),
    [(Status.UP_TO_DATE, UP_TO_DATE, "up to date"), (Status.PULLED, PULLED, "pulled")],
)
def test_images_take_the_path_that_the_page_describes(
    tmp_path: Path, status: Status, path: list[str], way: str
) -> None:
    """The functions are called in that order, and no more of them, and no deeper, than the page says."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {DOCKER.manifest}\r\nDocker-Content-Digest: {DIGEST}\r\n"
    with serving(saying(f"{head}Content-Length: 500\r\n\r\n".encode())) as registry:
        name = f"{registry.address}/app"
        image = {"Id": IMAGE, "RepoTags": [f"{name}:a", f"{name}:b"], "RepoDigests": [f"{name}@{DIGEST}"]}
        scripts = {
            "/images/json": _json([image] if status is Status.UP_TO_DATE else []),
            "/images/create": _pull,
            "/images/": _json(image),
            "/info": _json({}),
        }
        trace = Trace()
        with (
            FakeEngine(tmp_path, scripts) as fake,
            closing(ApiEngine(EngineAddress("fake", fake.host))) as engine,
            closing(RegistryClient()) as client,
            PullSession(engine, client, Settings(disk_check=False)) as session,
        ):
            session.pull_one(request(f"{name}:a"))  # so that what is imported and connected once is not counted
            threading.setprofile(trace)
            sys.setprofile(trace)
            try:
                outcome = session.pull_one(request(f"{name}:b"))
            finally:
                sys.setprofile(None)
                threading.setprofile(None)
    assert outcome.status is status
    called = [each for each in dict.fromkeys(trace.names) if each in path]
    assert called == path
    ((depth, functions),) = re.findall(rf"^\| {way} \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    assert trace.depth == int(depth)
    assert len({each for each in trace.names if not re.search("<(?!locals)", each)}) <= int(functions)
