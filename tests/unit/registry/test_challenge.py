"""The header WWW-Authenticate, in the shapes that registries send."""

import pytest

from puller.registry.auth import choose_challenge as choose, parse_challenges as parse
from puller.registry.responses import Challenge

BEARER = 'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"'


@pytest.mark.parametrize(
    ("header", "challenges"),
    [
        ("", []),
        ("Basic", [("basic", {})]),
        ('Basic realm="lab"', [("basic", {"realm": "lab"})]),
        (
            BEARER,
            [
                (
                    "bearer",
                    {
                        "realm": "https://auth.example/token",
                        "service": "registry.example",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        ('Bearer realm="a" , Basic realm="b"', [("bearer", {"realm": "a"}), ("basic", {"realm": "b"})]),
        ('Negotiate, BASIC Realm="b, c=d"', [("negotiate", {}), ("basic", {"realm": "b, c=d"})]),
        (
            "Bearer realm=https://auth.example/token,service=x",
            [("bearer", {"realm": "https://auth.example/token", "service": "x"})],
        ),
        ('Bearer realm = "a",, service = "b" ', [("bearer", {"realm": "a", "service": "b"})]),
        (r'Basic realm="say \"x\" \\"', [("basic", {"realm": 'say "x" \\'})]),
        ('Bearer realm="open', [("bearer", {"realm": ""})]),
        ('Bearer realm="a",realm="b"', [("bearer", {"realm": "a"})]),
        ('realm="a"', []),
        ("\x00\xff", []),
    ],
)
def test_challenges_are_read(header: str, challenges: list[tuple[str, dict[str, str]]]) -> None:
    """Quoted commas, several challenges, white space, escapes, nonsense."""
    assert parse(header) == tuple(Challenge(*each) for each in challenges)


@pytest.mark.parametrize(
    ("header", "scheme"),
    [
        (BEARER, "bearer"),
        (f"Basic realm=x, {BEARER}", "bearer"),
        ('Bearer error="x", Basic realm="y"', "basic"),
        ("Bearer", None),
        ("Negotiate", None),
    ],
)
def test_a_token_is_better_than_a_password(header: str, scheme: str | None) -> None:
    """Bearer first, where it says where the tokens are."""
    chosen = choose(header)
    assert (chosen.scheme if chosen else None) == scheme


def test_a_long_header_takes_no_time() -> None:
    """Nothing here is worse than linear."""
    for nonsense in ('"', "a", "a=", 'a="', ",", "\\", 'a="\\'):
        parse("Bearer " + nonsense * 60_000)
