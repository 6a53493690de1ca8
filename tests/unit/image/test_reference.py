"""References and platforms: what is accepted, what it means, what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings, strategies as st
from pytest_mock import MockerFixture

from puller.image.reference import ImageReference, Platform

HEX = "0123456789abcdef" * 4
SHA256 = f"sha256:{HEX}"
SHA512 = f"sha512:{HEX * 2}"


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest"),
    [
        ("nginx", "docker.io", "library/nginx", "latest", None),
        ("nginx:1.27", "docker.io", "library/nginx", "1.27", None),
        ("team/app", "docker.io", "team/app", "latest", None),
        ("docker.io/nginx", "docker.io", "library/nginx", "latest", None),
        ("docker.io/library/nginx:latest", "docker.io", "library/nginx", "latest", None),
        ("index.docker.io/nginx", "docker.io", "library/nginx", "latest", None),
        ("index.docker.io/team/app", "docker.io", "team/app", "latest", None),
        ("docker.io/library/a/b", "docker.io", "library/a/b", "latest", None),
        ("registry-1.docker.io/library/nginx", "registry-1.docker.io", "library/nginx", "latest", None),
        ("ghcr.io/a/b/c/d:v1_2-3.4", "ghcr.io", "a/b/c/d", "v1_2-3.4", None),
        ("localhost", "docker.io", "library/localhost", "latest", None),
        ("localhost/x", "localhost", "x", "latest", None),
        ("localhost:5000/x", "localhost:5000", "x", "latest", None),
        ("foo:5000", "docker.io", "library/foo", "5000", None),
        ("foo:5000/x", "foo:5000", "x", "latest", None),
        ("foo:5000/x:5000", "foo:5000", "x", "5000", None),
        ("10.0.0.1:443/x", "10.0.0.1:443", "x", "latest", None),
        ("[::1]/x", "[::1]", "x", "latest", None),
        ("[::1]:5000/x:1", "[::1]:5000", "x", "1", None),
        ("[2001:db8::1]:5000/a/b", "[2001:db8::1]:5000", "a/b", "latest", None),
        ("Registry.Example/x", "Registry.Example", "x", "latest", None),
        ("HOST/x", "HOST", "x", "latest", None),
        ("my_team/x", "docker.io", "my_team/x", "latest", None),
        ("a.b", "docker.io", "library/a.b", "latest", None),
        ("a__b", "docker.io", "library/a__b", "latest", None),
        ("a----b", "docker.io", "library/a----b", "latest", None),
        ("nginx:_x", "docker.io", "library/nginx", "_x", None),
        ("nginx:LATEST", "docker.io", "library/nginx", "LATEST", None),
        (f"nginx:{'t' * 128}", "docker.io", "library/nginx", "t" * 128, None),
        (f"nginx@{SHA256}", "docker.io", "library/nginx", None, SHA256),
        (f"nginx@{SHA512}", "docker.io", "library/nginx", None, SHA512),
        (f"nginx:1.27@{SHA256}", "docker.io", "library/nginx", "1.27", SHA256),
        (f"localhost:5000/a/b:1@{SHA256}", "localhost:5000", "a/b", "1", SHA256),
        (f"sha256:{HEX}", "docker.io", "library/sha256", HEX, None),
        (f"team/{HEX}", "docker.io", f"team/{HEX}", "latest", None),
        ("r.io/" + "a" * 255, "r.io", "a" * 255, "latest", None),
    ],
)
def test_a_reference_means_what_the_engine_says(
    text: str, registry: str, repository: str, tag: str | None, digest: str | None
) -> None:
    """Docker Hub, `library/` and `latest` are the defaults; a host is what has a dot, a port or is localhost."""
    parsed = ImageReference.parse(text)
    assert (parsed.registry, parsed.repository, parsed.tag, parsed.digest) == (registry, repository, tag, digest)
    assert (parsed.text, str(parsed)) == (text, text)
    assert parsed.name == f"{registry}/{repository}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "at least one component"),
        (":1", "invalid reference format"),
        ("nginx:", "invalid reference format"),
        ("nginx:-x", "invalid reference format"),
        ("nginx:.x", "invalid reference format"),
        (f"nginx:{'t' * 129}", "invalid reference format"),
        ("NGINX", "must be lowercase"),
        ("r.io/Team/app", "must be lowercase"),
        ("a//b", "invalid reference format"),
        ("/a", "invalid reference format"),
        ("a/", "invalid reference format"),
        ("a..b", "invalid reference format"),
        ("a___b", "invalid reference format"),
        ("-a", "invalid reference format"),
        ("a-", "invalid reference format"),
        ("my_host:5000/x", "invalid reference format"),
        ("host:/x", "invalid reference format"),
        ("[::1/x", "invalid reference format"),
        ("::1/x", "invalid reference format"),
        (HEX, "cannot specify 64-byte hexadecimal strings"),
        ("r.io/" + "a" * 256, "must not be more than 255 characters"),
        ("a/" * 200 + "a", "must not be more than 255 characters"),
        ("nginx@", "invalid reference format"),
        ("nginx@sha256:abc", "invalid"),
        (f"nginx@sha256:{HEX}0", "invalid"),
        (f"nginx@sha256:{HEX.upper()}", "invalid"),
        (f"nginx@md5:{HEX[:32]}", "unsupported digest algorithm"),
        (f"nginx@{SHA256}:1", "invalid"),
        ("https://ghcr.io/a/b", "leave out 'https://'"),
        ("HTTP://ghcr.io/a/b", "leave out 'HTTP://'"),
        ("docker://nginx", "leave out 'docker://'"),
        ("oci://ghcr.io/a/b", "leave out 'oci://'"),
        ("user:password@host/x", "invalid reference format"),
        (" nginx", "white space, a control or a non-ASCII character"),
        ("nginx\n", "white space, a control or a non-ASCII character"),
        ("nginx:1\n", "white space, a control or a non-ASCII character"),
        ("nginx\x7f", "white space, a control or a non-ASCII character"),
        ("nginx\x1b[31m", "white space, a control or a non-ASCII character"),
        ("nginx:\u0661", "white space, a control or a non-ASCII character"),
        ("ng\u0131nx", "white space, a control or a non-ASCII character"),
        ("--help", "invalid reference format"),
        ("-v", "invalid reference format"),
        ("$(id)", "invalid reference format"),
        ("nginx;id", "invalid reference format"),
        ("../etc", "invalid reference format"),
    ],
)
def test_what_is_no_reference_is_refused_with_a_reason(text: str, reason: str) -> None:
    """A text that the engine would refuse never becomes a reference."""
    with pytest.raises(ValueError, match=re.escape(reason)):
        ImageReference.parse(text)


def test_spellings_of_one_image_are_equal() -> None:
    """Comparison and hashing forget the spelling; people still see it."""
    spellings = ["ubuntu", "docker.io/library/ubuntu:latest", "index.docker.io/ubuntu"]
    parsed = [ImageReference.parse(text) for text in spellings]
    assert len(set(parsed)) == 1
    assert [str(reference) for reference in parsed] == spellings
    assert {reference.canonical for reference in parsed} == {"docker.io/library/ubuntu:latest"}


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        (f"nginx@{SHA256}", f"docker.io/library/nginx@{SHA256}"),
        (f"nginx:1@{SHA256}", f"docker.io/library/nginx:1@{SHA256}"),
        ("[::1]:5000/x", "[::1]:5000/x:latest"),
    ],
)
def test_the_canonical_form_has_every_default_written_out(text: str, canonical: str) -> None:
    """A pinned reference gets no tag that nobody wrote."""
    assert ImageReference.parse(text).canonical == canonical


@given(st.one_of(st.text(max_size=60), st.from_regex(r"[a-z0-9./:@_-]{1,60}", fullmatch=True)))
def test_any_text_is_refused_or_stable(text: str) -> None:
    """Parsing raises ValueError or gives a printable reference whose canonical form means itself."""
    try:
        parsed = ImageReference.parse(text)
    except ValueError:
        return
    assert parsed.canonical.isascii()
    assert parsed.canonical.isprintable()
    assert not parsed.canonical.startswith("-")
    again = ImageReference.parse(parsed.canonical)
    assert (again, again.canonical) == (parsed, parsed.canonical)


PIECES = ["nginx", "a_b", "a__b", "a--b", "a-", "A", "foo.bar", "a_b.c", "localhost", "docker.io", "index.docker.io"]
PIECES += ["library", "5000", "1.27", "f" * 64, SHA256, SHA512, "sha256:00", "[::1]", ":", ":", "/", "/", "@", ".", "-"]


@settings(max_examples=400)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=7).map("".join))
def test_plain_references_mean_what_the_grammar_says(text: str) -> None:
    """A reference that is read without the library means what it does with it, and none is let through."""

    def read() -> ImageReference | str:
        try:
            return ImageReference.parse(text)
        except ValueError as error:
            return str(error)

    quickly = read()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("puller.image.reference._PLAIN", re.compile("(?!)"))
        assert quickly == read()


def test_a_reference_longer_than_any_can_be_is_refused_unread(mocker: MockerFixture) -> None:
    """A hostile line of 64 KiB costs the grammar seconds: it must not get there."""
    grammar = mocker.patch("docker_image.reference.Reference.parse_normalized_named")
    with pytest.raises(ValueError, match="longer than"):
        ImageReference.parse("a/" * 32_000)
    grammar.assert_not_called()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/amd64", "linux/amd64"),
        ("LINUX/AMD64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/x86-64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/x86_64/v1", "linux/amd64"),
        ("linux/amd64/v2", "linux/amd64/v2"),
        ("linux/arm64", "linux/arm64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/aarch64/8", "linux/arm64"),
        ("linux/arm64/v9", "linux/arm64/v9"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/arm/v7", "linux/arm/v7"),
        ("linux/i386", "linux/386"),
        ("linux/s390x", "linux/s390x"),
        ("windows/amd64", "windows/amd64"),
    ],
)
def test_a_platform_is_spelled_as_the_image_index_spells_it(text: str, expected: str) -> None:
    """Aliases fold into one spelling, and that spelling means itself."""
    parsed = Platform.parse(text)
    assert str(parsed) == expected
    assert Platform.parse(expected) == parsed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/7", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/armhf/v6", "linux/arm/v7"),
        ("macos/arm64", "darwin/arm64"),
    ],
)
def test_aliases_fold_as_in_containerd(text: str, expected: str) -> None:
    """Two spellings that the engine takes for one platform are one request."""
    assert str(Platform.parse(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "linux",
        "/",
        "linux/",
        "/amd64",
        "linux//v7",
        "linux/amd64/",
        "linux/amd64/v1/x",
        "linux/\u0130",
        " linux/amd64",
        "linux/amd64\n",
        "linux/am d64",
        "linux/$(id)",
        "linux/amd64;id",
        "linux\\amd64",
    ],
)
def test_what_is_no_platform_is_refused(text: str) -> None:
    """The reason shows what one looks like."""
    with pytest.raises(ValueError, match="is not a platform such as linux/amd64 or linux/arm/v7"):
        Platform.parse(text)
