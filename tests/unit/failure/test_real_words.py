"""What engines 20.10, 26.1 and 28.5, and podman, said in our own runs, and what the answer to it owes to whom.

"graph" is the overlay2 store, "ctrd" the containerd store. The API's words are the CLI's without its prefix.
"""

import pytest

from puller.errors import FailureClass, FailureKind as Kind
from puller.failure import classify, failure
from puller.failure.kinds import KINDS, advice_for

DAEMON = "Error response from daemon: "
RESOLVE = 'failed to resolve reference "h:5000/lab/app:v1": '
HEAD = RESOLVE + "unexpected status from HEAD request to http://h:5000/v2/lab/app/manifests/v1: "
REQUEST = RESOLVE + 'failed to do request: Head "https://h:5000/v2/lab/app/manifests/v1": '
TOKEN = (
    "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to http://h:5000/token: "
)
BLOB = "failed to copy: httpReadSeeker: failed open: "
HEX = "0123456789abcdef" * 4
LIMIT = "You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit"
EXTRACT = f"failed to extract layer (application/vnd.docker.image.rootfs.diff.tar.gzip sha256:{HEX}) to overlayfs as "

MESSAGES: dict[Kind, tuple[str, ...]] = {
    Kind.NOT_FOUND: (
        "manifest unknown",  # graph
        "manifest for docker.io/library/nginx:nope not found: manifest unknown: manifest unknown",
        RESOLVE + "h:5000/lab/app:v1: not found",  # ctrd
        "name unknown: repository name not known to registry",
        "repository h:5000/lab/app not found: name unknown: repository name not known to registry",
        (
            "initializing source docker://h:5000/lab/app:v1: reading manifest v1 in h:5000/lab/app: manifest unknown: "
            "manifest unknown"
        ),  # podman
    ),
    Kind.UNAUTHORIZED: (
        "unauthorized",
        "unauthorized: authentication required",
        "authentication required - incorrect username or password",  # ctrd 28.5
        'Head "http://h:5000/v2/lab/app/manifests/v1": no basic auth credentials',
        'Head "http://h:5000/v2/lab/app/manifests/v1": unauthorized: incorrect username or password',
        RESOLVE + "pull access denied, repository does not exist or may require authorization: authorization failed: "
        "no basic auth credentials",  # ctrd
        HEAD + "401 Unauthorized",  # ctrd 26.1
        "unknown: " + HEAD + "401 Unauthorized",  # ctrd 28.5
        RESOLVE + TOKEN + "401 Unauthorized",
        "Login prior to pull: log in with your Docker ID",
    ),
    Kind.ACCESS_DENIED: (
        "denied",
        "denied: requested access to the resource is denied",
        (
            "pull access denied for nope, repository does not exist or may require 'docker login': denied: requested "
            "access to the resource is denied"
        ),
        HEAD + "403 Forbidden",
        "unknown: " + HEAD + "403 Forbidden",
    ),
    Kind.DIGEST_TAKEN: (f"Cannot overwrite digest sha256:{'0123456789abcdef' * 4}",),
    Kind.NO_MATCHING_PLATFORM: (
        "no matching manifest for linux/s390x in the manifest list entries",
        "no matching manifest for windows/amd64 10.0.19045 in the manifest list entries",
        RESOLVE + "no match for platform in manifest: not found",
        (
            "image with reference a/b was found but does not match the specified platform: wanted linux/arm64, "
            "actual: linux/amd64"
        ),
        "image with reference a/b was found but does not provide the specified platform (linux/arm64)",
    ),
    Kind.RATE_LIMITED: (
        "toomanyrequests: " + LIMIT,
        "error from registry: " + LIMIT,
        HEAD + "429 Too Many Requests",
        BLOB + f"unexpected status code https://h:5000/v2/lab/app/blobs/sha256:{HEX}: 429 Too Many Requests - Server "
        "message: toomanyrequests: " + LIMIT,
        "toomanyrequests: Rate exceeded",  # ECR
    ),
    Kind.REGISTRY_5XX: (
        "received unexpected HTTP status: 500 Internal Server Error",
        "received unexpected HTTP status: 503 Service Unavailable",
        HEAD + "502 Bad Gateway",
        RESOLVE + TOKEN + "503 Service Unavailable",
        BLOB + f"unexpected status code https://h:5000/v2/lab/app/blobs/sha256:{HEX}: 500 Internal Server Error",
        "unknown: " + BLOB + f"unexpected status from GET request to http://h:5000/v2/lab/app/blobs/sha256:{HEX}: "
        "500 Internal Server Error",
        "error parsing HTTP 504 response body: invalid character '<': \"<html><h1>504 Gateway Time-out</h1></html>\"",
    ),
    Kind.CONNECTION_RESET: (
        "read tcp 10.0.0.1:40112->10.0.0.2:5000: read: connection reset by peer",
        "failed to copy: read tcp 10.0.0.1:40112->10.0.0.2:5000: read: connection reset by peer",
        'Head "http://h:5000/v2/lab/app/manifests/v1": read tcp 10.0.0.1:1->10.0.0.2:2: read: connection reset by peer',
        "write tcp 10.0.0.1:1->10.0.0.2:2: write: broken pipe",
    ),
    Kind.UNEXPECTED_EOF: (
        "unexpected EOF",
        'Get "https://h:5000/v2/": EOF',
        "failed to read expected number of bytes: unexpected EOF",
        "short read: expected 1049154 bytes but got 300000: unexpected EOF",
        "('Connection broken: IncompleteRead(0 bytes read)', IncompleteRead(0 bytes read))",  # docker-py
    ),
    Kind.DNS_FAILURE: (
        'Get "https://registry.invalid:5000/v2/": dial tcp: lookup registry.invalid on 10.0.0.2:53: no such host',
        REQUEST + "dial tcp: lookup registry.invalid on 10.0.0.2:53: no such host",
        "dial tcp: lookup registry-1.docker.io on [::1]:53: server misbehaving",
        "lookup registry.invalid: Temporary failure in name resolution",
    ),
    Kind.CONNECTION_REFUSED: (
        'Get "http://h:5000/v2/": dial tcp 10.0.0.2:5000: connect: connection refused',
        REQUEST + "dial tcp 10.0.0.2:5000: connect: connection refused",
    ),
    Kind.NETWORK_UNREACHABLE: (
        "dial tcp [2600:1f18::1]:443: connect: network is unreachable",
        "Get http://h:5000/v1/_ping: dial tcp 10.0.0.2:5000: getsockopt: no route to host",
    ),
    Kind.X509_UNTRUSTED: (
        'Get "https://h:5443/v2/": x509: certificate signed by unknown authority',  # graph 20.10
        'Get "https://h:5443/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority',
        REQUEST + "tls: failed to verify certificate: x509: certificate signed by unknown authority",
    ),
    Kind.X509_EXPIRED: ('Get "https://h:5443/v2/": x509: certificate has expired or is not yet valid',),
    Kind.TLS_HANDSHAKE_TIMEOUT: ('Get "https://h/v2/": net/http: TLS handshake timeout',),
    Kind.TOKEN_EXPIRED: (  # a token that is good for three requests
        "error pulling image configuration: download failed after attempts=1: unauthorized: authentication required",
    ),
    Kind.BLOB_UNKNOWN: (
        "unknown blob",  # graph
        BLOB
        + f"could not fetch content descriptor sha256:{HEX} (application/vnd.docker) from remote: not found",  # ctrd
    ),
    Kind.UNSUPPORTED_MANIFEST: ("unsupported media type application/vnd.d?cker.image.rootfs.diff.tar.gzip",),
    Kind.LOCAL_IMAGE_MISSING: (
        "No such image: h:5000/lab/app:v1",
        "no such image: h:5000/lab/app:v1: No such image: h:5000/lab/app:v1",  # 20.10
        "failed to find image h:5000/lab/app:v1: h:5000/lab/app:v1: No such image",  # podman
    ),
    Kind.ENGINE_PRIVILEGES: ("failed to register layer: remount /, flags: 0x84000: invalid argument",),
    Kind.TIMEOUT: (
        'Get "https://h/v2/": net/http: request canceled while waiting for connection (Client.Timeout exceeded)',
        "dial tcp 10.0.0.2:443: i/o timeout",
        'Get "https://h/v2/": context deadline exceeded',
        "dial tcp 10.0.0.2:443: connect: connection timed out",
    ),
    Kind.DIGEST_MISMATCH: (
        f"filesystem layer verification failed for digest sha256:{HEX}",
        (
            f'failed commit on ref "layer-sha256:{HEX}": commit failed: unexpected commit digest sha256:{HEX}, '
            f"expected sha256:{HEX}: failed precondition"
        ),
        f"image verification failed for digest sha256:{HEX}",
    ),
    Kind.CONTENT_LOST: (  # ctrd 28.5, after two attempts that ended in the middle of a layer
        f"failed to check image sha256:{HEX}: rpc error: code = NotFound desc = content digest sha256:{HEX}: not found",
    ),
    Kind.STORAGE_CORRUPT: (
        (
            f"failed to extract layer sha256:{HEX}: NotFound: failed to get reader from content store: "
            f"content digest sha256:{HEX}: not found"
        ),
    ),
    Kind.DISK_FULL: (
        "failed to register layer: write /opt/app.bin: no space left on device",  # graph, while unpacking
        "write /var/lib/docker/tmp/GetImageBlob2303131369: no space left on device",  # graph, while fetching
        EXTRACT + f'"extract-1-iJA5 sha256:{HEX}": write /var/lib/d/snapshots/2/fs/app.bin: no space left on device',
        f"failed to copy: failed to send write: write /var/lib/d/ingest/{HEX}/data: no space left on device",
        f'failed to prepare extraction snapshot "extract-1 sha256:{HEX}": write /metadata.db: no space left on device',
        "failed to register layer: write /usr/lib/libLLVM.so.19.1: disk quota exceeded",
    ),
    Kind.DAEMON_UNREACHABLE: (
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        (
            "error during connect: this error may indicate that the docker daemon is not running: Get "
            '"http://%2F%2F.%2Fpipe%2Fdocker_engine/v1.24/version": open //./pipe/docker_engine: not there.'
        ),
        (
            "Error while fetching server API version: ('Connection aborted.', ConnectionRefusedError(111, 'Connection "
            "refused'))"
        ),
        "Cannot connect to Podman. Please verify your connection to the Linux system",
        "rootless containerd not running? (hint: use `containerd-rootless-setuptool.sh install`)",
    ),
    Kind.SOCKET_PERMISSION: (
        "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock",
        (
            "Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: "
            'Post "http://%2Fvar%2Frun%2Fdocker.sock/v1.24/images/create": dial unix /var/run/docker.sock: '
            "connect: permission denied"
        ),
    ),
    Kind.CREDENTIAL_HELPER_FAILED: (
        (
            "initializing source docker://h:5000/lab/app:v1: getting username and password: 1 error occurred: * "
            'reading JSON file "/root/.docker/config.json": unmarshaling JSON at "/root/.docker/config.json": json: '
            "cannot unmarshal number into Go struct field dockerConfigFile.auths of type config.dockerAuthConfig"
        ),  # podman
    ),
    Kind.BAD_REFERENCE: (
        "invalid reference format",
        "invalid reference format: repository name (library/Nginx) must be lowercase",
    ),
}
CASES = [(message, kind) for kind, messages in MESSAGES.items() for message in messages]


@pytest.mark.parametrize(("message", "kind"), CASES)
def test_real_words_are_understood(message: str, kind: Kind) -> None:
    """Each message gets its kind, from the API and behind the CLI's prefix."""
    assert classify(message).kind is kind
    assert classify(DAEMON + message + "\n").kind is kind


@pytest.mark.parametrize(("message", "kind"), CASES)
def test_the_words_count_more_than_the_status(message: str, kind: Kind) -> None:
    """Engine 20.10 answers 500 to everything, and one 404 means four things."""
    assert {classify(message, status).kind for status in (404, 500, None)} == {kind}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Kind.UNAUTHORIZED),
        (403, Kind.ACCESS_DENIED),
        (404, Kind.NOT_FOUND),
        (429, Kind.RATE_LIMITED),
        (500, Kind.UNCLASSIFIED),
        (None, Kind.UNCLASSIFIED),
    ],
)
def test_the_status_speaks_when_the_words_do_not(status: int | None, kind: Kind) -> None:
    """Unknown words take their meaning from the HTTP status; a 500 has none."""
    assert classify("computer says no", status).kind is kind
    assert classify("", status).message == "the engine gave no reason"


@pytest.mark.parametrize("kind", Kind)
def test_a_failure_can_be_built_without_words_to_read(kind: Kind) -> None:
    """What puller knows by itself has the class, the advice and the origin of its kind."""
    why = failure(kind, "words", wait=3)
    meaning = KINDS[kind]
    assert (why.kind, why.message, why.wait) == (kind, "words", 3)
    assert (why.failure_class, why.advice, why.origin) == (meaning.failure_class, advice_for(kind), meaning.origin)
    assert why.retryable is (why.failure_class in (FailureClass.TRANSIENT, FailureClass.RATE_LIMITED))


def test_what_a_failure_means_for_the_next_try() -> None:
    """The promised classes: a few kinds stop the host, wrong names stay wrong, the wire recovers."""
    classes = {kind: entry.failure_class for kind, entry in KINDS.items()}
    fatal = {Kind.DAEMON_UNREACHABLE, Kind.DISK_FULL, Kind.SOCKET_PERMISSION, Kind.READ_ONLY_FS, Kind.IO_ERROR}
    assert {classes[kind] for kind in fatal} == {FailureClass.HOST_FATAL}
    # These concern one image or one registry, however much they sound like the host.
    narrow = {Kind.CREDENTIAL_HELPER_FAILED, Kind.CLOCK_SKEW, Kind.STORAGE_CORRUPT, Kind.USERNS_MAPPING}
    assert {classes[kind] for kind in narrow} == {FailureClass.PERMANENT}
    permanent = {Kind.NOT_FOUND, Kind.ACCESS_DENIED, Kind.UNAUTHORIZED, Kind.NO_MATCHING_PLATFORM, Kind.X509_UNTRUSTED}
    assert {classes[kind] for kind in permanent} == {FailureClass.PERMANENT}
    passing = {Kind.CONNECTION_RESET, Kind.REGISTRY_5XX, Kind.DNS_FAILURE, Kind.TIMEOUT, Kind.DIGEST_MISMATCH}
    assert {classes[kind] for kind in passing} == {FailureClass.TRANSIENT}


@pytest.mark.parametrize(
    "words",
    [
        "anonymous token: unexpected status",
        "authorization: authorization failed",
    ],
)
def test_real_words_are_not_redacted(words: str) -> None:
    """What engines say about authorization is no secret, and is shown whole."""
    told = [message for message, _ in CASES if words in message]
    assert told
    assert [message for message in told if message not in classify(message).message] == []


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("manifest for docker.io/a/app:429 not found: manifest unknown", Kind.NOT_FOUND),
        (RESOLVE + "h:5000/lab/app:429: not found", Kind.NOT_FOUND),
        ('Get "http://h:429/v2/": connect: connection refused', Kind.CONNECTION_REFUSED),
        ("manifest for docker.io/a/denied:1 not found: manifest unknown", Kind.NOT_FOUND),
        ("manifest for h/a/unauthorized:1 not found: manifest unknown", Kind.NOT_FOUND),
        ("manifest for h/a/toomanyrequests:1 not found: manifest unknown", Kind.NOT_FOUND),
        ("unexpected status from HEAD request to http://h/v2/a/b/manifests/512: 403 Forbidden", Kind.ACCESS_DENIED),
        ("manifest for docker.io/acme/is-the-docker-daemon-running:1 not found: manifest unknown", Kind.NOT_FOUND),
    ],
)
def test_a_name_or_tag_cannot_pass_for_a_reason(message: str, kind: Kind) -> None:
    """A build number such as `:429`, or a repository called `denied`, is no part of the reason."""
    assert classify(message).kind is kind


@pytest.mark.parametrize(
    "message",
    [
        "toomanyrequests: slow down. Is the docker daemon running?",
        "error from registry: mkdir /var/lib/registry/docker/registry/v2: no space left on device",
        "unknown: mkdir /var/lib/registry/docker/registry/v2: no space left on device",
        "error from registry: dial unix /run/redis.sock: connect: connection refused",
        "error parsing HTTP 502 response body: invalid character '<': \"<p>Is the docker daemon running?</p>\"",
        "denied: permission denied, see https://acme.example/docker-socket",
    ],
)
def test_a_registry_cannot_end_the_run(message: str) -> None:
    """What one registry says of itself is no reason to give up the images of all the others."""
    assert classify(message).failure_class is not FailureClass.HOST_FATAL
    assert classify(DAEMON + message).failure_class is not FailureClass.HOST_FATAL


@pytest.mark.parametrize(
    "message",
    [
        "denied: mkdir /var/lib/docker/overlay2/x: read-only file system",
        "unauthorized: open /etc/containers/policy.json: no such file or directory",
        'Head "https://h/v2/a/manifests/1": toomanyrequests: too many open files',
        'error parsing HTTP 500 response body: invalid character: "write /data/blob: input/output error"',
        '{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":{"Path":"/data","Err":"ENOSPC"}}]}',
        "received unexpected HTTP status: 500 Internal Server Error: cannot allocate memory",
        "toomanyrequests: error getting credentials, Docker Desktop is busy",
    ],
)
def test_a_registry_in_trouble_is_not_this_host(message: str) -> None:
    """The same errno means another machine when a registry reports it."""
    assert classify(message).failure_class is not FailureClass.HOST_FATAL
    assert classify(DAEMON + message).failure_class is not FailureClass.HOST_FATAL


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('500 Server Error for http+docker://localhost/v1.47/images/create?x=y: Internal Server Error ("', '")'),
        ('docker.errors.APIError: 500 Server Error: Internal Server Error ("', '")'),
        ('500 Server Error: Internal Server Error for url: http+docker://h/v1.45/x: Internal Server Error ("', '")'),
        ("(HTTP code 500) server error - ", ""),
        ("CannotPullContainerError: API error (500): ", ""),
        ('{"message":"', '"}'),
        ("FATA[0005] ", " "),
        ("Error: ", "\n"),
        ("docker: ", ".\nSee 'docker run --help'."),
        (
            "What's next:\n  View a summary of image vulnerabilities and recommendations → docker scout quickview a\n",
            "",
        ),
    ],
)
def test_what_clients_put_around_the_words_does_not_matter(before: str, after: str) -> None:
    """A 500 of the engine around a 429, a 404 or a 401 of a registry is what the registry said."""
    for words, kind in (
        ("toomanyrequests: slow down", Kind.RATE_LIMITED),
        ("manifest unknown", Kind.NOT_FOUND),
        ("unauthorized: authentication required", Kind.UNAUTHORIZED),
        ("write /x: no space left on device", Kind.DISK_FULL),
        ("something odd", Kind.UNCLASSIFIED),
    ):
        assert classify(before + words + after).kind is kind


def test_the_status_on_the_envelope_speaks_when_nothing_else_does() -> None:
    """docker-py writes the engine's status into its text; a status that comes along counts more."""
    text = '404 Client Error for http+docker://localhost/v1.47/images/create: Not Found ("computer says no")'
    assert classify(text).kind is Kind.NOT_FOUND
    assert classify(text, 429).kind is Kind.RATE_LIMITED
    assert classify("(HTTP code 403) unexpected - computer says no").kind is Kind.ACCESS_DENIED


def test_a_token_that_ran_out_in_mid_pull_is_no_missing_login() -> None:
    """The same words are worth a retry when the manifest had been given out before."""
    words = "unauthorized: authentication required"
    assert classify(words).kind is Kind.UNAUTHORIZED
    assert classify(words, phase="resolving").kind is Kind.UNAUTHORIZED
    for phase in ("downloading", "extracting", "Transfer"):
        assert classify(words, phase=phase).kind is Kind.TOKEN_EXPIRED
    # docker's CLI shows where it came from: its prefix stands before what came ahead of the transfer.
    assert classify(words, source="docker-cli").kind is Kind.TOKEN_EXPIRED
    assert classify(DAEMON + words, source="docker-cli").kind is Kind.UNAUTHORIZED
    assert classify("Login prior to pull: log in", source="docker-cli").kind is Kind.UNAUTHORIZED


def test_go_escapes_are_read_through() -> None:
    r"""A body that Go wrote as JSON has `\u003c` for `<`."""
    page = "error parsing: \\u003chtml\\u003e\\u003ch1\\u003e503 Service\\u003c/h1\\u003e"
    assert classify(page).kind is Kind.REGISTRY_5XX
    assert classify(page).message == page
