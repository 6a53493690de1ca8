"""The rules: messages of engines and registries by the kind of failure. The first rule that matches decides.

So rules about the host come before rules about one registry, and special rules before general ones. The patterns are
regular expressions over the text that `puller.failure.message` prepares.
"""

from typing import NamedTuple

from puller.errors import FailureKind


class Rule(NamedTuple):
    """Error messages of one kind."""

    kind: FailureKind
    patterns: tuple[str, ...]
    wait: float | None
    """Seconds to wait if the message does not say."""
    advice: str | None
    """Replaces the advice of the kind if these messages tell more."""


def rule(kind: FailureKind, *patterns: str, wait: float | None = None, advice: str | None = None) -> Rule:
    """Return a rule; see `Rule`."""
    return Rule(kind, patterns, wait, advice)


def _http(codes: str) -> str:
    """Match an HTTP status as engines, registries and web pages write it; `codes` is `404` or `50[234]`."""
    return (
        rf"(?:status(?: code)?|code|http(?:/\d(?:\.\d)?)?|error)(?: code)?(?: from registry)?[ :=(\"\[]{{1,3}}{codes}\b"
        rf"|<(?:h1|title)>{codes}\b"
        rf"|unexpected (?:http )?status[^.]{{1,120}} {codes}\b"
    )


_K = FailureKind
_HOUR = 3600.0
_CLIENTS = r"(?:docker|podman|nerdctl)"
_STORES = r"docker-credential-(?:desktop|osxkeychain|wincred|secretservice|pass|keychain)"
_UNPACKING = (
    r"(?:failed to (?:register|extract|unpack|apply|commit) |processing tar|applylayer|applying layer|untar"
    r"|re-exec error|processbaselayer|adding layer)"
)

HOST: tuple[Rule, ...] = (
    rule(_K.SOCKET_PERMISSION, r"permission denied while trying to connect to the (?:docker|podman)",
         r"<(?:socket|engine|containerd)>.{0,80}(?:permission denied|access is denied)",
         r"(?:permission denied|eacces).{0,120}(?:<(?:socket|engine|containerd)>|docker (?:api|daemon socket))",
         r"permissionerror\(13"),
    # For nerdctl, containerd is the engine.
    rule(_K.DAEMON_UNREACHABLE, r"rootless containerd not running", r"cannot access containerd socket"),
    rule(_K.CONTAINERD_UNREACHABLE,
         r"<containerd>.{0,200}(?:connection refused|no such file|deadline exceeded|time-?out|unavailable)",
         r"failed to create lease: database not open",
         r"error creating temporary lease.{0,200}(?:unavailable|connection|deadline|closing|eof)",
         r"containerd (?:is )?not (?:running|available)"),
    rule(_K.API_VERSION_MISMATCH, r"client version .{1,40} is too (?:old|new)", r"client is newer than server",
         r"(?:minimum|maximum) supported api version", r"error response from daemon: page not found",
         r"requires api version .{1,40} but the docker daemon api version"),
    rule(_K.CONTEXT_NOT_FOUND, r"docker endpoint for .{1,100} not found", r"conflicting options: cannot specify both",
         r"context \"[^\"]{1,100}\".{0,20}(?:not found|does not exist)",
         r"unable to (?:parse|resolve) docker (?:host|endpoint)", r"failed to load context",
         r"invalid (?:bind address|docker_host|context name)"),
    # With "bytes)" it quotes a registry's answer that was too long.
    rule(_K.DAEMON_BAD_RESPONSE, r"(?<!bytes\) )for api route and version",
         r"(?:bad|invalid|unexpected) response from (?:the )?docker engine"),
    rule(_K.CLIENT_MISSING, rf"(?<!\S){_CLIENTS}: (?:command )?not found", rf"command not found: {_CLIENTS}\b",
         rf"(?:env|xargs): \W?{_CLIENTS}\W{{0,2}}: no such file", rf"exec: \"{_CLIENTS}\": executable file not found",
         rf"no such file or directory: '{_CLIENTS}'"),
    rule(_K.DAEMON_UNREACHABLE, r"(?:cannot|can't|could not|unable to|failed to) connect to (?:the )?(?:docker|podman)",
         r"is the docker daemon running", r"error during connect", r"error while fetching server api version",
         r"daemon (?:is )?not running", r"docker desktop is ", r"error: failed to connect: dial",
         r"podman machine .{0,80}not running", r"connection aborted\W{1,6}(?:filenotfound|connectionrefused)error",
         r"dial unix \S{1,200} (?:connect: )?(?:no such file|connection refused)",
         r"<(?:socket|engine)>.{0,300}(?:no such file|cannot find the file|connection refused|actively refused)",
         r"<(?:socket|engine)>.{0,300}(?:failed to (?:establish|resolve)|connecttimeout|no such host|not known)",
         r"<(?:socket|engine)>.{0,300}name resolution", r"(?:econnrefused|enoent) <(?:socket|engine)>"),
    # Disk, memory and other resources.
    rule(_K.DISK_FULL, r"no space left", r"disk quota exceeded", r"not enough (?:free )?(?:disk )?space",
         r"disk is full", r"insufficient (?:free )?disk space", r"enospc", r"edquot", r"free data blocks"),
    rule(_K.READ_ONLY_FS, r"read-only file ?system", r"\berofs\b"),
    rule(_K.IO_ERROR, r"input/output error", r"disk i/o error", r"structure needs cleaning",
         r"stale (?:nfs )?file handle", r"transport endpoint is not connected", r"\beio\b"),
    rule(_K.OUT_OF_MEMORY, r"cannot allocate memory", r"out of memory", r"oom.?kill", r"signal: killed", r"enomem"),
    rule(_K.FD_EXHAUSTED, r"too many open files", r"file table overflow", r"\be[mn]file\b",
         r"(?:fork/exec|fork:) .{0,200}resource temporarily unavailable", r"failed to create new os thread"),
    rule(_K.DNS_BLOCKED, r"socket: (?:permission denied|operation not permitted|address family not supported)"),
    # The engine's configuration and privileges.
    rule(_K.ENGINE_MISCONFIGURED, r"snapshotter (?:not loaded|.{1,60} (?:was )?not found)",
         r"unknown (?:snapshotter|storage driver|graphdriver)", r"initializing graphdriver",
         r"storage.?driver .{0,80}not (?:supported|found)", r"open <config>: ",
         r"(?:parsing|loading|decoding) .{0,80}<config>", r"loading registries configuration",
         r"overlay.{0,200}no such device"),
    rule(_K.ENGINE_PRIVILEGES,
         (r"(?:mount namespace|unshare|newuidmap|newgidmap|pivot|remount|\bmount\b|clone).{0,200}"
          r"(?:operation not permitted|permission denied)"),
         r"remount <path>, flags",
         r"(?:stderr|output|layer(?: sha256:\w{1,64})?|exit status \d{1,3}\)): (?:error: )?operation not permitted",
         r"(?<!chown )(?<!mknod )<store>(?:\.tmp)?: (?:operation not permitted|permission denied)",
         r"user namespaces? .{0,60}(?:not enabled|disabled|not supported)", r"cannot (?:re-?exec|clone)"),
    rule(_K.STORAGE_BROKEN, r"error creating overlay mount(?!.{0,300} busy)",
         r"failed to mount .{0,200}(?:overlay|invalid argument)", r"open <store>\.tmp: no such file",
         r"mkdir <store>(?:\.tmp)?: (?:no such file|not a directory)"),
    # The proxy of the engine's service.
    rule(_K.PROXY_MISCONFIGURED, r"proxyconnect tcp: tls: first record", r"proxyconnect tcp: dial tcp :\d",
         r"proxyconnect tcp: .{0,200}(?:unknown scheme|unsupported protocol|missing port|invalid (?:port|url))",
         r"proxyconnect tcp: .{0,80}http response to https client", r"invalid proxy (?:address|url)",
         r"(?:unsupported|unknown) proxy scheme"),
    # A credential store serves every registry, a credential helper one. A helper may also fail because of the network.
    rule(_K.CREDENTIAL_HELPER, rf"{_STORES}.{{0,80}}(?:not found|no such file|not installed|permission denied)"),
    rule(_K.CREDENTIAL_HELPER_FAILED,
         (r"(?:error getting credentials|credentials? store|docker-credential-|getting username and password)"
          r"(?!.{0,600}(?:no such host|time-?out|timed out|refused|unreachable|reset by peer))")),
    # Last, because helpers and unpackers also report unknown flags.
    rule(_K.CLIENT_USAGE, r"unknown (?:shorthand )?flag", r"flag (?:provided but not defined|needs an argument)",
         r"requires (?:exactly|at least|at most) \d+ arguments?", r"accepts \d+ arg\(s\)",
         rf"is not a {_CLIENTS} command", r"only supported on a docker daemon with experimental"),
)  # fmt: skip
"""Rules about this host and its engine. They apply to the part of a message before it quotes a registry."""

RULES: tuple[Rule, ...] = (
    *HOST,
    # Rate limits and policies of registries come with various status codes.
    rule(_K.LOGIN_THROTTLED, r"too many (?:failed |invalid |unsuccessful )?(?:login|authentication|auth|sign-?in) ",
         r"locked out", r"account (?:has been |is )?(?:temporarily )?locked", wait=_HOUR / 4),
    rule(_K.REMOTE_AUTO_BLOCKED, r"auto[ -]?blocked"),
    # Docker Hub counts pulls over six hours, so a backoff of seconds does not help.
    rule(_K.RATE_LIMITED, r"reached your (?:\w{1,20} )?pull rate limit", r"<hub-limit>", wait=6 * _HOUR,
         advice="Log in (`docker login`) for a larger quota, or use a mirror; the quota renews within six hours."),
    rule(_K.RATE_LIMITED, r"too[ _-]?many[ _-]?requests", r"rate[ _-]?limit",
         r"(?:rate|request limit|limit) (?:has been )?exceeded", r"quota (?:metric|exceeded for)",
         r"exceeded .{0,40}(?:rate|requests per)", r"resource[ _-]?exhausted(?!.{0,80}larger than max)",
         r"throttl(?:ed|ing)", r"slow ?down", r"bandwidth limit", r"retry-after: .{1,40}allowed: ",
         _http("(?:429|509)")),
    rule(_K.GEO_BLOCKED, r"export control", r"embargo", r"(?:your|this) (?:country|region|location)",
         r"geo(?:-|graphic(?:al)? )?(?:block|restrict|fenc)", r"for legal reasons", _http("451")),
    rule(_K.SCAN_PENDING, r"\bpending\W{1,3}status of vulnerability",
         r"(?:scan|vulnerabilit)\w{0,8}\b.{0,60}(?:pending|in progress|not (?:yet )?(?:complete|finish|run))",
         r"not (?:yet )?been scanned", r"without vulnerability scanning"),
    rule(_K.CONTENT_TRUST, r"trust data", r"rejected by policy", r"source image rejected", r"signature was required",
         r"content trust", r"(?:no|invalid|missing|untrusted) (?:valid )?signature",
         r"signature (?:verification|validation|mismatch)", r"manifest[ _]unverified"),
    rule(_K.POLICY_BLOCKED, r"project ?_?policy ?_?violation", r"due to configured policy", r"\d vulnerabilities",
         r"(?:block|forbid|reject|prevent|quarantin)\w{0,4} .{0,80}(?:policy|policies|xray|curation|firewall rule)",
         r"(?:policy|policies|xray|curation) .{0,80}(?:block|forbid|reject|prevent|violat)", r"quarantine"),
    # Tokens. Docker Hub gives everybody an anonymous token: a refusal is an incident at Docker Hub.
    rule(_K.AUTH_SERVICE_FAILURE,
         r"anonymous token.{0,60}<hub-auth>\S{0,3} (?:40[013]|bad request|unauthorized|forbidden)",
         r"anonymous token: unexpected status: 40[01]$", r"<hub-auth>\S{0,3} bad request"),
    rule(_K.TOKEN_RESPONSE_INVALID, r"(?:decode|decoding|parse|parsing|unmarshal\w{0,4}|invalid) .{0,20}token response",
         r"did not include a token", r"no (?:access |bearer )?token in .{0,40}response"),
    rule(_K.AUTH_EXPIRED,
         r"(?:token|credentials?|password|session|login|license)\b.{0,30} (?:has|have|is|are|was) (?:been )?expired",
         r"expired ?(?:\w{1,20} ){0,2}(?:token|credential|session)", r"token (?:expired|is no longer valid)"),
    # The registry has just sent the manifest for the same token; a signed link to a blob is valid for minutes.
    rule(_K.TOKEN_EXPIRED, r"error pulling image configuration: .{0,80}unauthorized: authentication required",
         r"request has expired"),
    rule(_K.PROXY_REFUSED, r"proxy authentication required",
         r"proxy.{0,40}(?:authentication failed|access denied|forbidden)", r"tunnel connection failed: 4\d\d",
         r"<(?:url|blob|hub-auth)>\"?: (?:bad request|forbidden|method not allowed|not implemented)\W*$", _http("407")),
    rule(_K.PROXY_ERROR, r"proxyconnect", r"connecting to \S{1,200} (?:connecting to \S{1,200} )?dial tcp",
         r"(?:cannot|unable to|failed to|could not) connect to (?:the )?proxy", r"proxyerror",
         r"tunnel connection failed", r"socks connect",
         (r"<(?:url|blob|hub-auth)>\"?: (?:bad gateway|service unavailable|gateway time-?out|internal server error"
          r"|proxy error)\W*$")),
    rule(_K.DIGEST_TAKEN, r"cannot overwrite digest"),
    rule(_K.NO_MATCHING_PLATFORM, r"no matching manifest",
         r"no (?:match|manifest|image|child|supported \w{1,20})\b.{0,40}\bfor platform",
         r"does not (?:match|provide|support) (?:the )?(?:specified |requested |required )?platform",
         r"no image found in .{0,200}(?:platform|architecture)", r"(?:cannot be used|not supported) on this platform",
         r"operating system is not supported", r"(?:architecture|platform|os) mismatch", r"image is incompatible",
         r"(?:unsupported|unknown) (?:platform|architecture|operating system)",
         r"(?:platform|architecture) .{1,60}(?:not (?:found|available|supported)|unsupported)", r"no image satisfies"),
    # In "pull access denied …: denied: …" the second part is the reason.
    rule(_K.ACCESS_DENIED,
         (r"(?<!access )(?<!permission )\bdenied: (?!(?:incorrect|invalid|bad|wrong) (?:user|cred|pass|login)"
          r"|authentication|unauthorized|manifest unknown|not found)"),
         r"insufficient[ _]scope"),
    rule(_K.UNAUTHORIZED, r"\bunauthori[sz]ed\b", r"no basic auth credentials",
         r"(?:incorrect|invalid|bad|wrong) (?:username|user|credential|password|login|api key|token)",
         r"authentication (?:is )?(?:required|failed)", r"not (?:logged in|authenticated)", r"login prior to pull",
         r"login attempt to .{1,100} 40[13]\b", r"unauthenticated", r"failed to fetch oauth token: .{0,60}40[01]\b",
         _http("401")),
    rule(_K.ACCESS_DENIED, r"(?<!permission )(?<!access is )\bdenied\b", r"access .{0,40}forbidden",
         r"not (?:authorized|allowed|permitted) to", r"payment required", r"accessdenied",
         r"(?:do|does) not have (?:permission|access)", r"\b403 forbidden", _http("40[23]")),
    # One image: missing, misnamed, damaged, or of a kind that the engine cannot use.
    # containerd's garbage collection removes what a failed attempt left while the next one relies on it.
    rule(_K.CONTENT_LOST, r"failed to check image .{1,200}content digest \S{1,100}:? not found"),
    # Before NOT_FOUND, because the engine's image store also writes "not found".
    rule(_K.STORAGE_CORRUPT, r"<store>: file exists", r"rename <store>.{0,80}(?:file exists|not empty|no such file)",
         r"(?:open|stat|lstat|readlink|chdir|chtimes|symlink|unlinkat) <store>: no such file",
         r"content digest \S{1,100}:? not found", r"content store",
         r"(?:parent|snapshot) .{0,200}(?:does not exist|not found|missing)", r"layer (?:does not exist|not known)",
         r"(?:layer|snapshot|blob) .{0,200}already exists"),
    rule(_K.USERNS_MAPPING, r"cannot be mapped to a host id",
         r"l?chown .{0,300}(?:invalid argument|not permitted|value too large)", r"subordinate (?:user|group|u?g?id)",
         r"insufficient uids", r"not enough (?:available )?(?:uids|gids|ids)", r"mknod .{0,300}not permitted"),
    rule(_K.XATTR_UNSUPPORTED, r"xattr.{0,300}(?:not supported|not permitted|invalid argument|unsupported)"),
    rule(_K.ROOTFS_MISMATCH, r"layers from manifest don't match", r"mismatched image rootfs", r"wrong diff ?id",
         r"diff_?ids?.{0,60}(?:mismatch|do(?:es)? ?n[o']t match)"),
    rule(_K.UNSUPPORTED_MANIFEST, r"unsupported (?:manifest )?media ?type",
         r"(?:unexpected|unknown|invalid|unrecognized) (?:layer |manifest )?media ?type",
         r"mediatype in manifest should be", r"target is unknown", r"ai models are not",
         r"received a manifest list instead", r"encountered remote .{1,200} when fetching",
         r"(?:manifest|image).{0,80}(?:schema ?(?:version )?1|v1 format|format v1)",
         r"schema ?(?:version )?1 .{0,80}(?:removed|deprecated|not supported|no longer)", r"manifest[ _]invalid",
         r"unsupported (?:manifest|docker v2|schema|layer|image format|compression|docker image)",
         r"manifest .{0,40}(?:is not supported|not supported)",
         r"not (?:a|an) (?:valid )?(?:container |docker |oci )?image\b", r"operation on artifact with type",
         _http("406")),
    # Missing layers before missing images.
    rule(_K.BLOB_UNKNOWN, r"blob[ _]unknown", r"unknown blob", r"nosuch(?:key|bucket)",
         r"could not fetch content descriptor .{1,200}not found", r"<blob>.{0,60}(?:404|not found)",
         r"(?:blob|layer) .{0,200}(?:not found|does not exist|404)"),
    rule(_K.NOT_FOUND_PROXY_RACE, r"artifact <name>@digest not found"),
    rule(_K.REGISTRY_INCIDENT, r"404 page not found", r"\b405 (?:method )?not allowed", _http("405")),
    rule(_K.LOCAL_IMAGE_MISSING, r"no such image"),
    rule(_K.NOT_FOUND, r"(?:manifest|name|tag|repository)[ _]unknown",
         r"(?:repository name|manifest|tag|image|name) (?:is )?not known",
         (r"(?:manifest|repository|image|tag|artifact|package|project|namespace|reference|object|resource)\b.{1,400}"
          r"(?:not found|not exist|could not be found|no longer available|was deleted)"),
         r"content at \S{1,100} not found", r"no such (?:manifest|repository|tag|project|object)",
         r"does not use the .{1,40} tag", r"tag .{1,80} has expired", r"<name>: not found", r"not[ _]found: ",
         r"\b404 not found", _http("4(?:04|10)")),
    rule(_K.BAD_REFERENCE, r"invalid (?:image )?reference", r"invalid (?:repository|image|namespace|tag) name",
         r"must be (?:in )?lower ?case", r"(?:name|tag)[ _]invalid",
         r"invalid (?:tag|digest|checksum digest|image name)", r"short-name", r"did not resolve to an alias",
         r"unqualified-search registries", r"not a valid (?:repository|reference|tag|image)",
         r"error parsing reference", r"unsupported digest", r"repository name must"),
    rule(_K.DIGEST_MISMATCH, r"verification failed for digest", r"unexpected (?:commit )?digest",
         r"(?:digest|checksum)\w{0,2}\b.{0,20}(?:mismatch|did not match|do(?:es)? not match|invalid)",
         r"mismatch\w{0,4} (?:digest|checksum)", r"does not match .{0,40}digest"),
    rule(_K.SIZE_MISMATCH, r"size validation", r"size (?:mismatch|invalid|does not match)", r"size_invalid",
         r"(?:unexpected|wrong|invalid) (?:blob |layer |commit )?size"),
    rule(_K.LAYER_CORRUPT, r"invalid checksum", r"flate: corrupt", r"corrupt input", r"crc error",
         r"unpigz: .{0,200}corrupt"),
    rule(_K.LAYER_EXTRACT_FAILED, r"invalid tar header", r"magic number mismatch", r"gzip: invalid header",
         r"max depth exceeded", r"zstd: ", rf"{_UNPACKING}.{{0,400}}(?:permission|access is) denied"),
    # Failing servers.
    rule(_K.REGISTRY_PING_FAILED, r"v1 (?:container )?registry", r"unable to ping registry",
         r"invalid registry endpoint"),
    rule(_K.TIMEOUT, r"\b408 request time", _http("408")),
    rule(_K.REGISTRY_5XX, r"unexpected status.{1,400}\b5\d\d\b", _http(r"5\d\d"),
         r"service (?:is )?(?:temporarily )?unavailable",
         r"(?:internal server|internal_server|bad gateway|gateway time-?out)", r"\binternal ?error\b",
         r"unknown: unknown error", r"no healthy upstream", r"upstream connect error", r"backend fetch failed"),
    # Certificates and TLS.
    rule(_K.X509_SIGNATURE_CORRUPT, r"ecdsa verification failure"),
    rule(_K.CLOCK_SKEW, r"current time \S{1,60} is before", r"requesttimetooskewed"),
    rule(_K.X509_EXPIRED, r"certificate .{0,40}expired", r"not yet valid", r"current time \S{1,60} is after"),
    rule(_K.X509_WRONG_HOST, r"certificate is (?:not )?valid for", r"cannot validate certificate for",
         r"(?:doesn't|does not) contain any ip sans", r"hostname mismatch",
         r"certificate .{0,80}(?:doesn't|does not) match"),
    rule(_K.X509_LEGACY_CN, r"legacy common name"),
    rule(_K.TLS_CONFIG, r"tls: (?:bad|unknown) certificate\b(?! auth)", r"certificate required"),
    rule(_K.X509_UNTRUSTED, r"x509: ", r"unknown (?:certificate )?authority", r"verify certificate",
         r"certificate[ _]verify[ _]failed", r"self[- ]signed certificate", r"local issuer"),
    rule(_K.TLS_HANDSHAKE_TIMEOUT, r"tls handshake time", r"handshake.{0,40}timed out"),
    rule(_K.TLS_CONFIG, r"first record does not look like", r"http response to https client",
         r"http request (?:was sent )?to (?:an )?https (?:server|port)", r"handshake failure", r"remote error: tls",
         r"tls: .{0,80}(?:version|cipher|unrecognized name|unsupported|alert|oversized)", r"wrong[ _]version[ _]number",
         r"malformed http (?:response|status|version)", r"missing client certificate"),
    # The network: name resolution, then connections.
    rule(_K.DNS_FAILURE, r"no such host", r"(?:name or service|servname|hostname) .{0,20}not known", r"name resolution",
         r"server misbehaving", r"dial \w{3,5}: lookup <name>",
         r"lookup <name>.{0,200}(?:time-?out|timed out|refused|unreachable|no route|try again|no answer|unmarshal)",
         r"getaddrinfo",
         r"(?:could not|cannot|can't|couldn't|failed to|unable to) resolve (?:host|name|the|address|<host>)",
         r"nameresolutionerror", r"enotfound", r"eai_again", r"no address associated", r"nxdomain"),
    rule(_K.HTTP2_GOAWAY, r"goaway"),
    rule(_K.ENGINE_DISCONNECTED, r"daemon is shutting down", r"(?:transport|client connection) is closing",
         r"error reading from server: eof"),
    rule(_K.TIMEOUT, r"time-?out", r"timed out", r"no (?:answer|connection) in time", r"canceled while waiting",
         r"deadline exceeded", r"did not properly respond", r"etimedout", r"timeouterror"),
    rule(_K.CONNECTION_REFUSED, r"connection ?refused", r"actively refused", r"econnrefused"),
    rule(_K.NETWORK_UNREACHABLE, r"network is (?:unreachable|down)", r"no route to host",
         r"host is (?:unreachable|down)", r"unreachable (?:network|host)", r"cannot assign requested address",
         r"e(?:net|host)unreach", r"connect: (?:permission denied|operation not permitted|invalid argument)",
         r"forbidden by its access permissions", r"no suitable address"),
    rule(_K.UNEXPECTED_EOF, r"incompleteread", r"remote ?(?:end closed|disconnected)", r"connection broken"),
    rule(_K.CONNECTION_RESET, r"connection ?reset", r"broken pipe", r"use of closed network connection",
         r"forcibly closed", r"connection (?:was )?(?:aborted|lost|closed)", r"connection abort", r"econnreset",
         r"\bepipe\b", r"stream error", r"rst_stream"),
    rule(_K.UNEXPECTED_EOF, r"\beof\b", r"short read", r"unexpected end of", r"premature(?:ly)? (?:end|clos)",
         r"transfer closed", r"socket hang up", r"truncated", r"server closed", r"expected http 206 from byte range"),
    rule(_K.CANCELLED, r"(?:context|request|operation|pull)(?: was)? cancell?ed"),
    # Patterns of one or two words, for messages that nothing else explains.
    rule(_K.LAYER_EXTRACT_FAILED, _UNPACKING + r"(?!.{0,400}(?: busy|temporarily))"),
    rule(_K.TOKEN_RESPONSE_INVALID, r"invalid header field value for .{0,4}authorization", r"no realm specified"),
    rule(_K.UNSUPPORTED_MANIFEST, r"json: cannot unmarshal (?:array|bool|number|object|string)",
         r"exceeded max depth", r"mime: (?:expected|invalid|no)"),
    rule(_K.BAD_MIRROR, r"invalid character .{1,10}(?:looking for|after)", r"response body", r"<code>", _http("400"),
         r"\bunsupported: ", r"(?:missing or empty|invalid) content-(?:type|length)", r"stopped after \d+ redirects",
         r"received unexpected http status", r"unsupported protocol scheme", r"failed to parse location",
         r"address \S{1,40} invalid port", r"header line too long"),
    rule(_K.POLICY_BLOCKED, _http("412")),
    rule(_K.ACCESS_DENIED, r"permission denied", r"\bforbidden\b"),
    rule(_K.NOT_FOUND, r": not found\W*$"),
)  # fmt: skip
