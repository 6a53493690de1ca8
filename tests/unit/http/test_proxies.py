"""Which proxy leads where, by the rules of Go's httpproxy."""

import pytest

from puller.http.proxies import NO_PROXIES, ProxyVariables, bypasses, proxy_for


@pytest.mark.parametrize(
    ("no_proxy", "host", "port", "bypassed"),
    [
        ("corp.example", "registry.corp.example", 5000, True),
        ("corp.example", "corp.example", 443, True),
        ("corp.example", "notcorp.example", 443, False),
        (".corp.example", "registry.corp.example", 443, True),
        (".corp.example", "corp.example", 443, False),
        ("*.corp.example", "a.b.corp.example", 443, True),
        ("*.corp.example", "corp.example", 443, False),
        ("CORP.example , other", "Registry.Corp.Example", 443, True),
        ("10.0.0.0/8", "10.1.2.3", 5000, True),
        ("192.168.0.0/16", "10.1.2.3", 443, False),
        ("10.0.0.0/8", "ten.example", 443, False),
        ("fd00::/8", "[fd00::7]", 443, True),
        ("fd00::/8", "fe80::7", 443, False),
        ("10.1.2.3", "10.1.2.3", 443, True),
        ("10.1.2.3:5000", "10.1.2.3", 443, False),
        ("10.1.2.3:5000", "10.1.2.3", 5000, True),
        ("fd00::7", "fd00::7", 443, True),
        ("[fd00::7]:5000", "fd00::7", 5000, True),
        ("[fd00::7]:5000", "fd00::7", 443, False),
        ("nonsense/8, *", "quay.io", 443, True),
        ("registry:5000", "registry", 5000, True),
        ("registry:5000", "registry", 5001, False),
        (":5000", "registry", 5000, False),
        ("", "registry", 443, False),
        ("", "localhost", 443, True),
        ("", "127.8.9.1", 443, True),
        ("", "[::1]", 443, True),
    ],
)
def test_what_no_proxy_covers(no_proxy: str, host: str, port: int, bypassed: bool) -> None:
    """Names with what is below them, addresses and networks of both families, ports, a star; loopback always."""
    assert bypasses(no_proxy, host, port) is bypassed


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({"HTTPS_PROXY": "http://p:3128"}, "https://a.example/", "http://p:3128"),
        ({"HTTPS_PROXY": "http://p:3128"}, "http://a.example/", ""),
        ({"HTTP_PROXY": "p:3128"}, "http://a.example/", "http://p:3128"),
        ({"https_proxy": "http://small", "HTTPS_PROXY": "http://large"}, "https://a.example/", "http://small"),
        ({"ALL_PROXY": "http://all"}, "https://a.example/", "http://all"),
        ({"all_proxy": "http://all", "HTTP_PROXY": "http://p"}, "http://a.example/", "http://p"),
        ({"HTTPS_PROXY": "socks5://p:1080"}, "https://a.example/", "socks5h://p:1080"),
        ({"HTTPS_PROXY": "http://p", "NO_PROXY": "a.example:443"}, "https://a.example/", ""),
        ({"HTTPS_PROXY": "http://p", "NO_PROXY": "a.example:443"}, "https://a.example:5000/", "http://p"),
    ],
)
def test_the_proxy_of_the_environment(environment: dict[str, str], url: str, proxy: str) -> None:
    """By scheme, in letters of either case."""
    assert proxy_for(url, ProxyVariables.of(environment)) == proxy


def test_without_variables_there_is_no_proxy() -> None:
    """For nothing."""
    assert proxy_for("https://a.example/", NO_PROXIES) == ""
