"""What reaches the HTTP port before there is a request: endless heads, requests that never arrive whole."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router

from gateway import http_protocol
from gateway.http_protocol import MAX_HEAD, MAX_HEADERS
from gateway.http_server import HttpServer

SECONDS = 60.0


async def _echo(request: Request) -> Response:
    return PlainTextResponse(f"{len(await request.body())} bytes")


async def _slow(request: Request) -> Response:
    await asyncio.sleep(0.6)
    return PlainTextResponse("at last")


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server that answers with the length of what it got."""
    routes = [Route("/", _echo, methods=["POST"]), Route("/slow", _slow)]
    server = HttpServer(Router(routes), "127.0.0.1", 0)
    await server.start()
    yield server.port
    await server.stop(1)


async def answer(port: int, *pieces: bytes, pause: float = 0) -> bytes:
    """All that comes back until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        async with asyncio.timeout(SECONDS):
            return await reader.read()
    except ConnectionError:
        return b""  # closed while we still wrote
    finally:
        writer.close()


async def test_a_head_without_an_end_is_cut_off(port: int) -> None:
    line = b"X-Some: header\r\n" * 64
    for piece in (line, b"a" * 1024):
        pieces = [piece] * (2 * MAX_HEAD // len(piece))
        got = await answer(port, b"POST / HTTP/1.1\r\nX-Begin: ", *pieces)
        assert got == b"" or got.startswith(b"HTTP/1.1 431 ")


async def test_a_head_in_pieces_is_read_up_to_the_bound(port: int) -> None:
    long = b"X-Long: " + b"a" * (MAX_HEAD - 2048) + b"\r\n"
    got = await answer(
        *(port, b"POST / HTTP/1.1\r\nContent-Length: 5\r\nConnection: close\r\n", long),
        *(b"X-More: ", b"b\r\n\r\n", b"12345"),
        pause=0.02,
    )
    assert got.startswith(b"HTTP/1.1 200 ")
    assert got.endswith(b"5 bytes")


async def test_a_body_larger_than_a_head_may_be_is_no_head(port: int) -> None:
    body = b"x" * 800_000
    head = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
    last = b"POST / HTTP/1.1\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"
    got = await answer(port, head + body, head + body, last)
    assert got.count(b"HTTP/1.1 200 ") == 3


async def test_too_many_headers_are_refused(port: int) -> None:
    headers = b"".join(b"X-%d: y\r\n" % number for number in range(MAX_HEADERS + 1))
    got = await answer(port, b"POST / HTTP/1.1\r\n" + headers + b"\r\n")
    assert got.startswith(b"HTTP/1.1 400 ")
    assert got.endswith(b"}")


async def test_what_is_no_http_gets_an_error_in_our_form(port: int) -> None:
    got = await answer(port, b"\x16\x03\x01 hello\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 400 ")
    assert b'{"error":"validation_error"' in got


@pytest.mark.parametrize("sent", [b"", b"POST / HTTP", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nx"])
async def test_a_request_that_does_not_arrive_ends_its_connection(
    port: int, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "ARRIVAL_SECONDS", 0.2)
    got = await answer(port, *([sent] if sent else []))
    assert got == b"" or got.startswith(b"HTTP/1.1 400 ")


async def test_a_request_behind_one_that_is_being_answered_is_not_late(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "ARRIVAL_SECONDS", 0.2)
    slow = b"GET /slow HTTP/1.1\r\n\r\n"
    part = b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 1\r\n"
    got = await answer(port, slow + part, pause=0.9)
    assert b"at last" in got


async def test_a_large_body_has_the_more_time_the_more_of_it_has_come(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "ARRIVAL_SECONDS", 0.2)
    monkeypatch.setattr(http_protocol, "SLOWEST", 5)
    head = b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 200\r\n\r\n"
    got = await answer(port, head, *[b"x" * 20] * 10, pause=0.05)
    assert got.endswith(b"200 bytes")


async def test_who_writes_no_more_and_still_reads_is_answered(port: int) -> None:
    """The end of what they write closes the connection, in the same step in which the answer is written."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx")
        writer.write_eof()
        async with asyncio.timeout(SECONDS):
            assert (await reader.read()).endswith(b"1 bytes")
    finally:
        writer.close()
