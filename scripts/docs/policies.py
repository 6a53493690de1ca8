"""Generates the page about policies from all cases: `python -m scripts.docs.policies > docs/policies.md`."""

from collections.abc import Mapping
from dataclasses import dataclass

from puller.engine.model import LocalImage, LocalImages
from puller.image.reference import ImageReference, Platform
from puller.model import PullRequest, Status
from puller.plan.policy import Decision, Step, decide
from puller.registry.resolver import ResolvedTag
from puller.settings import Policy

PAGE = "docs/policies.md"
_NAME = "docker.io/library/nginx"
_NOW, _THEN = "sha256:" + "a" * 64, "sha256:" + "b" * 64
_A, _N, _M, _X = Policy.ALWAYS, Policy.NEWER, Policy.MISSING, Policy.NEVER
_TAG, _DIGEST, _BOTH = "nginx:1.27", f"nginx@{_NOW}", f"nginx:1.27@{_NOW}"

_SINGLE = ResolvedTag(_NOW, single=True)


@dataclass(frozen=True)
class Case:
    """A situation, and the words for what each policy does in it."""

    situation: str
    expected: Mapping[Policy, str]
    text: str = _TAG
    held: tuple[LocalImage, ...] = ()
    says: ResolvedTag | None = _SINGLE
    suits: bool = True
    platform_asked: bool = False

    def __str__(self) -> str:
        """Name the situation."""
        return self.situation

    def play(self, policy: Policy) -> tuple[str, str]:
        """Decide; say what becomes of the image, and what the registry is asked by puller itself."""
        facts = _Facts(self)
        reference = ImageReference.parse(self.text)
        platform = Platform.parse("linux/arm64") if self.platform_asked else None
        decision = decide(policy, PullRequest(reference, platform), LocalImages(self.held), facts)
        return _words(decision), "HEAD" if facts.asked else "-"


class _Facts:
    """The facts of a case."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self.asked = False

    def resolve(self, reference: ImageReference) -> ResolvedTag | None:
        self.asked = True
        return self._case.says

    def mirrored(self, reference: ImageReference) -> bool:
        return False

    def is_image(self, image: LocalImage, request: PullRequest, digest: str) -> bool:
        return False

    def suits(self, image: LocalImage, request: PullRequest) -> bool:
        return self._case.suits


def _words(decision: Decision) -> str:
    if decision.step is Step.PULL:
        return "pull"
    if decision.step is Step.FAIL:
        return "failed"
    status = (decision.status or Status.PRESENT).value
    return f"{status}, tag set" if decision.step is Step.SET_TAG else status


def _held(digest: str, *tags: str, identity: str = "sha256:1") -> LocalImage:
    return LocalImage(identity, tuple(f"{_NAME}:{tag}" for tag in tags), (f"{_NAME}@{digest}",))


def _each(always: str, newer: str, missing: str, never: str) -> dict[Policy, str]:
    return {_A: always, _N: newer, _M: missing, _X: never}


_HERE, _OLD = (_held(_NOW, "1.27"),), (_held(_THEN, "1.27"),)
CASES = (
    Case("missing", _each("pull", "pull", "pull", "failed")),
    Case("present, and the registry has the same", _each("pull", "up_to_date", "present", "present"), held=_HERE),
    Case("present, and the tag has moved in the registry", _each("pull", "pull", "present", "present"), held=_OLD),
    Case(
        "present, but the tag is on another image", _each("pull", "pull", "present", "present"),
        held=(_held(_NOW), _held(_THEN, "1.27", identity="sha256:2")),
    ),
    Case("present, but only under another tag", _each("pull", "pull", "pull", "failed"), held=(_held(_NOW, "other"),)),
    Case("built here, never pulled", _each("pull", "pull", "present", "present"),
         held=(LocalImage("sha256:1", (f"{_NAME}:1.27",)),)),
    Case("the same index, for the engine's platform", _each("pull", "up_to_date", "present", "present"),
         held=_HERE, says=ResolvedTag(_NOW, single=False)),
    Case("the same index, for another platform", _each("pull", "pull", "present", "present"),
         held=_HERE, says=ResolvedTag(_NOW, single=False), suits=False),
    Case("`--platform` is the platform of the image", _each("pull", "up_to_date", "present", "present"),
         held=_HERE, platform_asked=True),
    Case("`--platform` is another platform", _each("pull", "pull", "pull", "failed"),
         held=_HERE, suits=False, platform_asked=True),
    Case("present, and the registry does not answer", _each("pull", "pull", "present", "present"),
         held=_HERE, says=None),
    Case("by digest, missing", _each("pull", "pull", "pull", "failed"), _DIGEST, _OLD),
    Case("by digest, present", _each("pull", "up_to_date", "present", "present"), _DIGEST, _HERE),
    Case("by digest, present for another platform", _each("pull", "pull", "present", "present"), _DIGEST, _HERE,
         suits=False),
    Case("by tag and digest, the tag is right", _each("pull", "up_to_date", "present", "present"), _BOTH, _HERE),
    Case("by tag and digest, the tag is on another image or missing",
         _each("pull", "up_to_date, tag set", "present, tag set", "failed"), _BOTH, (_held(_NOW),)),
    Case("by tag and digest, missing", _each("pull", "pull", "pull", "failed"), _BOTH, _OLD),
)  # fmt: skip

_TOP = """# Policies

Whether an image is pulled depends on `--policy`, on the engine's images and on the registry's answer. puller asks the
engine for its images once per run. Images whose name the engine does not have are pulled at once: they need no
answer of a registry, and do not wait for the answers about other images.

"pull" means that puller asks the engine to pull, as `docker pull` does; the status is then `pulled` or `up_to_date`.
Every other word is the status without a pull, with 0 `attempts`. "tag set" means that puller set the tag in the engine
and downloaded nothing. "failed" is the kind `not_present`. HEAD means that puller sends a HEAD request to the registry:
it downloads no manifest, and no registry counts it as a pull. Without HEAD, nothing uses the network unless the engine
pulls.

| the image is | always | newer | HEAD | missing | never |
| --- | --- | --- | --- | --- | --- |
"""
_END = """
- **newer** is the default. If puller cannot find something out (the registry refuses, does not answer or has a rate
  limit; the engine does not report its images or their platform), it asks the engine to pull and never fails the image.
  If a registry did not answer, or answered 429, puller sends it no more HEAD requests in this run. The report says
  of each image that failed whether one from before the run is still present.
- **platform** is `--platform`, or the platform of the line, or the engine's own, which may differ from that of the
  machine of puller. `missing` and `never` check it only if one was requested, as `docker run` does.
- **by tag and digest**: after a pull, puller also sets the tag. Engines do not.
- **several platforms of one tag** in one list are pulled if the engine can keep them (the containerd store). The graph
  store cannot: then nothing is pulled, each such tag is named, and the exit code is 2.
- On the containerd store, an engine older than API 1.47, or one used with `--backend cli`, reports only the platform
  that it would run: for an image of any other platform, puller always asks the engine to pull.
"""


def page() -> str:
    """Write the page."""
    return _TOP + "".join(map(_row, CASES)) + _END


def _row(case: Case) -> str:
    words = {policy: case.play(policy)[0] for policy in Policy}
    cells = (words[_A], words[_N], case.play(_N)[1], words[_M], words[_X])
    return f"| {case.situation} | {' | '.join(cells)} |\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(page())
