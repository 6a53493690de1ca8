"""What a registry says when it wants to know who asks: the header WWW-Authenticate."""

import re
from dataclasses import dataclass, field

_WORD = r"[!#$%&'*+.^`|~\w-]+"
_PARAMETER = re.compile(rf'[\s,]*({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))', re.ASCII)
_SCHEME = re.compile(rf"[\s,]*({_WORD})", re.ASCII)
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to answer a 401 (RFC 9110 "WWW-Authenticate")."""

    scheme: str
    """In small letters: `basic`, `bearer`."""
    parameters: dict[str, str] = field(default_factory=dict)
    """Names in small letters: `realm`, `service`, `scope`."""

    def without(self, name: str) -> "Challenge":
        """Return the same challenge without one of its parameters."""
        return Challenge(self.scheme, {key: value for key, value in self.parameters.items() if key != name})


def parse(header: str) -> tuple[Challenge, ...]:
    """Read all challenges of a header, or of several joined by commas; what makes no sense ends the reading."""
    found: list[Challenge] = []
    place = 0
    while True:
        if match := _PARAMETER.match(header, place):
            if found:
                name, quoted, plain = match.groups()
                value = plain if quoted is None else _ESCAPED.sub(r"\1", quoted)
                found[-1].parameters.setdefault(name.lower(), value)
        elif match := _SCHEME.match(header, place):
            found.append(Challenge(match[1].lower()))
        else:
            return tuple(found)
        place = match.end()


def choose(header: str) -> Challenge | None:
    """Choose the challenge to answer: Bearer where it says where tokens are, else Basic."""
    challenges = parse(header)
    bearers = (each for each in challenges if each.scheme == "bearer" and each.parameters.get("realm"))
    return next(bearers, None) or next((each for each in challenges if each.scheme == "basic"), None)
