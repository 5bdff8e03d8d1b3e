"""One webhook request over real HTTP: signed, bounded, refused where the address is private."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from gateway.bench.private_server import free_ports
from gateway.domain.clock import Clock
from gateway.domain.ids import new_id
from gateway.domain.webhook import (
    WebhookAttempt,
    WebhookError,
    WebhookOutcome,
)
from tests.integration.receivers import Receiver, cut, status
from tests.waiting import PATIENCE
from workers.webhook_post import MAX_ANSWER, WebhookPoster


def attempt(url: str, *secrets: str) -> WebhookAttempt:
    """An attempt that is committed."""
    return WebhookAttempt(
        endpoint_id=new_id(),
        url=url,
        secrets=secrets or ("secret",),
        event_id=new_id(),
        type="conversation.closed",
        body='{"type": "conversation.closed"}',
        attempt=1,
    )


async def posted(url: str, *, allow_private: bool = True, timeout: float = PATIENCE) -> WebhookOutcome:
    """What becomes of one request."""
    async with WebhookPoster(Clock(), allow_private=allow_private, timeout_seconds=timeout) as poster:
        return await poster.post(attempt(url))


async def test_a_request_is_signed_with_every_secret(receiver: Receiver) -> None:
    async with WebhookPoster(Clock(), allow_private=True) as poster:
        outcome = await poster.post(attempt(receiver.url, "whsec_c2VjcmV0", "older"))
    assert outcome == WebhookOutcome(204)
    (got,) = receiver.got
    assert got.signed_with("whsec_c2VjcmV0")
    assert got.signed_with("older")
    assert not got.signed_with("another")
    assert got.headers["Content-Type"] == "application/json"
    assert got.event == {"type": "conversation.closed"}


async def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.script = [status(307, Location=f"{receiver.url}/elsewhere")]
    assert await posted(receiver.url) == WebhookOutcome(307)
    assert len(receiver.got) == 1


async def hang(_request: web.Request) -> web.Response:
    """Never answers."""
    await asyncio.sleep(30)
    return web.Response()


async def trickle(request: web.Request) -> web.StreamResponse:
    """Answers 200, and then says something for ever."""
    response = web.StreamResponse(status=200)
    await response.prepare(request)
    while True:
        await response.write(b".")
        await asyncio.sleep(0.02)


async def flood(request: web.Request) -> web.StreamResponse:
    """Answers 200 with more than anybody reads."""
    response = web.StreamResponse(status=200)
    await response.prepare(request)
    sent = 0
    while sent < 500 * MAX_ANSWER:
        await response.write(b"." * MAX_ANSWER)
        sent += MAX_ANSWER
    pytest.fail("all of it was read")


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [
        (hang, WebhookOutcome(None, WebhookError.TIMEOUT)),
        (trickle, WebhookOutcome(200)),
        (flood, WebhookOutcome(200)),
        (cut, WebhookOutcome(None, WebhookError.NO_ANSWER)),
        (status(500), WebhookOutcome(500)),
    ],
)
async def test_what_a_receiver_does_is_an_outcome(
    receiver: Receiver,
    behaviour: Callable[[web.Request], Awaitable[web.StreamResponse]],
    outcome: WebhookOutcome,
) -> None:
    receiver.script = [behaviour]
    patience = 0.3 if behaviour is hang else 3 if behaviour is trickle else PATIENCE
    assert await posted(receiver.url, timeout=patience) == outcome


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254"],
)
async def test_an_address_that_is_not_public_is_not_connected_to(receiver: Receiver, host: str) -> None:
    url = receiver.url.replace("127.0.0.1", host)
    assert await posted(url, allow_private=False) == WebhookOutcome(None, WebhookError.ADDRESS_REFUSED)
    assert receiver.got == []


async def test_an_address_written_as_a_number_is_not_connected_to(receiver: Receiver) -> None:
    url = receiver.url.replace("127.0.0.1", "2130706433")
    assert (await posted(url, allow_private=False)).response_code is None
    assert receiver.got == []


async def test_nobody_there_is_an_outcome() -> None:
    (port,) = free_ports(1)
    assert await posted(f"http://127.0.0.1:{port}/") == WebhookOutcome(None, WebhookError.CONNECTION_FAILED)


async def test_names_that_nobody_answers_for_hold_up_no_other(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than the loop has threads: another receiver is reached, and so is what else has a name."""
    answered = threading.Event()
    look_up = socket.getaddrinfo

    def silent(host: Any, *arguments: Any, **more: Any) -> Any:
        if str(host).endswith(".silent.test"):
            answered.wait(PATIENCE)
            raise socket.gaierror(socket.EAI_AGAIN, "nobody answers")
        return look_up(host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    async with WebhookPoster(Clock(), allow_private=True, timeout_seconds=2 * PATIENCE) as poster:
        hanging = [
            asyncio.create_task(poster.post(attempt(f"http://{number}.silent.test/"))) for number in range(40)
        ]
        await asyncio.sleep(0)
        outcome = await poster.post(attempt(receiver.url.replace("127.0.0.1", "localhost")))
        assert outcome == WebhookOutcome(204)
        async with asyncio.timeout(PATIENCE / 2):
            assert await asyncio.get_running_loop().getaddrinfo("localhost", 80)
        assert not any(task.done() for task in hanging)
        answered.set()
        outcomes = await asyncio.gather(*hanging)
        assert set(outcomes) == {WebhookOutcome(None, WebhookError.CONNECTION_FAILED)}
    assert await posted("http://" + "a" * 70 + ".test/") == WebhookOutcome(
        None, WebhookError.CONNECTION_FAILED
    )
