"""The page about policies, made by playing every case: `python -m scripts.docs.policies > docs/policies.md`."""

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

    def announced(self, reference: ImageReference) -> ResolvedTag | None:
        self.asked = True
        return self._case.says

    def mirrored(self, reference: ImageReference) -> bool:
        return False

    def is_image(self, held: LocalImage, request: PullRequest, digest: str) -> bool:
        return False

    def suits(self, held: LocalImage, request: PullRequest) -> bool:
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
    Case("not there", _each("pull", "pull", "pull", "failed")),
    Case("there, and the registry has the same", _each("pull", "up_to_date", "present", "present"), held=_HERE),
    Case("there, and the tag has moved in the registry", _each("pull", "pull", "present", "present"), held=_OLD),
    Case(
        "the tag was given to another image here", _each("pull", "pull", "present", "present"),
        held=(_held(_NOW), _held(_THEN, "1.27", identity="sha256:2")),
    ),
    Case("there, but only under another tag", _each("pull", "pull", "pull", "failed"), held=(_held(_NOW, "other"),)),
    Case("built here, never pulled", _each("pull", "pull", "present", "present"),
         held=(LocalImage("sha256:1", (f"{_NAME}:1.27",)),)),
    Case("the same index, for the engine's platform", _each("pull", "up_to_date", "present", "present"),
         held=_HERE, says=ResolvedTag(_NOW, single=False)),
    Case("the same index, for another platform", _each("pull", "pull", "present", "present"),
         held=_HERE, says=ResolvedTag(_NOW, single=False), suits=False),
    Case("`--platform` is the one that is there", _each("pull", "up_to_date", "present", "present"),
         held=_HERE, platform_asked=True),
    Case("`--platform` is another one", _each("pull", "pull", "pull", "failed"),
         held=_HERE, suits=False, platform_asked=True),
    Case("there, and the registry does not tell", _each("pull", "pull", "present", "present"),
         held=_HERE, says=None),
    Case("by digest, not there", _each("pull", "pull", "pull", "failed"), _DIGEST, _OLD),
    Case("by digest, there", _each("pull", "up_to_date", "present", "present"), _DIGEST, _HERE),
    Case("by digest, there for another platform", _each("pull", "pull", "present", "present"), _DIGEST, _HERE,
         suits=False),
    Case("by tag and digest, the tag stands for it", _each("pull", "up_to_date", "present", "present"), _BOTH, _HERE),
    Case("by tag and digest, the tag is elsewhere or absent",
         _each("pull", "up_to_date, tag set", "present, tag set", "failed"), _BOTH, (_held(_NOW),)),
    Case("by tag and digest, not there", _each("pull", "pull", "pull", "failed"), _BOTH, _OLD),
)  # fmt: skip

_TOP = """# Policies

When an image is pulled, by what `--policy` says, what the engine holds, and what the registry says.
What the engine holds is asked once for a whole run.

"pull" means that the engine is asked to pull, as `docker pull` does: it asks the registry itself, and the image ends as
`pulled` or `up_to_date`. Every other word is the image's status without a pull; `attempts` is 0 then. "tag set" means
that the name was changed on the engine and nothing was fetched. "failed" is the kind `not_present`.
HEAD is the one question that puller itself asks the registry: no manifest is fetched, and no registry counts it as a
pull. Where there is none, nothing goes over the network unless the engine pulls.

| the image is | always | newer | HEAD | missing | never |
| --- | --- | --- | --- | --- | --- |
"""
_END = """
- **newer** is the default. Whatever puller cannot learn (the registry refuses, is silent, wants to be left alone; the
  engine does not say what it holds or for which platform) is a reason to ask the engine, never a failed image. A
  registry that was silent, or answered 429, is not asked again by puller in the same run.
- **platform**: `--platform`, or that of a line, or else the engine's own (not that of the machine on which puller
  runs). `missing` and `never` look at it only where one was asked for, as `docker run` does.
- **by tag and digest**: after a pull, too, the tag stands for the digest. Engines leave it where it was.
- **several platforms of one tag** in one list are pulled where the engine keeps them (the containerd store). The graph
  store cannot: then nothing is pulled, each such tag is named, and the exit code is 2.
- On the containerd store an engine older than API 1.47, or one behind `--backend cli`, tells only the platform that it
  would run: an image for any other platform is always left to the engine.
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
