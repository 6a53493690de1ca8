"""Rules about this host and its engine. They apply to the part of a message before it quotes a registry."""

from puller.errors import FailureKind
from puller.failure.rules import Rule, rule

_K = FailureKind
_CLIENTS = r"(?:docker|podman|nerdctl)"
_STORES = r"docker-credential-(?:desktop|osxkeychain|wincred|secretservice|pass|keychain)"

HOST: tuple[Rule, ...] = (
    rule(
        _K.SOCKET_PERMISSION,
        r"permission denied while trying to connect to the (?:docker|podman)",
        r"<(?:socket|engine|containerd)>.{0,80}(?:permission denied|access is denied)",
        r"(?:permission denied|eacces).{0,120}(?:<(?:socket|engine|containerd)>|docker (?:api|daemon socket))",
        r"permissionerror\(13",
    ),
    # For nerdctl, containerd is the engine.
    rule(_K.DAEMON_UNREACHABLE, r"rootless containerd not running", r"cannot access containerd socket"),
    rule(
        _K.CONTAINERD_UNREACHABLE,
        r"<containerd>.{0,200}(?:connection refused|no such file|deadline exceeded|time-?out|unavailable)",
        r"failed to create lease: database not open",
        r"error creating temporary lease.{0,200}(?:unavailable|connection|deadline|closing|eof)",
        r"containerd (?:is )?not (?:running|available)",
    ),
    rule(
        _K.API_VERSION_MISMATCH,
        r"client version .{1,40} is too (?:old|new)",
        r"client is newer than server",
        r"(?:minimum|maximum) supported api version",
        r"error response from daemon: page not found",
        r"requires api version .{1,40} but the docker daemon api version",
    ),
    rule(
        _K.CONTEXT_NOT_FOUND,
        r"docker endpoint for .{1,100} not found",
        r"conflicting options: cannot specify both",
        r"context \"[^\"]{1,100}\".{0,20}(?:not found|does not exist)",
        r"unable to (?:parse|resolve) docker (?:host|endpoint)",
        r"failed to load context",
        r"invalid (?:bind address|docker_host|context name)",
    ),
    rule(
        _K.DAEMON_BAD_RESPONSE,
        r"(?<!bytes\) )for api route and version",  # with "bytes)" it quotes a registry's answer that was too long
        r"(?:bad|invalid|unexpected) response from (?:the )?docker engine",
    ),
    rule(
        _K.CLIENT_MISSING,
        rf"(?<!\S){_CLIENTS}: (?:command )?not found",
        rf"command not found: {_CLIENTS}\b",
        rf"(?:env|xargs): \W?{_CLIENTS}\W{{0,2}}: no such file",
        rf"exec: \"{_CLIENTS}\": executable file not found",
        rf"no such file or directory: '{_CLIENTS}'",
    ),
    rule(
        _K.DAEMON_UNREACHABLE,
        r"(?:cannot|can't|could not|unable to|failed to) connect to (?:the )?(?:docker|podman)",
        r"is the docker daemon running",
        r"error during connect",
        r"error while fetching server api version",
        r"daemon (?:is )?not running",
        r"docker desktop is ",
        r"error: failed to connect: dial",
        r"podman machine .{0,80}not running",
        r"connection aborted\W{1,6}(?:filenotfound|connectionrefused)error",
        r"dial unix \S{1,200} (?:connect: )?(?:no such file|connection refused)",
        (
            r"<(?:socket|engine)>.{0,300}(?:no such file|cannot find the file|connection refused|actively refused"
            r"|failed to establish|connecttimeout|failed to resolve|no such host|not known|name resolution)"
        ),
        r"(?:econnrefused|enoent) <(?:socket|engine)>",
    ),
    # Disk, memory and other resources.
    rule(
        _K.DISK_FULL,
        r"no space left",
        r"disk quota exceeded",
        r"not enough (?:free )?(?:disk )?space",
        r"disk is full",
        r"insufficient (?:free )?disk space",
        r"enospc",
        r"edquot",
        r"free data blocks",
    ),
    rule(_K.READ_ONLY_FS, r"read-only file ?system", r"\berofs\b"),
    rule(
        _K.IO_ERROR,
        r"input/output error",
        r"disk i/o error",
        r"structure needs cleaning",
        r"stale (?:nfs )?file handle",
        r"transport endpoint is not connected",
        r"\beio\b",
    ),
    rule(_K.OUT_OF_MEMORY, r"cannot allocate memory", r"out of memory", r"oom.?kill", r"signal: killed", r"enomem"),
    rule(
        _K.FD_EXHAUSTED,
        r"too many open files",
        r"file table overflow",
        r"\be[mn]file\b",
        r"(?:fork/exec|fork:) .{0,200}resource temporarily unavailable",
        r"failed to create new os thread",
    ),
    rule(_K.DNS_BLOCKED, r"socket: (?:permission denied|operation not permitted|address family not supported)"),
    # The engine's configuration and privileges.
    rule(
        _K.ENGINE_MISCONFIGURED,
        r"snapshotter (?:not loaded|.{1,60} (?:was )?not found)",
        r"unknown (?:snapshotter|storage driver|graphdriver)",
        r"initializing graphdriver",
        r"storage.?driver .{0,80}not (?:supported|found)",
        r"open <config>: ",
        r"(?:parsing|loading|decoding) .{0,80}<config>",
        r"loading registries configuration",
        r"overlay.{0,200}no such device",
    ),
    rule(
        _K.ENGINE_PRIVILEGES,
        (
            r"(?:mount namespace|unshare|newuidmap|newgidmap|pivot|remount|\bmount\b|clone).{0,200}"
            r"(?:operation not permitted|permission denied)"
        ),
        r"remount <path>, flags",
        r"(?:stderr|output|layer(?: sha256:\w{1,64})?|exit status \d{1,3}\)): (?:error: )?operation not permitted",
        r"(?<!chown )(?<!mknod )<store>(?:\.tmp)?: (?:operation not permitted|permission denied)",
        r"user namespaces? .{0,60}(?:not enabled|disabled|not supported)",
        r"cannot (?:re-?exec|clone)",
    ),
    rule(
        _K.STORAGE_BROKEN,
        r"error creating overlay mount(?!.{0,300} busy)",
        r"failed to mount .{0,200}(?:overlay|invalid argument)",
        r"open <store>\.tmp: no such file",
        r"mkdir <store>(?:\.tmp)?: (?:no such file|not a directory)",
    ),
    # The proxy of the engine's service.
    rule(
        _K.PROXY_MISCONFIGURED,
        r"proxyconnect tcp: tls: first record",
        r"proxyconnect tcp: dial tcp :\d",
        r"proxyconnect tcp: .{0,200}(?:unknown scheme|unsupported protocol|missing port|invalid (?:port|url))",
        r"proxyconnect tcp: .{0,80}http response to https client",
        r"invalid proxy (?:address|url)",
        r"(?:unsupported|unknown) proxy scheme",
    ),
    # A credential store serves every registry, a credential helper one. A helper may also fail because of the network.
    rule(_K.CREDENTIAL_HELPER, rf"{_STORES}.{{0,80}}(?:not found|no such file|not installed|permission denied)"),
    rule(
        _K.CREDENTIAL_HELPER_FAILED,
        (
            r"(?:error getting credentials|credentials? store|docker-credential-)"
            r"(?!.{0,600}(?:no such host|time-?out|timed out|refused|unreachable|reset by peer))"
        ),
    ),
    # Last, because helpers and unpackers also report unknown flags.
    rule(
        _K.CLIENT_USAGE,
        r"unknown (?:shorthand )?flag",
        r"flag (?:provided but not defined|needs an argument)",
        r"requires (?:exactly|at least|at most) \d+ arguments?",
        r"accepts \d+ arg\(s\)",
        rf"is not a {_CLIENTS} command",
        r"only supported on a docker daemon with experimental",
    ),
)
