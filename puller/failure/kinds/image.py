"""What stays wrong for an image until somebody changes something: names, rights, certificates, content."""

from puller.errors import FailureClass, FailureKind
from puller.failure.kinds.meaning import Meaning, Origin

_K, _O, _STAYS = FailureKind, Origin, FailureClass.PERMANENT

IMAGE: dict[FailureKind, Meaning] = {
    _K.ACCESS_DENIED: Meaning(
        _STAYS,
        _O.CREDENTIALS,
        "The registry does not give this image to this user, or does not have it.",
        "Check the name; if the repository is private, `docker login` to its registry.",
    ),
    _K.AUTH_EXPIRED: Meaning(
        _STAYS,
        _O.CREDENTIALS,
        "The stored token or password has run out.",
        "Get a new one and `docker login` again.",
    ),
    _K.BAD_MIRROR: Meaning(
        _STAYS,
        _O.REGISTRY,
        "The registry or a mirror in front of it does not speak the protocol.",
        "Remove the mirror from the engine's settings, or check the registry's address.",
    ),
    _K.BAD_REFERENCE: Meaning(
        _STAYS,
        _O.LIST,
        "This is no image reference.",
        "Correct the reference: [REGISTRY/]REPOSITORY[:TAG][@DIGEST], in lower case.",
    ),
    _K.BLOB_UNKNOWN: Meaning(
        _STAYS,
        _O.REGISTRY,
        "The registry lost a part of the image.",
        "Push the image again, or choose another tag.",
    ),
    _K.CLIENT_USAGE: Meaning(
        _STAYS,
        _O.HOST,
        "The client does not know what it was asked for: an option, a command, or how many words there are.",
        "Correct the command line (`docker pull --help`), or upgrade a client that is too old for it.",
    ),
    _K.CLOCK_SKEW: Meaning(
        _STAYS,
        _O.HOST,
        "The host's clock is behind, so a valid certificate seems to lie in the future.",
        "Set the clock of the engine's host (NTP), then run again.",
    ),
    _K.CONTENT_TRUST: Meaning(
        _STAYS,
        _O.REGISTRY,
        "The client demands a signature that the image does not have.",
        "Have the image signed, or change the policy (DOCKER_CONTENT_TRUST, policy.json).",
    ),
    _K.CREDENTIAL_HELPER_FAILED: Meaning(
        _STAYS,
        _O.CREDENTIALS,
        "A credential helper could not give the password for this registry.",
        "Unlock or repair the helper that ~/.docker/config.json names for this registry.",
    ),
    _K.DIGEST_TAKEN: Meaning(
        _STAYS,
        _O.ENGINE,
        "The engine has this digest for another platform, and cannot have it for two.",
        "Remove the other one (`docker rmi NAME@DIGEST`), or use an engine with the containerd image store.",
    ),
    _K.GEO_BLOCKED: Meaning(
        _STAYS,
        _O.REGISTRY,
        "The registry does not serve the country this host seems to be in.",
        "Use a registry or mirror that may serve you.",
    ),
    _K.INTERNAL: Meaning(
        _STAYS,
        _O.PULLER,
        "puller made a mistake.",
        "Please report this with the message.",
    ),
    _K.LAYER_EXTRACT_FAILED: Meaning(
        _STAYS,
        _O.ENGINE,
        "A layer arrived whole, but the engine cannot unpack it.",
        "Upgrade the engine (zstd layers need a new one); check virus scanners and the storage driver.",
    ),
    _K.LOCAL_IMAGE_MISSING: Meaning(
        _STAYS,
        _O.ENGINE,
        "The engine does not have the image; why the pull failed was not passed on.",
        "Pull it once by hand (`docker pull`) to see the reason.",
    ),
    _K.NO_MATCHING_PLATFORM: Meaning(
        _STAYS,
        _O.LIST,
        "The image exists, but not for this platform.",
        "Choose another tag or --platform.",
    ),
    _K.NOT_FOUND: Meaning(
        _STAYS,
        _O.LIST,
        "The registry has no such repository or tag.",
        "Check the repository and the tag.",
    ),
    _K.NOT_PRESENT: Meaning(
        _STAYS,
        _O.LIST,
        "The engine does not have this image, and the policy `never` forbids to pull it.",
        "Run again with another `--policy`, or bring the image there another way.",
    ),
    _K.POLICY_BLOCKED: Meaning(
        _STAYS,
        _O.REGISTRY,
        "The registry's policy forbids this image, often for its vulnerabilities.",
        "Choose a newer tag, or ask the registry's administrator for an exception.",
    ),
    _K.PROXY_REFUSED: Meaning(
        _STAYS,
        _O.NETWORK,
        "The proxy between engine and registry says no.",
        "Give the engine's proxy setting its credentials, or have the registry allowed there.",
    ),
    _K.ROOTFS_MISMATCH: Meaning(
        _STAYS,
        _O.REGISTRY,
        "The image contradicts itself: its layers are not those of its configuration.",
        "Tell the image's publisher, or choose another tag.",
    ),
    _K.STORAGE_CORRUPT: Meaning(
        _STAYS,
        _O.ENGINE,
        "The engine's store has a damaged leftover of one of this image's layers.",
        "Remove the images that share the layer (`docker image rm`), or mend the engine's data root.",
    ),
    _K.TLS_CONFIG: Meaning(
        _STAYS,
        _O.HOST,
        "Engine and registry do not agree on how to encrypt, or whether to.",
        "For a plain HTTP registry set insecure-registries; else check its TLS settings and client certificates.",
    ),
    _K.TOKEN_RESPONSE_INVALID: Meaning(
        _STAYS,
        _O.REGISTRY,
        "What the token service answers is no token.",
        "Check the registry's authentication settings, and proxies or login pages in between.",
    ),
    _K.UNAUTHORIZED: Meaning(
        _STAYS,
        _O.CREDENTIALS,
        "The registry wants a login; the credentials are missing or wrong.",
        "Log in again: `docker login` to this registry.",
    ),
    _K.UNSUPPORTED_MANIFEST: Meaning(
        _STAYS,
        _O.LIST,
        "This is no container image, or not of a format that the engine knows.",
        "Check that the name means an image, and upgrade the engine for newer formats.",
    ),
    _K.USERNS_MAPPING: Meaning(
        _STAYS,
        _O.HOST,
        "The image has file owners or devices that this engine's user namespace cannot have.",
        "Enlarge the ranges in /etc/subuid and /etc/subgid, or use an engine that runs as root.",
    ),
    _K.X509_EXPIRED: Meaning(
        _STAYS,
        _O.REGISTRY,
        "The registry's certificate has run out.",
        "Have it renewed; if it is valid, check the clock of the engine's host.",
    ),
    _K.X509_LEGACY_CN: Meaning(
        _STAYS,
        _O.REGISTRY,
        "The registry's certificate names its host in a way that is no longer accepted.",
        "Issue it anew with a subjectAltName.",
    ),
    _K.X509_UNTRUSTED: Meaning(
        _STAYS,
        _O.HOST,
        "The engine does not trust who signed the registry's certificate.",
        "Give the engine the registry's CA: /etc/docker/certs.d/REGISTRY/ca.crt.",
    ),
    _K.X509_WRONG_HOST: Meaning(
        _STAYS,
        _O.NETWORK,
        "The certificate belongs to another host: this may not be the registry.",
        "Check the registry's address, the host's DNS, and proxies or login pages in between.",
    ),
    _K.XATTR_UNSUPPORTED: Meaning(
        _STAYS,
        _O.HOST,
        "The engine's file system cannot store attributes that the image's files have.",
        "Move the engine's data root to a file system with extended attributes (ext4, xfs).",
    ),
}
"""Kinds of the class permanent."""
