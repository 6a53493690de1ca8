"""The harms: each prepares what shall go wrong, and returns the reference of the image that it befalls."""

import base64
import json
from collections.abc import Callable, Mapping

from tests.faults.case import Harm
from tests.faults.scene import Scene
from tests.lab import LAB_ACCOUNT, Rule, TokenServer, faults, layer, push_image, push_index
from tests.lab.binaries import Store
from tests.lab.exchange import Exchange
from tests.lab.faults import Action
from tests.lab.names import NameServer
from tests.lab.seclusion import ADDRESS
from tests.lab.tls import TlsFront

_ENGINES = r"(?!puller/)"
"""Whose requests count: puller asks for manifests too, and would use up a fault that is meant for the engine."""
Times = int | Mapping[Store, int] | None
"""How often, on each store where that differs; None is for ever."""


def on_manifest(make: Callable[[], Action], times: Times = None) -> Harm:
    """Answer requests for the manifest with an action that is made anew for each scene."""
    return _on("/manifests/", make, times)


def on_blob(make: Callable[[], Action], times: Times = None) -> Harm:
    """Answer requests for the layer with an action that is made anew for each scene."""
    return _on("/blobs/{layer}", make, times)


def _on(path: str, make: Callable[[], Action], times: Times) -> Harm:
    def harm(scene: Scene) -> str:
        image = scene.push()
        count = times[scene.store] if isinstance(times, Mapping) else times
        where = f"/v2/{image.repository}{path.format(layer=image.layers[0].digest)}"
        scene.proxy.use(Rule(where, make(), method="GET|HEAD", times=count, agent=_ENGINES if count else ""))
        return image.at(scene.proxy.address)

    return harm


def dripping_layer(scene: Scene) -> str:
    """Send one layer slowly; the containerd store tells of it in steps of one MiB, so there must be some of them."""
    image = scene.push(6 << 20)
    scene.proxy.use(Rule(image.layers[0].digest, faults.drip(700_000, 20_000)))
    return image.at(scene.proxy.address)


def dripping_layers(scene: Scene) -> str:
    """Send layers slowly which end one after the other: even a command that tells only of whole ones shows life."""
    layers = [layer(f"{scene.name}/drip{step}", 20_000 * step) for step in range(1, 6)]
    image = push_image(scene.lab.registry, f"{scene.name}/bad", layers=layers)
    scene.proxy.use(*(Rule(each.digest, faults.drip(20_000, 2000)) for each in layers))
    return image.at(scene.proxy.address)


def no_credentials(scene: Scene) -> str:
    """Ask a registry that wants a login, without one."""
    return scene.push(registry=scene.lab.guarded).reference


def wrong_credentials(scene: Scene) -> str:
    """Ask a registry that wants a login, with a wrong password."""
    account = base64.b64encode(f"{LAB_ACCOUNT.user}:wrong".encode()).decode()
    stored = {"auths": {scene.lab.guarded.address: {"auth": account}}}
    (scene.puller.docker_config / "config.json").write_text(json.dumps(stored))
    return no_credentials(scene)


def token_expires(scene: Scene) -> str:
    """Let the token run out between the manifest and the layer, once; a new one is to be had."""
    server = scene.closing.enter_context(TokenServer(scene.lab.registry))
    scene.busy = lambda: server.in_flight() > 0
    image = scene.push()

    def expire(exchange: Exchange) -> None:
        server.revoke()
        server._guard(exchange)

    server.use(Rule(image.layers[0].digest, expire, times=1))
    return image.at(server.address)


def unknown_authority(scene: Scene) -> str:
    """Ask a registry whose certificate nobody vouches for."""
    front = scene.closing.enter_context(TlsFront(ADDRESS, scene.lab.registry.address, scene.folder))
    scene.busy = lambda: front.connections > 0
    return scene.push().at(front.address)


def unknown_name(scene: Scene) -> str:
    """Ask a registry whose name no name server knows."""
    scene.closing.enter_context(NameServer(ADDRESS))
    return "registry.invalid:5000/app:v1"


def closed_port(scene: Scene) -> str:
    """Ask where nobody listens."""
    return f"127.0.0.1:1/{scene.name}:v1"


def missing_tag(scene: Scene) -> str:
    """Ask for a tag that the repository does not have."""
    image = scene.push()
    return f"{scene.proxy.address}/{image.repository}:missing"


def missing_repository(scene: Scene) -> str:
    """Ask for a repository that the registry does not have."""
    return f"{scene.proxy.address}/{scene.name}/nowhere:v1"


def other_platform(scene: Scene) -> str:
    """Ask for an image which is there for another machine only."""
    index = push_index(scene.lab.registry, f"{scene.name}/bad", "v1", {"linux/s390x": [layer(scene.name)]})
    return index.at(scene.proxy.address)


def too_large(scene: Scene) -> str:
    """Ask for more than there is room for."""
    return scene.push(24 << 20).at(scene.proxy.address)


def held_blob(scene: Scene) -> str:
    """Keep the layer back once, so that the engine can be harmed in mid-pull."""
    image = scene.push()
    scene.awaited = image.layers[0].digest
    scene.proxy.use(Rule(scene.awaited, faults.stall(1000, 600), times=1))
    return image.at(scene.proxy.address)


def kill(scene: Scene) -> None:
    """Kill the engine in mid-pull."""
    scene.proxy.wait_for("GET", scene.awaited)
    scene.lab.engine.kill()


def kill_and_restart(scene: Scene) -> None:
    """Kill the engine in mid-pull and start it again."""
    kill(scene)
    scene.lab.engine.start()
