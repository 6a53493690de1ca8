"""Every kind of failure: its class, its origin, a summary and advice. `docs/failures.md` is generated from it."""

from enum import StrEnum
from functools import partial
from typing import NamedTuple

from puller.errors import FailureClass, FailureKind


class Origin(StrEnum):
    """Where the cause of a failure is."""

    NETWORK = "network"
    REGISTRY = "registry"
    CREDENTIALS = "credentials"
    LIST = "list"
    """The request itself: a name, a tag, a platform."""
    HOST = "host"
    ENGINE = "engine"
    PULLER = "puller"


class Meaning(NamedTuple):
    """What is known about every failure of one kind."""

    failure_class: FailureClass
    origin: Origin
    summary: str
    """What happened, as one sentence."""
    advice: str
    """How to fix it, as one sentence."""


_host_fatal = partial(Meaning, FailureClass.HOST_FATAL)
_permanent = partial(Meaning, FailureClass.PERMANENT)
_transient = partial(Meaning, FailureClass.TRANSIENT)
_rate_limited = partial(Meaning, FailureClass.RATE_LIMITED)

KINDS: dict[FailureKind, Meaning] = {
    FailureKind.API_VERSION_MISMATCH: _host_fatal(
        Origin.ENGINE,
        "Client and engine have no API version in common.",
        "Upgrade the older of the two, or unset DOCKER_API_VERSION.",
    ),
    FailureKind.CLIENT_MISSING: _host_fatal(
        Origin.HOST,
        "The docker, podman or nerdctl command is not installed, or not on the PATH.",
        "Install it, or use the Engine API instead (--backend sdk).",
    ),
    FailureKind.CONTAINERD_UNREACHABLE: _host_fatal(
        Origin.ENGINE,
        "The engine runs, but its containerd does not answer.",
        "Restart containerd, then the engine; containerd's log says why it stopped.",
    ),
    FailureKind.CONTEXT_NOT_FOUND: _host_fatal(
        Origin.HOST,
        "The docker context or the engine's address does not exist or is invalid.",
        "Choose an existing context (`docker context ls`), and unset DOCKER_HOST if you use contexts.",
    ),
    FailureKind.CREDENTIAL_HELPER: _host_fatal(
        Origin.HOST,
        "The credential helper that stores all passwords of this client is not installed.",
        "Install it, or remove `credsStore` from ~/.docker/config.json and log in again.",
    ),
    FailureKind.DAEMON_BAD_RESPONSE: _host_fatal(
        Origin.ENGINE,
        "Something other than an engine answers at the engine's address.",
        "Restart the engine (or Docker Desktop), and check that DOCKER_HOST is the address of an engine.",
    ),
    FailureKind.DAEMON_UNREACHABLE: _host_fatal(
        Origin.ENGINE,
        "The engine does not answer.",
        "Start the engine, or set DOCKER_HOST or --context to a running one.",
    ),
    FailureKind.DISK_FULL: _host_fatal(
        Origin.HOST,
        "The engine's disk, disk quota or inodes are used up.",
        "Free disk space at the engine's data root (`puller prune`, `docker system df`); check inodes too (`df -i`).",
    ),
    FailureKind.DNS_BLOCKED: _host_fatal(
        Origin.HOST,
        "The engine is not allowed to open network sockets.",
        "Check the seccomp, SELinux, AppArmor or sandbox settings of the engine.",
    ),
    FailureKind.ENGINE_MISCONFIGURED: _host_fatal(
        Origin.ENGINE,
        "The engine's storage or policy configuration does not work on this host.",
        "Correct the engine's configuration (storage driver, snapshotter, policy.json) and restart it.",
    ),
    FailureKind.ENGINE_PRIVILEGES: _host_fatal(
        Origin.HOST,
        "The engine lacks the privileges to unpack layers.",
        "Run a nested engine with --privileged, a rootless one in a user namespace, each with its own data root.",
    ),
    FailureKind.FD_EXHAUSTED: _host_fatal(
        Origin.HOST,
        "The engine has run out of file descriptors or processes.",
        "Raise LimitNOFILE and TasksMax of the engine's service, or use fewer --jobs.",
    ),
    FailureKind.IO_ERROR: _host_fatal(
        Origin.HOST,
        "The engine's disk has read or write errors.",
        "Check the kernel log (`dmesg`) and the disk's health; a full thin pool causes the same errors.",
    ),
    FailureKind.OUT_OF_MEMORY: _host_fatal(
        Origin.HOST,
        "The host has too little memory to unpack layers.",
        "Free memory, raise the engine's memory limit, or use fewer --jobs.",
    ),
    FailureKind.PROXY_MISCONFIGURED: _host_fatal(
        Origin.HOST,
        "The engine's proxy setting is not a valid address.",
        "Correct HTTP_PROXY and HTTPS_PROXY of the engine's service (http:// is often right, even for HTTPS).",
    ),
    FailureKind.READ_ONLY_FS: _host_fatal(
        Origin.HOST,
        "The engine's disk is mounted read-only.",
        "Find the cause (`dmesg`: often a disk error), fix it, and remount the disk writable.",
    ),
    FailureKind.SOCKET_PERMISSION: _host_fatal(
        Origin.HOST,
        "This user has no permission to use the engine's socket.",
        "Add the user to the group docker, or run as a user who may use the engine's socket.",
    ),
    FailureKind.STORAGE_BROKEN: _host_fatal(
        Origin.ENGINE,
        "The engine cannot create the directory or mount in which it unpacks layers.",
        "Restart the engine and check its data root; if it repeats, move the data root away and pull again.",
    ),
    FailureKind.ACCESS_DENIED: _permanent(
        Origin.CREDENTIALS,
        "The registry does not allow this user to pull the image, or does not have the image.",
        "Check the name; if the repository is private, log in to its registry with `docker login`.",
    ),
    FailureKind.AUTH_EXPIRED: _permanent(
        Origin.CREDENTIALS,
        "The stored token or password has expired.",
        "Get a new one and run `docker login` again.",
    ),
    FailureKind.BAD_MIRROR: _permanent(
        Origin.REGISTRY,
        "The registry, or a mirror of it, does not follow the registry protocol.",
        "Remove the mirror from the engine's settings, or check the registry's address.",
    ),
    FailureKind.BAD_REFERENCE: _permanent(
        Origin.LIST,
        "The image reference is invalid.",
        "Correct the reference: [REGISTRY/]REPOSITORY[:TAG][@DIGEST], in lower case.",
    ),
    FailureKind.BLOB_UNKNOWN: _permanent(
        Origin.REGISTRY,
        "The registry does not have a layer or the configuration of the image.",
        "Push the image again, or choose another tag.",
    ),
    FailureKind.CLIENT_USAGE: _permanent(
        Origin.HOST,
        "The docker, podman or nerdctl command rejected its options or arguments.",
        "Correct the command line (`docker pull --help`), or upgrade a client that is too old for it.",
    ),
    FailureKind.CLOCK_SKEW: _permanent(
        Origin.HOST,
        "The host's clock is slow, so a valid certificate seems not yet valid.",
        "Set the clock of the engine's host (NTP), then run again.",
    ),
    FailureKind.CONTENT_TRUST: _permanent(
        Origin.REGISTRY,
        "The client requires a signature that the image does not have.",
        "Sign the image, or change the policy (DOCKER_CONTENT_TRUST, policy.json).",
    ),
    FailureKind.CREDENTIAL_HELPER_FAILED: _permanent(
        Origin.CREDENTIALS,
        "A credential helper failed to return the password for this registry.",
        "Unlock or repair the helper that ~/.docker/config.json names for this registry.",
    ),
    FailureKind.DIGEST_TAKEN: _permanent(
        Origin.ENGINE,
        "The engine has this digest for another platform, and its image store keeps only one.",
        "Remove the other image (`docker rmi NAME@DIGEST`), or use an engine with the containerd image store.",
    ),
    FailureKind.GEO_BLOCKED: _permanent(
        Origin.REGISTRY,
        "The registry does not serve the country of this host's IP address.",
        "Use a registry or mirror that serves your country.",
    ),
    FailureKind.INTERNAL: _permanent(
        Origin.PULLER,
        "puller has a bug.",
        "Please report it with the message.",
    ),
    FailureKind.LAYER_EXTRACT_FAILED: _permanent(
        Origin.ENGINE,
        "The engine cannot unpack a layer, although it was downloaded completely.",
        "Upgrade the engine (zstd layers need a recent one); check virus scanners and the storage driver.",
    ),
    FailureKind.LOCAL_IMAGE_MISSING: _permanent(
        Origin.ENGINE,
        "The engine does not have the image, and the message does not say why the pull failed.",
        "Pull it by hand (`docker pull`) to see the reason.",
    ),
    FailureKind.NO_MATCHING_PLATFORM: _permanent(
        Origin.LIST,
        "The image exists, but not for this platform.",
        "Choose another tag or another --platform.",
    ),
    FailureKind.NOT_FOUND: _permanent(
        Origin.LIST,
        "The registry has no such repository or tag.",
        "Check the repository and the tag.",
    ),
    FailureKind.NOT_PRESENT: _permanent(
        Origin.LIST,
        "The engine does not have this image, and the policy `never` does not allow a pull.",
        "Use another `--policy`, or load the image some other way.",
    ),
    FailureKind.POLICY_BLOCKED: _permanent(
        Origin.REGISTRY,
        "The registry's policy blocks this image, often because of its vulnerabilities.",
        "Choose a newer tag, or ask the registry's administrator for an exception.",
    ),
    FailureKind.PROXY_REFUSED: _permanent(
        Origin.NETWORK,
        "The proxy between engine and registry refuses the connection.",
        "Add credentials to the engine's proxy setting, or allow the registry on the proxy.",
    ),
    FailureKind.ROOTFS_MISMATCH: _permanent(
        Origin.REGISTRY,
        "The image is inconsistent: its layers do not match its configuration.",
        "Report it to the image's publisher, or choose another tag.",
    ),
    FailureKind.STORAGE_CORRUPT: _permanent(
        Origin.ENGINE,
        "The engine's image store has a damaged copy of one of this image's layers.",
        "Remove the images that share the layer (`docker image rm`), or repair the engine's data root.",
    ),
    FailureKind.TLS_CONFIG: _permanent(
        Origin.HOST,
        "Engine and registry do not agree on a TLS version, a cipher, a client certificate, or whether to use TLS.",
        "For a plain HTTP registry set insecure-registries; otherwise check its TLS settings and client certificates.",
    ),
    FailureKind.TOKEN_RESPONSE_INVALID: _permanent(
        Origin.REGISTRY,
        "The answer of the registry's token service has no valid token.",
        "Check the registry's authentication settings, and proxies or login pages in front of it.",
    ),
    FailureKind.UNAUTHORIZED: _permanent(
        Origin.CREDENTIALS,
        "The registry requires a login; the credentials are missing or wrong.",
        "Log in to this registry with `docker login`.",
    ),
    FailureKind.UNSUPPORTED_MANIFEST: _permanent(
        Origin.LIST,
        "This is not a container image, or the engine does not know its format.",
        "Check that the reference names an image, and upgrade the engine for newer formats.",
    ),
    FailureKind.USERNS_MAPPING: _permanent(
        Origin.HOST,
        "The image has file owners or devices that the engine's user namespace cannot map.",
        "Enlarge the ranges in /etc/subuid and /etc/subgid, or use an engine that runs as root.",
    ),
    FailureKind.X509_EXPIRED: _permanent(
        Origin.REGISTRY,
        "The registry's certificate has expired.",
        "Renew it; if it is valid, check the clock of the engine's host.",
    ),
    FailureKind.X509_LEGACY_CN: _permanent(
        Origin.REGISTRY,
        "The registry's certificate has no subjectAltName; a common name alone is no longer accepted.",
        "Issue a certificate with a subjectAltName.",
    ),
    FailureKind.X509_UNTRUSTED: _permanent(
        Origin.HOST,
        "The engine does not trust the authority that signed the registry's certificate.",
        "Give the engine the registry's CA certificate: /etc/docker/certs.d/REGISTRY/ca.crt.",
    ),
    FailureKind.X509_WRONG_HOST: _permanent(
        Origin.NETWORK,
        "The certificate is for another host name: this may not be the registry.",
        "Check the registry's address, the host's DNS, and proxies or login pages in front of the registry.",
    ),
    FailureKind.XATTR_UNSUPPORTED: _permanent(
        Origin.HOST,
        "The engine's file system does not support the extended attributes of the image's files.",
        "Move the engine's data root to a file system with extended attributes (ext4, xfs).",
    ),
    FailureKind.AUTH_SERVICE_FAILURE: _transient(
        Origin.REGISTRY,
        "The registry's token service refuses an anonymous token, which it normally grants to everybody.",
        "Run again later; check the registry's status page, and proxies in front of it.",
    ),
    FailureKind.CANCELLED: _transient(
        Origin.PULLER,
        "The pull was cancelled before it finished.",
        "Run the same list again: images that are already present are not pulled again.",
    ),
    FailureKind.CONNECTION_REFUSED: _transient(
        Origin.REGISTRY,
        "Nothing listens at the registry's address.",
        "Check the registry's address, and that the registry is running.",
    ),
    FailureKind.CONNECTION_RESET: _transient(
        Origin.NETWORK,
        "The connection was reset during the transfer.",
        "Run again; if it repeats, check proxies and MTU.",
    ),
    FailureKind.DIGEST_MISMATCH: _transient(
        Origin.REGISTRY,
        "The downloaded content does not have the expected digest.",
        "Run again; if it repeats, check proxies and caches in front of the registry.",
    ),
    FailureKind.DNS_FAILURE: _transient(
        Origin.NETWORK,
        "The registry's name does not resolve.",
        "Check the spelling of the registry and this host's DNS.",
    ),
    FailureKind.ENGINE_DISCONNECTED: _transient(
        Origin.ENGINE,
        "The engine stopped during the pull and came back.",
        "Check the engine's log for the reason.",
    ),
    FailureKind.HTTP2_GOAWAY: _transient(
        Origin.NETWORK,
        "The server closed a shared HTTP/2 connection.",
        "Run again: servers close such connections when they restart.",
    ),
    FailureKind.CONTENT_LOST: _transient(
        Origin.ENGINE,
        "The engine removed content that it had fetched before the pull finished.",
        "Run again; if it repeats, check what prunes images at that time, and the engine's log.",
    ),
    FailureKind.LAYER_CORRUPT: _transient(
        Origin.NETWORK,
        "A downloaded layer is damaged and cannot be decompressed.",
        "Run again; if it repeats, the image itself is damaged: report it to its publisher.",
    ),
    FailureKind.LOGIN_THROTTLED: _rate_limited(
        Origin.CREDENTIALS,
        "The registry blocks logins after too many wrong passwords.",
        "Correct the stored credentials (`docker logout`, `docker login`) before you run again.",
    ),
    FailureKind.NETWORK_UNREACHABLE: _transient(
        Origin.NETWORK,
        "There is no route to the registry.",
        "Check the host's network, IPv6, VPN and firewall.",
    ),
    FailureKind.NOT_FOUND_PROXY_RACE: _transient(
        Origin.REGISTRY,
        "A caching registry announced the image, but has not cached it yet.",
        "Run again: the cache fills in the background.",
    ),
    FailureKind.PROXY_ERROR: _transient(
        Origin.NETWORK,
        "The proxy between engine and registry fails or does not answer.",
        "Check that the engine's proxy (HTTPS_PROXY of its service) runs and reaches the registry.",
    ),
    FailureKind.RATE_LIMITED: _rate_limited(
        Origin.REGISTRY,
        "The registry's rate limit is exceeded.",
        "Run fewer pulls at a time from this registry (--per-registry), or use a mirror.",
    ),
    FailureKind.REGISTRY_5XX: _transient(
        Origin.REGISTRY,
        "The registry has a server error.",
        "Run again later, and check the registry's status page.",
    ),
    FailureKind.REGISTRY_INCIDENT: _transient(
        Origin.REGISTRY,
        "A proxy or load balancer answered instead of the registry.",
        "Run again later; if it repeats, check the registry's address and its load balancer.",
    ),
    FailureKind.REGISTRY_PING_FAILED: _transient(
        Origin.REGISTRY,
        "The registry did not say which protocol version it supports.",
        "Run again; if it repeats, this is not a registry, or a very old one.",
    ),
    FailureKind.REGISTRY_UNAVAILABLE: _transient(
        Origin.REGISTRY,
        "Too many connections to this registry failed in a row, so puller stopped trying.",
        "Run again when the registry is available.",
    ),
    FailureKind.REMOTE_AUTO_BLOCKED: _rate_limited(
        Origin.REGISTRY,
        "A caching registry has stopped asking its upstream registry for a while.",
        "Wait until the time in the message, or unblock the remote in the caching registry's settings.",
    ),
    FailureKind.SCAN_PENDING: _transient(
        Origin.REGISTRY,
        "The registry has not finished scanning the image.",
        "Run again in a few minutes.",
    ),
    FailureKind.SIZE_MISMATCH: _transient(
        Origin.REGISTRY,
        "The downloaded content does not have the size that the manifest announces.",
        "Run again; if it repeats, restart containerd to discard its partial download.",
    ),
    FailureKind.STALLED: _transient(
        Origin.NETWORK,
        "The transfer made no progress for too long.",
        "Run again, or raise --stall-timeout for slow links.",
    ),
    FailureKind.TIMEOUT: _transient(
        Origin.NETWORK,
        "No answer arrived in time.",
        "Run again, or raise --timeout for slow links.",
    ),
    FailureKind.TLS_HANDSHAKE_TIMEOUT: _transient(
        Origin.NETWORK,
        "The connection was opened, but the TLS handshake did not finish in time.",
        "Run again, with fewer --jobs on a slow link; if it repeats, check proxies and MTU.",
    ),
    FailureKind.TOKEN_EXPIRED: _transient(
        Origin.REGISTRY,
        "The registry's access token expired during the pull.",
        "Run again: a new pull gets a new token; if it repeats, check the host's clock.",
    ),
    FailureKind.UNCLASSIFIED: _transient(
        Origin.PULLER,
        "puller does not know this error message.",
        "Please report the whole message.",
    ),
    FailureKind.UNEXPECTED_EOF: _transient(
        Origin.NETWORK,
        "The connection was closed before the end of the content.",
        "Run again; if it repeats, check proxies and the engine's log.",
    ),
    FailureKind.X509_SIGNATURE_CORRUPT: _transient(
        Origin.NETWORK,
        "A certificate arrived damaged.",
        "Run again; if it repeats, something alters the traffic, or the host's memory is faulty.",
    ),
}
