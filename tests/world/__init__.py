"""The tests' world: real Docker Engines, a real registry, small images, and a proxy between them that does harm.

Everything runs on this machine, on loopback and unix sockets, in temporary directories; everything ends, and is
removed, with the block that opened it. The test-suite, the quickstart and the benchmarks share it.
"""

from tests.world import faults
from tests.world.binaries import EngineBinary, installed, parse, unpacked
from tests.world.engine import Engine
from tests.world.faults import Rule
from tests.world.images import (
    DOCKER,
    HOST_PLATFORM,
    OCI,
    Pushed,
    PushedImage,
    PushedIndex,
    family,
    push_image,
    push_index,
)
from tests.world.layers import Layer, layer, layer_of
from tests.world.process import WorldError, wait_until
from tests.world.proxy import Proxy, Request
from tests.world.registry import LAB_ACCOUNT, Account, Registry
from tests.world.tokens import TokenServer

__all__ = [
    "DOCKER",
    "HOST_PLATFORM",
    "LAB_ACCOUNT",
    "OCI",
    "Account",
    "Engine",
    "EngineBinary",
    "Layer",
    "Proxy",
    "Pushed",
    "PushedImage",
    "PushedIndex",
    "Registry",
    "Request",
    "Rule",
    "TokenServer",
    "WorldError",
    "family",
    "faults",
    "installed",
    "layer",
    "layer_of",
    "parse",
    "push_image",
    "push_index",
    "unpacked",
    "wait_until",
]
