"""Rules about the network and failing servers, and the fallback rules that come last."""

from puller.errors import FailureKind
from puller.failure.rules import Rule, http
from puller.failure.rules.image import UNPACKING

_K = FailureKind

NETWORK: tuple[Rule, ...] = (
    Rule(
        _K.REGISTRY_PING_FAILED,
        (r"v1 (?:container )?registry", r"unable to ping registry", r"invalid registry endpoint"),
    ),
    Rule(_K.TIMEOUT, (r"\b408 request time", http("408"))),
    Rule(
        _K.REGISTRY_5XX,
        (
            r"unexpected status.{1,400}\b5\d\d\b",
            http(r"5\d\d"),
            r"service (?:is )?(?:temporarily )?unavailable",
            r"(?:internal server|internal_server|bad gateway|gateway time-?out)",
            r"\binternal ?error\b",
            r"unknown: unknown error",
            r"no healthy upstream",
            r"upstream connect error",
            r"backend fetch failed",
        ),
    ),
    # Certificates and TLS.
    Rule(_K.X509_SIGNATURE_CORRUPT, (r"ecdsa verification failure",)),
    Rule(_K.CLOCK_SKEW, (r"current time \S{1,60} is before", r"requesttimetooskewed")),
    Rule(_K.X509_EXPIRED, (r"certificate .{0,40}expired", r"not yet valid", r"current time \S{1,60} is after")),
    Rule(
        _K.X509_WRONG_HOST,
        (
            r"certificate is (?:not )?valid for",
            r"cannot validate certificate for",
            r"(?:doesn't|does not) contain any ip sans",
            r"hostname mismatch",
            r"certificate .{0,80}(?:doesn't|does not) match",
        ),
    ),
    Rule(_K.X509_LEGACY_CN, (r"legacy common name",)),
    Rule(_K.TLS_CONFIG, (r"tls: (?:bad|unknown) certificate\b(?! auth)", r"certificate required")),
    Rule(
        _K.X509_UNTRUSTED,
        (
            r"x509: ",
            r"unknown (?:certificate )?authority",
            r"verify certificate",
            r"certificate[ _]verify[ _]failed",
            r"self[- ]signed certificate",
            r"local issuer",
        ),
    ),
    Rule(_K.TLS_HANDSHAKE_TIMEOUT, (r"tls handshake time", r"handshake.{0,40}timed out")),
    Rule(
        _K.TLS_CONFIG,
        (
            r"first record does not look like",
            r"http response to https client",
            r"http request (?:was sent )?to (?:an )?https (?:server|port)",
            r"handshake failure",
            r"remote error: tls",
            r"tls: .{0,80}(?:version|cipher|unrecognized name|unsupported|alert|oversized)",
            r"wrong[ _]version[ _]number",
            r"malformed http (?:response|status|version)",
            r"missing client certificate",
        ),
    ),
    # The network: name resolution, then connections.
    Rule(
        _K.DNS_FAILURE,
        (
            r"no such host",
            r"(?:name or service|servname|hostname) .{0,20}not known",
            r"name resolution",
            r"server misbehaving",
            r"dial \w{3,5}: lookup <name>",
            r"lookup <name>.{0,200}(?:time-?out|timed out|refused|unreachable|no route|try again|no answer|unmarshal)",
            r"getaddrinfo",
            r"(?:could not|cannot|can't|couldn't|failed to|unable to) resolve (?:host|name|the|address|<host>)",
            r"nameresolutionerror",
            r"enotfound",
            r"eai_again",
            r"no address associated",
            r"nxdomain",
        ),
    ),
    Rule(_K.HTTP2_GOAWAY, (r"goaway",)),
    Rule(
        _K.ENGINE_DISCONNECTED,
        (r"daemon is shutting down", r"(?:transport|client connection) is closing", r"error reading from server: eof"),
    ),
    Rule(
        _K.TIMEOUT,
        (
            r"time-?out",
            r"timed out",
            r"no (?:answer|connection) in time",
            r"canceled while waiting",
            r"deadline exceeded",
            r"did not properly respond",
            r"etimedout",
            r"timeouterror",
        ),
    ),
    Rule(_K.CONNECTION_REFUSED, (r"connection ?refused", r"actively refused", r"econnrefused")),
    Rule(
        _K.NETWORK_UNREACHABLE,
        (
            r"network is (?:unreachable|down)",
            r"no route to host",
            r"host is (?:unreachable|down)",
            r"unreachable (?:network|host)",
            r"cannot assign requested address",
            r"e(?:net|host)unreach",
            r"connect: (?:permission denied|operation not permitted|invalid argument)",
            r"forbidden by its access permissions",
            r"no suitable address",
        ),
    ),
    Rule(_K.UNEXPECTED_EOF, (r"incompleteread", r"remote ?(?:end closed|disconnected)", r"connection broken")),
    Rule(
        _K.CONNECTION_RESET,
        (
            r"connection ?reset",
            r"broken pipe",
            r"use of closed network connection",
            r"forcibly closed",
            r"connection (?:was )?(?:aborted|lost|closed)",
            r"connection abort",
            r"econnreset",
            r"\bepipe\b",
            r"stream error",
            r"rst_stream",
        ),
    ),
    Rule(
        _K.UNEXPECTED_EOF,
        (
            r"\beof\b",
            r"short read",
            r"unexpected end of",
            r"premature(?:ly)? (?:end|clos)",
            r"transfer closed",
            r"socket hang up",
            r"truncated",
            r"server closed",
        ),
    ),
    Rule(_K.CANCELLED, (r"(?:context|request|operation|pull)(?: was)? cancell?ed",)),
)
FALLBACK: tuple[Rule, ...] = (
    Rule(_K.LAYER_EXTRACT_FAILED, (UNPACKING + r"(?!.{0,400}(?: busy|temporarily))",)),
    Rule(_K.BAD_MIRROR, (r"invalid character .{1,10}(?:looking for|after)", r"response body", r"<code>", http("400"))),
    Rule(_K.BAD_MIRROR, (r"\bunsupported: ",)),
    Rule(_K.POLICY_BLOCKED, (http("412"),)),
    Rule(_K.ACCESS_DENIED, (r"permission denied", r"\bforbidden\b")),
    Rule(_K.NOT_FOUND, (r": not found\W*$",)),
)
