"""Tools behind a URL: what is sent, what comes back, and what a model cannot make of them."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from gateway.domain.clock import Clock
from gateway.domain.tool import InvalidArgumentsError, ToolContext, ToolFailedError
from gateway.settings import SettingsError
from gateway.settings.llm import HttpToolTable
from tests.loopback import served
from workers.agents.http import HttpAgents
from workers.agents.tools.http import HttpTool

CONTEXT = ToolContext(
    turn_id="turn",
    conversation_id="conversation",
    end_user_id="person",
    channel="sms",
    context_variables={},
    idempotency_key="turn:call",
)
PARAMETERS = {
    "order": {"type": "string", "maxLength": 100},
    "note": {"type": "string", "optional": True},
    "full": {"type": "boolean", "optional": True},
}


class Server:
    """Answers as it is told, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: tuple[int, bytes] = (200, b'{"state": "shipped"}')
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.asked.append((request.method, request.raw_path, dict(request.headers), body))
        status, answer = self.answer
        return web.Response(status=status, body=answer, headers={"Location": "/elsewhere"})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.take)
    async with served(app) as found.url:
        yield found


@pytest.fixture
async def http() -> AsyncIterator[HttpAgents]:
    async with HttpAgents(None, Clock()) as agents:
        yield agents


def tool(http: HttpAgents, url: str, **fields: Any) -> HttpTool:
    table = {"url": url, "description": "An order.", "parameters": PARAMETERS, **fields}
    return HttpTool("find_order", HttpToolTable.model_validate(table), http)


async def test_arguments_fill_the_path_and_the_query_and_nothing_else(
    server: Server, http: HttpAgents
) -> None:
    find = tool(http, f"{server.url}/orders/{{order}}/state")
    assert find.spec.parameters["required"] == ["order"]
    assert "optional" not in find.spec.parameters["properties"]["note"]
    arguments = {"order": "1/../../admin?x=#", "note": "a&b=c", "full": True}
    find.check(arguments)
    assert await find.call(arguments, CONTEXT) == {"state": "shipped"}
    method, path, headers, body = server.asked[0]
    assert method == "GET"
    assert path == "/orders/1%2F..%2F..%2Fadmin%3Fx=%23/state?note=a%26b%3Dc&full=true"
    assert (headers["Idempotency-Key"], body) == ("turn:call", b"")


async def test_what_the_url_does_not_name_is_the_body(
    server: Server, http: HttpAgents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_KEY", "secret")
    refund = tool(
        http, f"{server.url}/orders/{{order}}", method="POST", headers={"x-api-key": "env:SHOP_KEY"}
    )
    await refund.call({"order": "17", "note": "late"}, CONTEXT)
    method, path, headers, body = server.asked[0]
    assert (method, path, headers["x-api-key"]) == ("POST", "/orders/17", "secret")
    assert json.loads(body) == {"note": "late"}


async def test_what_goes_wrong_is_told_in_words(server: Server, http: HttpAgents) -> None:
    find = tool(http, f"{server.url}/orders/{{order}}")
    for status in (302, 404, 500):
        server.answer = (status, b"no such order")
        with pytest.raises(ToolFailedError, match=f"status {status}: no such order"):
            await find.call({"order": "17"}, CONTEXT)
    assert len(server.asked) == 3  # redirects are not followed
    server.answer = (200, b"plain")
    assert await find.call({"order": "17"}, CONTEXT) == "plain"
    server.answer = (200, b"")
    assert await find.call({"order": "17"}, CONTEXT) == {"status": 200}
    server.answer = (200, b"x" * 1_048_577)
    with pytest.raises(ToolFailedError, match="more than 1048576 bytes"):
        await find.call({"order": "17"}, CONTEXT)
    with pytest.raises(ToolFailedError, match="could not be reached"):
        await tool(http, "http://127.0.0.1:1/{order}").call({"order": "17"}, CONTEXT)


@pytest.mark.parametrize(
    "arguments", [{}, {"order": 17}, {"order": ".."}, {"order": ""}, {"order": "17", "host": "evil"}]
)
async def test_arguments_that_do_not_fit_are_refused(http: HttpAgents, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentsError):
        tool(http, "http://127.0.0.1:1/{order}").check(arguments)


async def test_what_cannot_be_used_is_refused_at_the_start(http: HttpAgents) -> None:
    with pytest.raises(SettingsError, match="its URL names note: no required parameter"):
        tool(http, "http://127.0.0.1:1/{note}")
    with pytest.raises(SettingsError, match="the environment has no NO_SUCH_VARIABLE"):
        tool(http, "http://127.0.0.1:1/", headers={"x": "env:NO_SUCH_VARIABLE"})
    with pytest.raises(SettingsError, match="not a JSON Schema"):
        tool(http, "http://127.0.0.1:1/", parameters={"order": {"type": "no such type"}})
    for url in ("http://{order}.example/", "ftp://shop.example/", "http://shop.example/{order.x}"):
        with pytest.raises(ValueError, match="must be a URL"):
            tool(http, url)
