"""Rules about registries: rate limits and policies first, which come with various status codes, then access."""

from puller.errors import FailureKind
from puller.failure.rules import Rule, http, rule

_K = FailureKind
_HOUR = 3600.0

REGISTRY: tuple[Rule, ...] = (
    rule(
        _K.LOGIN_THROTTLED,
        r"too many (?:failed |invalid |unsuccessful )?(?:login|authentication|auth|sign-?in) ",
        r"locked out",
        r"account (?:has been |is )?(?:temporarily )?locked",
        wait=_HOUR / 4,
    ),
    rule(_K.REMOTE_AUTO_BLOCKED, r"auto[ -]?blocked"),
    # Docker Hub counts pulls over six hours, so a backoff of seconds does not help.
    rule(
        _K.RATE_LIMITED,
        r"reached your (?:\w{1,20} )?pull rate limit",
        r"<hub-limit>",
        wait=6 * _HOUR,
        advice="Log in (`docker login`) for a larger quota, or use a mirror; the quota renews within six hours.",
    ),
    rule(
        _K.RATE_LIMITED,
        r"too[ _-]?many[ _-]?requests",
        r"rate[ _-]?limit",
        r"(?:rate|request limit|limit) (?:has been )?exceeded",
        r"quota (?:metric|exceeded for)",
        r"exceeded .{0,40}(?:rate|requests per)",
        r"resource[ _-]?exhausted(?!.{0,80}larger than max)",
        r"throttl(?:ed|ing)",
        r"slow ?down",
        r"bandwidth limit",
        r"retry-after: .{1,40}allowed: ",
        http("(?:429|509)"),
    ),
    rule(
        _K.GEO_BLOCKED,
        r"export control",
        r"embargo",
        r"(?:your|this) (?:country|region|location)",
        r"geo(?:-|graphic(?:al)? )?(?:block|restrict|fenc)",
        r"for legal reasons",
        http("451"),
    ),
    rule(
        _K.SCAN_PENDING,
        r"\bpending\W{1,3}status of vulnerability",
        r"(?:scan|vulnerabilit)\w{0,8}\b.{0,60}(?:pending|in progress|not (?:yet )?(?:complete|finish|run))",
        r"not (?:yet )?been scanned",
        r"without vulnerability scanning",
    ),
    rule(
        _K.CONTENT_TRUST,
        r"trust data",
        r"rejected by policy",
        r"source image rejected",
        r"signature was required",
        r"content trust",
        r"(?:no|invalid|missing|untrusted) (?:valid )?signature",
        r"signature (?:verification|validation|mismatch)",
        r"manifest[ _]unverified",
    ),
    rule(
        _K.POLICY_BLOCKED,
        r"project ?_?policy ?_?violation",
        r"due to configured policy",
        r"\d vulnerabilities",
        r"(?:block|forbid|reject|prevent|quarantin)\w{0,4} .{0,80}(?:policy|policies|xray|curation|firewall rule)",
        r"(?:policy|policies|xray|curation) .{0,80}(?:block|forbid|reject|prevent|violat)",
        r"quarantine",
    ),
    # Tokens. Docker Hub gives everybody an anonymous token: a refusal is an incident at Docker Hub.
    rule(
        _K.AUTH_SERVICE_FAILURE,
        r"anonymous token.{0,60}<hub-auth>\S{0,3} (?:40[013]|bad request|unauthorized|forbidden)",
        r"anonymous token: unexpected status: 40[01]$",
        r"<hub-auth>\S{0,3} bad request",
    ),
    rule(
        _K.TOKEN_RESPONSE_INVALID,
        r"(?:decode|decoding|parse|parsing|unmarshal\w{0,4}|invalid) .{0,20}token response",
        r"did not include a token",
        r"no (?:access |bearer )?token in .{0,40}response",
    ),
    rule(
        _K.AUTH_EXPIRED,
        r"(?:token|credentials?|password|session|login|license)\b.{0,30} (?:has|have|is|are|was) (?:been )?expired",
        r"expired ?(?:\w{1,20} ){0,2}(?:token|credential|session)",
        r"token (?:expired|is no longer valid)",
    ),
    # The registry has just sent the manifest for the same token; a signed link to a blob is valid for minutes.
    rule(
        _K.TOKEN_EXPIRED,
        r"error pulling image configuration: .{0,80}unauthorized: authentication required",
        r"request has expired",
    ),
    rule(
        _K.PROXY_REFUSED,
        r"proxy authentication required",
        r"proxy.{0,40}(?:authentication failed|access denied|forbidden)",
        r"tunnel connection failed: 4\d\d",
        r"<(?:url|blob|hub-auth)>\"?: (?:bad request|forbidden|method not allowed|not implemented)\W*$",
        http("407"),
    ),
    rule(
        _K.PROXY_ERROR,
        r"proxyconnect",
        r"connecting to \S{1,200} (?:connecting to \S{1,200} )?dial tcp",
        r"(?:cannot|unable to|failed to|could not) connect to (?:the )?proxy",
        r"proxyerror",
        r"tunnel connection failed",
        r"socks connect",
        (
            r"<(?:url|blob|hub-auth)>\"?: (?:bad gateway|service unavailable|gateway time-?out"
            r"|internal server error|proxy error)\W*$"
        ),
    ),
    rule(_K.DIGEST_TAKEN, r"cannot overwrite digest"),
    rule(
        _K.NO_MATCHING_PLATFORM,
        r"no matching manifest",
        r"no (?:match|manifest|image|child|supported \w{1,20})\b.{0,40}\bfor platform",
        r"does not (?:match|provide|support) (?:the )?(?:specified |requested |required )?platform",
        r"no image found in .{0,200}(?:platform|architecture)",
        r"(?:cannot be used|not supported) on this platform",
        r"operating system is not supported",
        r"(?:architecture|platform|os) mismatch",
        r"image is incompatible",
        r"(?:unsupported|unknown) (?:platform|architecture|operating system)",
        r"(?:platform|architecture) .{1,60}(?:not (?:found|available|supported)|unsupported)",
        r"no image satisfies",
    ),
    # In "pull access denied …: denied: …" the second part is the reason.
    rule(
        _K.ACCESS_DENIED,
        (
            r"(?<!access )(?<!permission )\bdenied: (?!(?:incorrect|invalid|bad|wrong) (?:user|cred|pass|login)"
            r"|authentication|unauthorized|manifest unknown|not found)"
        ),
        r"insufficient[ _]scope",
    ),
    rule(
        _K.UNAUTHORIZED,
        r"\bunauthori[sz]ed\b",
        r"no basic auth credentials",
        r"(?:incorrect|invalid|bad|wrong) (?:username|user|credential|password|login|api key|token)",
        r"authentication (?:is )?(?:required|failed)",
        r"not (?:logged in|authenticated)",
        r"login prior to pull",
        r"login attempt to .{1,100} 40[13]\b",
        r"unauthenticated",
        r"failed to fetch oauth token: .{0,60}40[01]\b",
        http("401"),
    ),
    rule(
        _K.ACCESS_DENIED,
        r"(?<!permission )(?<!access is )\bdenied\b",
        r"access .{0,40}forbidden",
        r"not (?:authorized|allowed|permitted) to",
        r"payment required",
        r"accessdenied",
        r"(?:do|does) not have (?:permission|access)",
        r"\b403 forbidden",
        http("40[23]"),
    ),
)
