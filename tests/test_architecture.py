"""The house stands: every module on its floor, every foreign library in its one home, nobody too big.

Floors are those of the design. Where modules of one floor build on each other, the order is made explicit below: a
module imports from its own package, and from what stands further up in `STOREYS`, and from nothing else.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import puller

ROOT = Path(puller.__file__).parent

STOREYS = (
    # Floor 0
    ("text",),
    ("errors",),
    ("ahead", "awake", "cancellation", "docker_config", "files", "flock", "httphead", "places"),
    ("runlock",),
    ("reference",),
    # Floor 1
    ("classify",),
    ("model",),
    ("events",),
    ("config", "holdings", "suitable", "timeline"),
    # Floor 2
    ("breaker", "cooldown", "advice"),
    ("imagelist", "backends", "registry", "retry", "engine_wait", "configfile"),
    ("lanes",),
    # Floor 3
    ("mirrors", "resolve", "policy", "platforms"),
    ("context", "arrival", "gate"),
    ("judge",),
    ("plan", "pull", "guard", "check", "lock", "verify", "disk"),
    ("costing",),
    ("pruning",),
    ("room", "prefetch"),
    ("orchestrator", "doctor", "make_room"),
    # Floor 4
    ("reports", "progress", "api"),
    ("history",),
    # Floor 5
    ("cli",),
    ("__main__",),
)
STOREY = {name: number for number, names in enumerate(STOREYS) for name in names}

HOMES: dict[str, tuple[str, ...]] = {
    "docker": ("backends/sdk.py", "backends/connection.py", "registry/credentials.py"),
    "requests": ("backends/sdk.py", "backends/connection.py", "registry/", "imagelist/url.py"),
    "urllib3": ("backends/sdk.py", "backends/connection.py", "registry/"),
    "docker_image": ("reference.py",),
    "tenacity": ("retry.py",),
    "yaml": ("imagelist/",),
    "fcntl": ("flock.py", "backends/terminal.py"),
    "rich": ("progress/",),
    "prometheus_client": ("reports/prometheus.py",),
    "click": ("cli/",),
    "jinja2": ("reports/html/",),
    "markupsafe": ("reports/html/",),
    "subprocess": ("backends/process.py",),
    "tomllib": ("configfile/",),
}
LONGEST = 220
LEAVERS = ("cli/__init__.py", "cli/signals.py")
EXITS = {"sys.exit", "os._exit", "os.abort", "exit", "quit", "SystemExit"}


@dataclass(frozen=True)
class Module:
    """One file of the package."""

    path: str
    """Inside the package: `backends/sdk.py`."""
    source: str

    @property
    def home(self) -> str:
        """The package or module directly under `puller` that this belongs to; empty for `puller` itself."""
        first = self.path.split("/")[0].removesuffix(".py")
        return "" if first == "__init__" else first

    @property
    def imports(self) -> Iterator[str]:
        """Dotted names of what it imports, inside functions and TYPE_CHECKING blocks, too."""
        for node in ast.walk(ast.parse(self.source)):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                package = ".".join(("puller", *self.path.split("/"))[: -node.level]) if node.level else ""
                base = ".".join(part for part in (package, node.module) if part)
                yield from (f"{base}.{alias.name}" for alias in node.names)

    @property
    def calls(self) -> Iterator[str]:
        """Dotted names of what it calls or raises."""
        for node in ast.walk(ast.parse(self.source)):
            if isinstance(node, ast.Call):
                yield ast.unparse(node.func)
            elif isinstance(node, ast.Raise) and node.exc:
                yield ast.unparse(node.exc)


def wrong_floor(module: Module) -> list[str]:
    """Name the imports that go up, or sideways."""
    if module.home == "":
        return []  # the front of the house shows what all floors have
    if module.home not in STOREY:
        return [f"{module.path} stands on no floor: give it one in the design and here"]
    found = []
    for name in module.imports:
        parts = name.split(".")
        if parts[0] != "puller" or name == "puller.__version__" or parts[1] == module.home:
            continue
        if STOREY.get(parts[1], len(STOREYS)) >= STOREY[module.home]:
            found.append(f"{module.path} imports {name}")
    return found


def wrong_home(module: Module) -> list[str]:
    """Name the foreign libraries that are imported outside their home."""
    libraries = {name.split(".")[0] for name in module.imports}
    return [
        f"{module.path} imports {library}"
        for library in sorted(libraries & HOMES.keys())
        if not module.path.startswith(HOMES[library])
    ]


def too_long(module: Module) -> list[str]:
    """Say so when a module has grown out of one head."""
    lines = len(module.source.splitlines())
    return [f"{module.path} has {lines} lines"] if lines > LONGEST else []


def prints(module: Module) -> list[str]:
    """Say so when a module prints: people are told things by click, in the command line."""
    return [f"{module.path} prints"] if {"print", "builtins.print"} & set(module.calls) else []


def exits(module: Module) -> list[str]:
    """Say so when a module ends the process, which belongs to the door and to the second signal."""
    if module.path in LEAVERS:
        return []
    called = {name.split("(")[0] for name in module.calls}
    return [f"{module.path} calls {name}" for name in sorted(called & EXITS)]


RULES = (wrong_floor, wrong_home, too_long, prints, exits)
MODULES = [Module(str(path.relative_to(ROOT)), path.read_text()) for path in sorted(ROOT.rglob("*.py"))]


@pytest.mark.parametrize("rule", RULES)
def test_every_module_keeps_the_rule(rule: Callable[[Module], list[str]]) -> None:
    """No module of the package breaks a rule of the house."""
    assert len(MODULES) > 20
    assert [complaint for module in MODULES for complaint in rule(module)] == []


def test_every_storey_is_lived_in() -> None:
    """The plan of the house names no module that is not there."""
    assert {module.home for module in MODULES} - {""} == set(STOREY)


@pytest.mark.parametrize(
    ("path", "source", "complaint"),
    [
        ("errors.py", "from puller.model import Report", "errors.py imports puller.model.Report"),
        ("errors.py", "import puller.cancellation", "errors.py imports puller.cancellation"),
        ("model.py", "if TYPE_CHECKING:\n    from puller.pull import x", "model.py imports puller.pull.x"),
        ("plan.py", "from puller.pull import pull_image", "plan.py imports puller.pull.pull_image"),
        ("retry.py", "def f():\n    from puller import lanes", "retry.py imports puller.lanes"),
        ("backends/sdk.py", "from ..imagelist import read", "backends/sdk.py imports puller.imagelist.read"),
        ("api.py", "from puller import pull_images", "api.py imports puller.pull_images"),
        ("shiny.py", "", "shiny.py stands on no floor: give it one in the design and here"),
    ],
)
def test_an_import_that_goes_up_is_seen(path: str, source: str, complaint: str) -> None:
    """The rule about floors can fail, however the import is written."""
    assert wrong_floor(Module(path, source)) == [complaint]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("cancellation.py", "from puller.errors import CancelledError"),
        ("backends/cli.py", "from . import process\nfrom .endpoint import resolve"),
        ("cli/__init__.py", "from puller import __version__"),
        ("orchestrator.py", "from puller.pull import pull_image\nimport json"),
    ],
)
def test_an_import_that_goes_down_is_none_of_our_business(path: str, source: str) -> None:
    """The rule about floors lets through what the design allows."""
    assert wrong_floor(Module(path, source)) == []


@pytest.mark.parametrize("library", HOMES)
def test_a_library_outside_its_home_is_seen(library: str) -> None:
    """The rule about homes can fail, for each library and for each way to import it."""
    for source in (f"import {library}", f"from {library}.x import y", f"def f():\n    import {library}.z"):
        assert wrong_home(Module("plan.py", source)) == [f"plan.py imports {library}"]


def test_a_long_printing_leaving_module_is_seen() -> None:
    """The other rules can fail, too."""
    assert too_long(Module("x.py", "\n" * 221)) == ["x.py has 221 lines"]
    assert prints(Module("x.py", "def f():\n    print('here')")) == ["x.py prints"]
    assert exits(Module("x.py", "import sys\nsys.exit(1)")) == ["x.py calls sys.exit"]
    assert exits(Module("x.py", "raise SystemExit(2)")) == ["x.py calls SystemExit"]
    assert exits(Module("cli/__init__.py", "os._exit(0)")) == []
