"""Accounts and tokens: who gets in, how often a token is asked for, and where a password never goes."""

import base64
import json
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from puller.errors import RegistryError
from puller.image.reference import ImageReference
from puller.registry.client import RegistryClient
from tests.lab import LAB_ACCOUNT, Proxy, Pushed, PushedImage, Registry, Rule, TokenServer, faults, push_image
from tests.lab.exchange import Exchange
from tests.unit.registry.conftest import Configure, named

PASSWORD = "p:ss w\u00f6rd"
ACCOUNTS = {"me": PASSWORD}
MANIFESTS = "/manifests/"


def auths(address: str, user: str = "me", password: str = PASSWORD) -> dict[str, object]:
    """Return a config.json with one account."""
    return {"auths": {address: {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}}}


@pytest.fixture
def open_tokens(registry: Registry) -> Iterator[TokenServer]:
    """Hand out tokens to everybody."""
    with TokenServer(registry) as server:
        yield server


@pytest.fixture
def tokens(registry: Registry) -> Iterator[TokenServer]:
    """Hand out tokens to one account."""
    with TokenServer(registry, accounts=ACCOUNTS) as server:
        yield server


@pytest.fixture(scope="module")
def guarded() -> Iterator[Registry]:
    """Start a registry that wants a password."""
    with Registry(LAB_ACCOUNT) as registry:
        yield registry


@pytest.fixture(scope="module")
def guarded_image(guarded: Registry) -> Pushed:
    """Push an image to it."""
    return push_image(guarded, "lab/secret")


def refused(client: RegistryClient, reference: ImageReference) -> RegistryError:
    """Ask, and be refused."""
    with pytest.raises(RegistryError) as raised:
        client.head(reference)
    return raised.value


def test_anonymous_tokens(open_tokens: TokenServer, image: PushedImage, client: RegistryClient) -> None:
    """One token for each repository, known to be needed after the first refusal."""
    reference = named(image, open_tokens.address)
    assert client.head(reference).digest == image.digest
    assert client.manifest(reference).digest == image.digest
    with client.blob(reference, image.layers[0].digest, 3) as blob:
        assert b"".join(blob) == image.layers[0].data[3:]
    assert (open_tokens.count("HEAD"), open_tokens.token_requests()) == (2, 1)


def test_the_next_repository_is_not_refused_first(
    registry: Registry, open_tokens: TokenServer, image: PushedImage, client: RegistryClient
) -> None:
    """What one repository has taught serves the others, with a scope of their own."""
    client.head(named(image, open_tokens.address))
    other = push_image(registry, "tokens/other")
    open_tokens.forget()
    assert client.head(named(other, open_tokens.address)).digest == other.digest
    assert [request.status for request in open_tokens.log] == [200, 200]


def test_a_token_that_runs_out_is_renewed(registry: Registry, image: PushedImage, client: RegistryClient) -> None:
    """Used up, and revoked."""
    with TokenServer(registry, uses=2) as server:
        for _ in range(5):
            client.head(named(image, server.address))
        assert server.token_requests() == 3
    with TokenServer(registry) as server:
        reference = named(image, server.address)
        client.head(reference)
        server.revoke()
        client.head(reference)
        assert server.token_requests() == 2


def test_a_token_near_its_end_is_not_used(registry: Registry, image: PushedImage, client: RegistryClient) -> None:
    """One that ends at once is asked for again, without a refusal in between."""
    with TokenServer(registry) as server:
        reference = named(image, server.address)
        client.head(reference)
        token = server.granted[0]
        short = json.dumps({"token": token, "expires_in": 0.000001}).encode()
        server.revoke()
        server.use(Rule("/token", faults.answer(200, {}, short)))
        assert refused(client, reference).status == 401
        server.use()
        server.forget()
        client.head(reference)
        assert [request.status for request in server.log] == [200, 200]


def test_a_registry_that_never_takes_its_token(
    open_tokens: TokenServer, image: PushedImage, client: RegistryClient
) -> None:
    """Is asked twice, and not for ever."""
    open_tokens.use(Rule("/token", faults.answer(200, {}, b'{"token": "never-good"}')))
    trouble = refused(client, named(image, open_tokens.address))
    assert (trouble.status, "never-good" in str(trouble)) == (401, False)
    assert (open_tokens.count("HEAD"), open_tokens.token_requests()) == (2, 1)


def test_threads_share_a_token(open_tokens: TokenServer, image: PushedImage, client: RegistryClient) -> None:
    """However many begin at once, and when it is revoked."""
    reference = named(image, open_tokens.address)
    with ThreadPoolExecutor(20) as pool:
        for rounds in (1, 2):
            assert set(pool.map(lambda _: client.head(reference).digest, range(100))) == {image.digest}
            assert open_tokens.token_requests() == rounds
            open_tokens.revoke()


def test_an_account_gets_a_token(
    tokens: TokenServer, image: PushedImage, client: RegistryClient, configure: Configure
) -> None:
    """With a password that has a colon, a blank and an umlaut."""
    configure(auths(tokens.address))
    assert client.head(named(image, tokens.address)).digest == image.digest
    (asked,) = [request for request in tokens.log if request.path.startswith("/token")]
    assert "account=me" in asked.path
    assert "repository%3Alab%2Fapp%3Apull" in asked.path


def test_an_identity_token_is_exchanged(
    tokens: TokenServer, image: PushedImage, client: RegistryClient, configure: Configure
) -> None:
    """By POST, and not in any URL."""
    identity = tokens.identity("me")
    configure({"auths": {tokens.address: {"identitytoken": identity, "auth": "bm9ib2R5Og=="}}})
    assert client.head(named(image, tokens.address)).digest == image.digest
    assert tokens.count("POST", "^/token$") == 1
    assert not any(identity in str(request) for request in tokens.log)


@pytest.mark.parametrize("password", ["wrong-password", None])
def test_the_wrong_password_or_none(
    tokens: TokenServer, image: PushedImage, client: RegistryClient, configure: Configure, password: str | None
) -> None:
    """Is a reason to ask the engine; the password is in no word of it."""
    if password:
        configure(auths(tokens.address, password=password))
    trouble = refused(client, named(image, tokens.address))
    assert trouble.status == 401
    assert "wrong-password" not in "".join(traceback.format_exception(trouble))


def test_a_registry_with_passwords(
    guarded: Registry, guarded_image: Pushed, client: RegistryClient, configure: Configure
) -> None:
    """Basic, once it has been asked for; then ahead of every question."""
    with Proxy(guarded) as proxy:
        reference = named(guarded_image, proxy.address)
        configure(auths(proxy.address, LAB_ACCOUNT.user, LAB_ACCOUNT.password))
        for _ in range(3):
            assert client.head(reference).digest == guarded_image.digest
        assert [request.status for request in proxy.log] == [401, 200, 200, 200]
        proxy.use(Rule(MANIFESTS, faults.answer(418, {}, _echo(LAB_ACCOUNT.password))))
        assert "lab-password" not in str(_fetch_refused(client, reference))


@pytest.mark.parametrize("password", ["wrong-password", None])
def test_a_registry_that_refuses_the_password(
    guarded_image: Pushed, client: RegistryClient, configure: Configure, password: str | None
) -> None:
    """Is asked with it once."""
    if password:
        configure(auths(guarded_image.address, LAB_ACCOUNT.user, password))
    trouble = _fetch_refused(client, named(guarded_image))
    assert trouble.status == 401
    assert "wrong-password" not in "".join(traceback.format_exception(trouble))


def test_a_server_that_repeats_what_it_was_told(
    tokens: TokenServer, image: PushedImage, client: RegistryClient, configure: Configure
) -> None:
    """Finds it masked: password, header and token."""
    configure(auths(tokens.address))
    reference = named(image, tokens.address)
    basic = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    tokens.use(Rule("/token", faults.answer(403, {}, _echo(PASSWORD, basic))))
    assert str(_fetch_refused(client, reference)) == f"{tokens.address}: status 403, denied: not *** not ***"
    tokens.use(
        Rule("/token", faults.answer(200, {}, b'{"access_token": "Abc123Def"}')), Rule("", _repeat_authorization)
    )
    assert str(_fetch_refused(client, reference)).endswith("status 403, denied: not Bearer ***")


def _repeat_authorization(exchange: Exchange) -> None:
    sent = exchange.headers.get("Authorization")
    if sent is None:
        exchange.reply(401, {"WWW-Authenticate": f'Bearer realm="http://{exchange.headers["Host"]}/token"'}, b"")
    else:
        exchange.reply(403, {}, _echo(sent))


def _echo(*words: str) -> bytes:
    message = " ".join(f"not {word}" for word in words)
    return json.dumps({"errors": [{"code": "DENIED", "message": message}]}).encode()


def _fetch_refused(client: RegistryClient, reference: ImageReference) -> RegistryError:
    with pytest.raises(RegistryError) as raised:
        client.manifest(reference)
    return raised.value


@pytest.mark.parametrize("status", [403, 404])
def test_a_registry_that_hides_images_is_shown_the_account(
    registry: Registry, image: PushedImage, client: RegistryClient, configure: Configure, status: int
) -> None:
    """It answers anonymous requests as if there were no image; its API's root says how to log in."""

    def hide(exchange: Exchange) -> None:
        if exchange.headers.get("Authorization"):
            exchange.forward()
        elif exchange.path == "/v2/":
            exchange.reply(401, {"WWW-Authenticate": 'Basic realm="r"'}, b"")
        else:
            exchange.reply(status, {}, b"")

    with Proxy(registry, [Rule("", hide)]) as hiding:
        configure(auths("other.example"))
        refused(client, named(image, hiding.address))
        assert not any(request.path == "/v2/" for request in hiding.log)
        configure(auths(hiding.address))
        with RegistryClient() as known:
            assert known.head(named(image, hiding.address)).digest == image.digest


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("account", [LAB_ACCOUNT.user, None])
def test_an_account_is_not_shown_to_where_a_redirect_leads(
    registry: Registry, image: PushedImage, configure: Configure, status: int, account: str | None
) -> None:
    """Whatever that server answers: a refusal there is no reason to log in there."""
    with Proxy(registry) as front, Proxy(registry, [Rule("", faults.answer(status))]) as elsewhere:
        asks = faults.answer(401, {"WWW-Authenticate": 'Basic realm="r"'})
        leads = faults.answer(307, {"Location": f"{elsewhere.url}/v2/lab/app/manifests/v1"})
        front.use(Rule("^/v2/$", asks), Rule(MANIFESTS, leads))
        configure(auths(front.address, account) if account else {})
        with RegistryClient() as client:
            refused(client, named(image, front.address))
        assert elsewhere.log
        assert [request.header("Authorization") for request in elsewhere.log] == [None] * len(elsewhere.log)


def test_a_redirect_takes_no_password_along(
    registry: Registry, guarded: Registry, guarded_image: Pushed, client: RegistryClient, configure: Configure
) -> None:
    """Another port is another host."""
    with Proxy(guarded) as front, Proxy(registry) as elsewhere:
        configure(auths(front.address, LAB_ACCOUNT.user, LAB_ACCOUNT.password))
        client.head(named(guarded_image, front.address))
        target = {"Location": f"{elsewhere.url}/v2/lab/app/manifests/v1"}
        front.use(Rule(MANIFESTS, faults.answer(307, target)))
        client.head(named(guarded_image, front.address))
        assert front.log[-1].header("Authorization")
        assert [request.header("Authorization") for request in elsewhere.log] == [None]


def test_a_redirect_does_not_choose_the_token_server(
    registry: Registry, tokens: TokenServer, image: PushedImage, client: RegistryClient, configure: Configure
) -> None:
    """Whoever stores the blobs may not ask for the registry's password."""
    with TokenServer(registry, accounts=ACCOUNTS) as thief:
        configure(auths(tokens.address))
        tokens.use(Rule(MANIFESTS, faults.answer(307, {"Location": f"{thief.url}/v2/lab/app/manifests/v1"})))
        assert refused(client, named(image, tokens.address)).status == 401
        assert [request.header("Authorization") for request in thief.log] == [None] * len(thief.log)
        assert tokens.token_requests() == 0


def test_another_origin_gets_a_token_of_its_own(
    registry: Registry, tokens: TokenServer, image: PushedImage, client: RegistryClient, configure: Configure
) -> None:
    """A redirect to a registry that wants an anonymous token is followed, and the user's account stays at home."""
    with TokenServer(registry) as other:
        configure(auths(tokens.address))
        tokens.use(Rule(MANIFESTS, faults.answer(307, {"Location": f"{other.url}/v2/lab/app/manifests/v1"})))
        assert client.manifest(named(image, tokens.address)).digest == image.digest
        assert other.token_requests() == 1
        assert not any("Basic" in (request.header("Authorization") or "") for request in other.log)


def test_a_redirect_of_the_token_server_takes_no_password_along(
    registry: Registry, tokens: TokenServer, image: PushedImage, client: RegistryClient, configure: Configure
) -> None:
    """Neither does its identity token leave: a POST is not redirected at all."""
    with Proxy(registry) as elsewhere:
        tokens.use(Rule("^/token", faults.answer(307, {"Location": f"{elsewhere.url}/v2/"})))
        configure(auths(tokens.address))
        refused(client, named(image, tokens.address))
        configure({"auths": {tokens.address: {"identitytoken": "refresh-me"}}})
        with RegistryClient() as another:
            assert refused(another, named(image, tokens.address)).status == 307
        assert [request.header("Authorization") for request in elsewhere.log] == [None]


@pytest.mark.parametrize(
    "realm", ["file:///etc/passwd", "ftp://127.0.0.1/", "nonsense", "http://", "https://[", "http://x:y/"]
)
def test_a_realm_that_is_none(open_tokens: TokenServer, image: PushedImage, client: RegistryClient, realm: str) -> None:
    """Is trouble, and no traceback."""
    open_tokens.realm = realm
    refused(client, named(image, open_tokens.address))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"token": ""}',
        b'{"token": 7}',
        b'{"token": "a b"}',
        b'{"token": "a\\r\\nb: c"}',
        b"[" * 99_999,
    ],
)
def test_a_token_that_is_none(
    open_tokens: TokenServer, image: PushedImage, client: RegistryClient, body: bytes
) -> None:
    """Is never sent anywhere."""
    open_tokens.use(Rule("^/token", faults.answer(200, {}, body)))
    assert "sent no token" in str(refused(client, named(image, open_tokens.address)))


@pytest.mark.parametrize("status", [429, 503])
def test_a_token_server_in_trouble(
    open_tokens: TokenServer, image: PushedImage, client: RegistryClient, status: int
) -> None:
    """Says for itself how long to wait."""
    open_tokens.use(Rule("^/token", faults.answer(status, {"Retry-After": "9"})))
    reference = named(image, open_tokens.address)
    trouble = refused(client, reference)
    assert (trouble.status, trouble.wait) == (status, 9)
    assert client.wait_of(reference) == pytest.approx(9, abs=1)
