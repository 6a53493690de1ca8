"""What stops every image of a run: the engine, its storage, and this machine."""

from puller.errors import FailureClass, FailureKind
from puller.failure.kinds.meaning import Meaning, Origin

_K, _O, _FATAL = FailureKind, Origin, FailureClass.HOST_FATAL

HOST: dict[FailureKind, Meaning] = {
    _K.API_VERSION_MISMATCH: Meaning(
        _FATAL,
        _O.ENGINE,
        "Client and engine share no API version.",
        "Upgrade the older of the two, or unset DOCKER_API_VERSION.",
    ),
    _K.CLIENT_MISSING: Meaning(
        _FATAL,
        _O.HOST,
        "The command line of docker, podman or nerdctl is not installed here, or not on the PATH.",
        "Install it, or ask the engine without it (--backend sdk).",
    ),
    _K.CONTAINERD_UNREACHABLE: Meaning(
        _FATAL,
        _O.ENGINE,
        "The engine runs, but its containerd does not answer it.",
        "Restart containerd and then the engine; containerd's log says why it stopped.",
    ),
    _K.CONTEXT_NOT_FOUND: Meaning(
        _FATAL,
        _O.HOST,
        "The client does not know which engine is meant.",
        "Choose a context that exists (`docker context ls`), and unset DOCKER_HOST if you use contexts.",
    ),
    _K.CREDENTIAL_HELPER: Meaning(
        _FATAL,
        _O.HOST,
        "The program that keeps all passwords of this client is not installed.",
        "Install it, or remove `credsStore` from ~/.docker/config.json and log in again.",
    ),
    _K.DAEMON_BAD_RESPONSE: Meaning(
        _FATAL,
        _O.ENGINE,
        "Something answers in the engine's place, but not as an engine.",
        "Restart the engine (or Docker Desktop), and check that DOCKER_HOST leads to an engine.",
    ),
    _K.DAEMON_UNREACHABLE: Meaning(
        _FATAL,
        _O.ENGINE,
        "No engine answers.",
        "Start the engine, or point DOCKER_HOST or --context at one that runs.",
    ),
    _K.DISK_FULL: Meaning(
        _FATAL,
        _O.HOST,
        "The engine's disk, or its quota or inodes, are used up.",
        "Free space at the engine's data root (`docker system df`, `docker image prune`); mind inodes (`df -i`).",
    ),
    _K.DNS_BLOCKED: Meaning(
        _FATAL,
        _O.HOST,
        "The engine is not allowed to open network sockets.",
        "Allow it: look at seccomp, SELinux or AppArmor, and at the sandbox it runs in.",
    ),
    _K.ENGINE_MISCONFIGURED: Meaning(
        _FATAL,
        _O.ENGINE,
        "The engine's storage or policy settings cannot work on this host.",
        "Correct the engine's configuration (storage driver, snapshotter, policy.json) and restart it.",
    ),
    _K.ENGINE_PRIVILEGES: Meaning(
        _FATAL,
        _O.HOST,
        "The engine lacks rights that unpacking any layer needs.",
        "Give a nested engine --privileged, a rootless one its user namespace, and the engine its own data root.",
    ),
    _K.FD_EXHAUSTED: Meaning(
        _FATAL,
        _O.HOST,
        "The engine has no more file descriptors or processes.",
        "Raise LimitNOFILE and TasksMax of the engine's service, or use fewer --jobs.",
    ),
    _K.IO_ERROR: Meaning(
        _FATAL,
        _O.HOST,
        "The engine's disk does not read or write.",
        "Look at the kernel log (`dmesg`) and the disk's health; a full thin pool looks the same.",
    ),
    _K.OUT_OF_MEMORY: Meaning(
        _FATAL,
        _O.HOST,
        "The host has no memory left for unpacking.",
        "Free memory or raise the engine's limit, or use fewer --jobs.",
    ),
    _K.PROXY_MISCONFIGURED: Meaning(
        _FATAL,
        _O.HOST,
        "The engine's proxy setting is not a usable address.",
        "Correct HTTP_PROXY and HTTPS_PROXY of the engine's service (often http:// is meant, not https://).",
    ),
    _K.READ_ONLY_FS: Meaning(
        _FATAL,
        _O.HOST,
        "The engine's disk is mounted read-only.",
        "Find out why (`dmesg`: often a disk error), mend it, and remount it writable.",
    ),
    _K.SOCKET_PERMISSION: Meaning(
        _FATAL,
        _O.HOST,
        "This user may not use the engine's socket.",
        "Join the docker group, or run as a user who may use the engine's socket.",
    ),
    _K.STORAGE_BROKEN: Meaning(
        _FATAL,
        _O.ENGINE,
        "The engine cannot set up the place where layers are unpacked.",
        "Restart the engine and check its data root; if it repeats, move the data root away and pull anew.",
    ),
}
"""Kinds of the class host_fatal."""
