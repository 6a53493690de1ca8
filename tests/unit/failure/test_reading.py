"""What the rules see of a message: names replaced by what they name, and where a registry begins to speak."""

import pytest

from puller.failure.message import read


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("manifest for docker.io/a/denied:429 not found", "manifest for <name> not found"),
        ("manifest for denied:429 not found", "manifest for <name> not found"),
        ("pull access denied for unauthorized, repository", "pull access denied for <name>, repository"),
        ("lookup timeout.example on 10.0.0.2:53: no such host", "lookup <name> on 10.0.0.2:53: no such host"),
        ('Get "https://denied.example/v2/": EOF', 'get "<url>": eof'),
        ('Get "https://auth.docker.io/token?x=y": EOF', 'get "<hub-auth>": eof'),
        ("limit. https://www.docker.com/increase-rate-limit", "limit. <hub-limit>"),
        ("code https://h/v2/a/blobs/sha256:00: 404", "code <blob>: 404"),
        ("artifact a/b@sha256:00 not found", "artifact <name>@digest not found"),
        ("host denied.example:5000 said", "host <host> said"),
        ("client version 1.35 is too old", "client version 1.35 is too old"),
        ("net/http: TLS handshake timeout", "net/http: tls handshake timeout"),
        ("read: i/o timeout, input/output error", "read: i/o timeout, input/output error"),
        ("docker.errors.APIError: Client.Timeout", "docker.errors.apierror: client.timeout"),
        ("dial unix /var/run/docker.sock: refused", "dial unix <socket>: refused"),
        ("open //./pipe/docker_engine: gone", "open <socket>: gone"),
        ("dial unix /run/containerd/containerd.sock: refused", "dial unix <containerd>: refused"),
        ("dial unix:///run/containerd/containerd.sock: refused", "dial <containerd>: refused"),
        ("dial /run/redis.sock: refused", "dial <path>: refused"),
        ("at tcp://10.0.0.9:2376. Is", "at <engine>. is"),
        ('Post "http://%2Fvar%2Frun%2Fdocker.sock/v1.24/x": EOF', 'post "<engine>": eof'),
        ("Get http://10.0.0.9:2375/v1.4/info: EOF", "get <engine>: eof"),
        ("with url: /v1.43/images/create?x=y (Caused", "with url: <engine> (caused"),
        ("open /var/lib/docker/overlay2/ab/committed: no", "open <store>: no"),
        ("rename /var/lib/docker/image/overlay2/layerdb/tmp/write-set-1 x", "rename <store>.tmp x"),
        ("C:\\ProgramData\\Docker\\windowsfilter\\ab: Access", "<store>: access"),
        ("write /usr/lib/denied.so: no space", "write <path>: no space"),
        ("open /etc/containers/policy.json: no", "open <config>: no"),
    ],
)
def test_names_are_replaced_by_what_they_name(message: str, said: str) -> None:
    """A rule can ask for a socket or a store, and cannot be misled by what somebody called an image."""
    assert read(message).text == said


@pytest.mark.parametrize(
    ("message", "own"),
    [
        ("failed to register layer: EIO", "failed to register layer: eio"),
        ("Error response from daemon: toomanyrequests: EIO", "error response from daemon: "),
        ("Head: denied: permission denied", "head: "),
        ("dial: connect: permission denied: x", "dial: connect: permission denied: x"),
        ("unknown: failed to copy: EIO", "unknown: failed to copy: eio"),
        ("unknown: mkdir: EIO", ""),
        ("FATA[0005] unknown: mkdir: EIO", ""),
        ("failed to extract layer: EIO: unknown", "failed to extract layer: eio: unknown"),
        ('{"errors":[{"code":"X"}]}', ""),
        ("unexpected status from GET: 500: EIO", ""),
    ],
)
def test_what_a_registry_says_is_kept_apart(message: str, own: str) -> None:
    """Only the engine's own words are about this host."""
    assert read(message).engine_text == own


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ('404 Client Error for http+docker://h/x: Not Found ("no")', 404),
        ("(HTTP code 500) server error - no", 500),
        ("API error (403): no", 403),
        ("received unexpected HTTP status: 503", None),
        ("", None),
    ],
)
def test_the_status_on_the_envelope_is_the_engines(message: str, status: int | None) -> None:
    """What a client wrote around the words is not among them."""
    assert read(message).status == status
    assert "client error" not in read(message).text
