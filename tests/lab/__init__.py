"""The lab: real Docker Engines, a real registry, small images, and a proxy between them that does harm.

Everything runs on this machine, on loopback and unix sockets, in temporary directories; everything ends, and is
removed, with the block that opened it. The tests, the quickstart and the benchmarks share it. Helpers that only tests
need (fakes, samples, puller as a process, a browser) are modules of their own beside it.
"""

from tests.lab import faults
from tests.lab.binaries import EngineBinary, installed, parse, unpacked
from tests.lab.engine import Engine
from tests.lab.faults import Rule
from tests.lab.images import (
    DOCKER,
    HOST_PLATFORM,
    OCI,
    Pushed,
    PushedImage,
    PushedIndex,
    family,
    push_attested,
    push_image,
    push_index,
)
from tests.lab.layers import Layer, layer, layer_of
from tests.lab.process import WorldError, wait_until
from tests.lab.proxy import Proxy, Request
from tests.lab.registry import LAB_ACCOUNT, Account, Registry
from tests.lab.tokens import TokenServer

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
    "push_attested",
    "push_image",
    "push_index",
    "unpacked",
    "wait_until",
]
