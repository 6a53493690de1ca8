"""Proxies of puller and of the engine, compared; no password of theirs is shown."""

from puller.doctor.proxies import examine_proxies
from puller.engine.model import EngineInfo
from puller.http.proxies import ProxyVariables

PROXY = "http://ann:s3cr3t@proxy.corp:3128"


def test_a_registry_of_this_network_is_not_asked_through_the_proxy() -> None:
    """Both sides are told what to add; loopback and public names need nothing."""
    own = ProxyVariables.of({"HTTPS_PROXY": PROXY, "NO_PROXY": "a.example"})
    facts = EngineInfo(proxies=ProxyVariables(https="http://proxy.corp:3128"), local=True)
    registries = ("10.1.2.3:5000", "registry.lan", "127.0.0.1:5000", "quay.io")
    said, here, there = examine_proxies(own, facts, registries)
    assert "s3cr3t" not in said.words + said.fix
    assert "proxy.corp:3128" in said.words
    assert "puller asks 10.1.2.3:5000, registry.lan through the proxy" in here.words
    assert here.fix == "export NO_PROXY=a.example,10.1.2.3,registry.lan"
    assert '"proxies": {"no-proxy": "10.1.2.3,registry.lan"}' in there.fix


def test_a_proxy_on_one_side_only() -> None:
    """The engine of this host goes another way than puller: one of them is wrong; that of another host may."""
    facts = EngineInfo(proxies=ProxyVariables(), local=True)
    said, difference = examine_proxies(ProxyVariables(https=PROXY), facts, ())
    assert (said.status.value, difference.status.value) == ("ok", "warning")
    assert "the engine has none" in difference.words
    assert '"proxies": {"https-proxy": "http://***@proxy.corp:3128"}' in difference.fix
    remote = EngineInfo(proxies=ProxyVariables(), local=False)
    assert len(list(examine_proxies(ProxyVariables(https=PROXY), remote, ()))) == 1


def test_an_engine_that_does_not_say() -> None:
    """Podman has no proxies of its own."""
    (said,) = examine_proxies(ProxyVariables(), EngineInfo(), ("10.0.0.1",))
    assert said.words == "puller: none; engine: not reported"
