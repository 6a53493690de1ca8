"""Redirects: in a loop, to ever new places, to files, to other hosts."""

from tests.lab.hostile.image import MEGABYTE, TABLE, add, healthy, kind_of, saying
from tests.lab.raw_http import Act, Exchange
from tests.lab.unsafe_text import LINE_ESCAPES, SECRET


def _to(place: str) -> Act:
    return saying("307 Temporary Redirect", {"Location": place}, b"")


@TABLE.add("redirects to itself for ever")
async def _redirects_in_a_loop(exchange: Exchange) -> None:
    await exchange.reply("307 Temporary Redirect", {"Location": exchange.target})


@TABLE.add("redirects to ever new ports")
async def _redirects_to_new_ports(exchange: Exchange) -> None:
    await redirect_anew(exchange)


async def redirect_anew(exchange: Exchange) -> None:
    """Redirect to a new port, which does the same."""
    address = await exchange.server.listen(act=redirect_anew)
    await exchange.reply("307 Temporary Redirect", {"Location": f"http://{address}{exchange.target}"})


async def _stranger(exchange: Exchange) -> None:
    """Be a host that must be sent no credentials."""
    for name in ("authorization", "cookie", "x-registry-auth"):
        if name in exchange.headers:
            exchange.server.note(f"{exchange.headers.get('user-agent', '')} sent {name} to another host")
    await healthy(exchange)


@TABLE.add("redirects to another host, which wants the credentials", harmless=True)
async def _redirects_with_credentials(exchange: Exchange) -> None:
    if "authorization" not in exchange.headers:
        await exchange.json({}, 401, {"WWW-Authenticate": 'Basic realm="x"'})
    elif kind_of(exchange) == "ping":
        await healthy(exchange)
    else:
        address = await exchange.server.listen(act=_stranger)
        await exchange.reply("307 Temporary Redirect", {"Location": f"http://{address}{exchange.target}"})


for _name, _words, _place in (
    ("redirects_to_a_file", "redirects to a file", "file:///etc/hostname"),
    ("redirects_to_gopher", "redirects to another protocol", "gopher://127.0.0.1:1/x"),
    (
        "redirects_to_secrets",
        "redirects to a URL with secrets",
        f"http://lab:{SECRET}@127.0.0.1:1/b?token={SECRET}&X-Amz-Signature={SECRET}",
    ),
    ("redirects_to_escapes", "redirects to a URL with terminal sequences", f"http://127.0.0.1:1/{LINE_ESCAPES}"),
    ("redirects_to_1_mb", "redirects to a URL of 1 MB", "http://127.0.0.1:1/" + "a" * MEGABYTE),
    ("redirects_to_no_url", "redirects to what is no URL", "http://[::1:::/%zz%"),
    ("redirects_to_port_0", "redirects to a port that is none", "http://127.0.0.1:99999999999/"),
    ("redirects_to_nothing", "redirects to nowhere", ""),
):
    add(_name, _words, _to(_place), kind="manifest")
    add(f"blob_{_name}", f"{_words} (layers)", _to(_place), kind="blob")
