"""Configurations and layers: longer or shorter than said, without end, dripping, other bytes."""

import asyncio
from collections.abc import Callable

from tests.lab.hostile.image import Document, Shape, add, begin_chunks, hang, healthy, image_of, saying, shaped
from tests.lab.raw_http import Act, Exchange, head
from tests.lab.unsafe_text import ESCAPES, LINE_ESCAPES, SECRETS


def _config(name: str, words: str, change: Callable[[Document], object], *, harmless: bool = False) -> None:
    shaped(name, words, Shape(config=change), harmless=harmless)


_config("config_nested", "sends a configuration that is nested too deeply", lambda _: b"[" * 200_000, harmless=True)
_config("config_types", "sends a configuration of wrong types", lambda c: dict.fromkeys(c, 5), harmless=True)
_config(
    "config_diff_ids", "sends diff IDs that are numbers", lambda c: c | {"rootfs": {"diff_ids": [1.5]}}, harmless=True
)


def _is_config(exchange: Exchange) -> bool:
    return exchange.target.endswith(image_of(exchange).config_digest)


def _for_config(act: Act) -> Act:
    async def chosen(exchange: Exchange) -> None:
        await (act(exchange) if _is_config(exchange) else healthy(exchange))

    return chosen


def _for_layer(act: Act) -> Act:
    async def chosen(exchange: Exchange) -> None:
        await (healthy(exchange) if _is_config(exchange) else act(exchange))

    return chosen


async def flood_body(exchange: Exchange) -> None:
    """Send a body without end."""
    await exchange.send(b"HTTP/1.1 200 OK\r\n\r\n")
    await exchange.flood()


async def _drip_body(exchange: Exchange) -> None:
    body = image_of(exchange).layer
    await exchange.send(head(200, {"Content-Length": str(len(body))}))
    await exchange.drip(body)


async def _drip_chunks(exchange: Exchange) -> None:
    await begin_chunks(exchange)
    body = image_of(exchange).layer
    for number in range(len(body)):
        await exchange.chunk(body[number : number + 1])
        await asyncio.sleep(1)


async def _longer(exchange: Exchange) -> None:
    await exchange.reply(
        200, {}, image_of(exchange).blobs.get(exchange.target.rpartition("/")[2], b"") + b"A" * 5_000_000
    )


async def _half(exchange: Exchange) -> None:
    body = image_of(exchange).layer
    await exchange.send(head(200, {"Content-Length": str(len(body))}) + body[: len(body) // 2])
    exchange.close()


async def _corrupt(exchange: Exchange) -> None:
    await exchange.reply(200, {}, bytes(byte ^ 255 for byte in image_of(exchange).layer))


async def _other_range(exchange: Exchange) -> None:
    fields = {"Content-Range": "bytes 99999999999999999999-1e400/-5"}
    await exchange.reply("206 Partial Content", fields, image_of(exchange).layer)


async def _half_range(exchange: Exchange) -> None:
    """Serve half of what is asked for, again and again."""
    body = image_of(exchange).layer
    begin = int(exchange.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
    end = begin + max(0, (len(body) - begin) // 2)
    await exchange.send(
        head(
            "206 Partial Content",
            {"Content-Range": f"bytes {begin}-{len(body) - 1}/{len(body)}", "Content-Length": str(len(body) - begin)},
        )
        + body[begin:end]
    )
    exchange.close()


add("config_endless", "sends a configuration without end", _for_config(flood_body), kind="blob")
add("config_drips", "sends the configuration at one byte a second", _for_config(_drip_body), kind="blob")
add(
    "config_longer",
    "sends a configuration that is longer than it said",
    _for_config(_longer),
    kind="blob",
    harmless=True,
)
add("blob_endless", "sends a layer without end", _for_layer(flood_body), kind="blob")
add("blob_drips", "sends a layer at one byte a second", _for_layer(_drip_body), kind="blob")
add("blob_drips_in_chunks", "sends a layer at one chunk of one byte a second", _for_layer(_drip_chunks), kind="blob")
add("blob_longer", "sends a layer that is longer than it said", _for_layer(_longer), kind="blob", harmless=True)
add("blob_half", "closes after half of a layer, again and again", _for_layer(_half), kind="blob")
add(
    "blob_half_again",
    "sends half of the rest of a layer, again and again",
    _for_layer(_half_range),
    kind="blob",
    harmless=True,
)
add("blob_corrupt", "sends other bytes as a layer", _for_layer(_corrupt), kind="blob")
add("blob_of_another_range", "sends a range of absurd numbers", _for_layer(_other_range), kind="blob", harmless=True)
add("blob_hangs", "never sends a layer", _for_layer(hang), kind="blob")
add(
    "blob_status_escapes",
    "refuses a layer with terminal sequences and secrets",
    saying("403 " + LINE_ESCAPES, {}, (ESCAPES + SECRETS).encode()),
    kind="blob",
)
