"""Rules about one image: missing, misnamed, damaged, or of a kind that the engine cannot use."""

from puller.errors import FailureKind
from puller.failure.rules import Rule, http, rule

_K = FailureKind
UNPACKING = (
    r"(?:failed to (?:register|extract|unpack|apply|commit) |processing tar|applylayer|applying layer|untar"
    r"|re-exec error|processbaselayer|adding layer)"
)

CONTENT: tuple[Rule, ...] = (
    # containerd's garbage collection removes what a failed attempt left while the next one relies on it.
    rule(_K.CONTENT_LOST, r"failed to check image .{1,200}content digest \S{1,100}:? not found"),
    # Before NOT_FOUND, because the engine's image store also writes "not found".
    rule(
        _K.STORAGE_CORRUPT,
        r"<store>: file exists",
        r"rename <store>.{0,80}(?:file exists|not empty|no such file)",
        r"(?:open|stat|lstat|readlink|chdir|chtimes|symlink|unlinkat) <store>: no such file",
        r"content digest \S{1,100}:? not found",
        r"content store",
        r"(?:parent|snapshot) .{0,200}(?:does not exist|not found|missing)",
        r"layer (?:does not exist|not known)",
        r"(?:layer|snapshot|blob) .{0,200}already exists",
    ),
    rule(
        _K.USERNS_MAPPING,
        r"cannot be mapped to a host id",
        r"l?chown .{0,300}(?:invalid argument|not permitted|value too large)",
        r"subordinate (?:user|group|u?g?id)",
        r"insufficient uids",
        r"not enough (?:available )?(?:uids|gids|ids)",
        r"mknod .{0,300}not permitted",
    ),
    rule(_K.XATTR_UNSUPPORTED, r"xattr.{0,300}(?:not supported|not permitted|invalid argument|unsupported)"),
    rule(
        _K.ROOTFS_MISMATCH,
        r"layers from manifest don't match",
        r"mismatched image rootfs",
        r"wrong diff ?id",
        r"diff_?ids?.{0,60}(?:mismatch|do(?:es)? ?n[o']t match)",
    ),
    rule(
        _K.UNSUPPORTED_MANIFEST,
        r"unsupported (?:manifest )?media ?type",
        r"(?:unexpected|unknown|invalid|unrecognized) (?:layer |manifest )?media ?type",
        r"mediatype in manifest should be",
        r"target is unknown",
        r"ai models are not",
        r"received a manifest list instead",
        r"encountered remote .{1,200} when fetching",
        r"(?:manifest|image).{0,80}(?:schema ?(?:version )?1|v1 format|format v1)",
        r"schema ?(?:version )?1 .{0,80}(?:removed|deprecated|not supported|no longer)",
        r"manifest[ _]invalid",
        r"unsupported (?:manifest|docker v2|schema|layer|image format|compression|docker image)",
        r"manifest .{0,40}(?:is not supported|not supported)",
        r"not (?:a|an) (?:valid )?(?:container |docker |oci )?image\b",
        r"operation on artifact with type",
        http("406"),
    ),
    # Missing layers before missing images.
    rule(
        _K.BLOB_UNKNOWN,
        r"blob[ _]unknown",
        r"unknown blob",
        r"nosuch(?:key|bucket)",
        r"could not fetch content descriptor .{1,200}not found",
        r"<blob>.{0,60}(?:404|not found)",
        r"(?:blob|layer) .{0,200}(?:not found|does not exist|404)",
    ),
    rule(_K.NOT_FOUND_PROXY_RACE, r"artifact <name>@digest not found"),
    rule(_K.REGISTRY_INCIDENT, r"404 page not found", r"\b405 (?:method )?not allowed", http("405")),
    rule(_K.LOCAL_IMAGE_MISSING, r"no such image"),
    rule(
        _K.NOT_FOUND,
        r"(?:manifest|name|tag|repository)[ _]unknown",
        r"(?:repository name|manifest|tag|image|name) (?:is )?not known",
        (
            r"(?:manifest|repository|image|tag|artifact|package|project|namespace|reference|object|resource)\b.{1,400}"
            r"(?:not found|not exist|could not be found|no longer available|was deleted)"
        ),
        r"content at \S{1,100} not found",
        r"no such (?:manifest|repository|tag|project|object)",
        r"does not use the .{1,40} tag",
        r"tag .{1,80} has expired",
        r"<name>: not found",
        r"not[ _]found: ",
        r"\b404 not found",
        http("4(?:04|10)"),
    ),
    rule(
        _K.BAD_REFERENCE,
        r"invalid (?:image )?reference",
        r"invalid (?:repository|image|namespace|tag) name",
        r"must be (?:in )?lower ?case",
        r"(?:name|tag)[ _]invalid",
        r"invalid (?:tag|digest|checksum digest|image name)",
        r"short-name",
        r"did not resolve to an alias",
        r"unqualified-search registries",
        r"not a valid (?:repository|reference|tag|image)",
        r"error parsing reference",
        r"unsupported digest",
        r"repository name must",
    ),
    rule(
        _K.DIGEST_MISMATCH,
        r"verification failed for digest",
        r"unexpected (?:commit )?digest",
        r"(?:digest|checksum)\w{0,2}\b.{0,20}(?:mismatch|did not match|do(?:es)? not match|invalid)",
        r"mismatch\w{0,4} (?:digest|checksum)",
        r"does not match .{0,40}digest",
    ),
    rule(
        _K.SIZE_MISMATCH,
        r"size validation",
        r"size (?:mismatch|invalid|does not match)",
        r"size_invalid",
        r"(?:unexpected|wrong|invalid) (?:blob |layer |commit )?size",
    ),
    rule(
        _K.LAYER_CORRUPT,
        r"invalid checksum",
        r"flate: corrupt",
        r"corrupt input",
        r"crc error",
        r"unpigz: .{0,200}corrupt",
    ),
    rule(
        _K.LAYER_EXTRACT_FAILED,
        r"invalid tar header",
        r"magic number mismatch",
        r"gzip: invalid header",
        r"max depth exceeded",
        r"zstd: ",
    ),
    rule(_K.LAYER_EXTRACT_FAILED, rf"{UNPACKING}.{{0,400}}(?:permission|access is) denied"),
)
