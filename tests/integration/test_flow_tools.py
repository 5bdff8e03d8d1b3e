"""Flows that call what is behind a URL, and tools of MCP servers; what fails goes its declared way."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway.domain.agent import Delta, ToolAnswered
from gateway.domain.clock import Clock
from gateway.domain.steps import AgentStep, Digest
from gateway.settings import SettingsError, load_config
from tests.integration.test_mcp_tools import shop_url  # noqa: F401
from tests.loopback import served
from tests.turns import turn_of
from workers.agents.catalogue import build_agents
from workers.agents.http import HttpAgents

FLOW = """
[agents.desk]
kind = "flow"
start = "which"

[agents.desk.http_tools.order-state]
url = "{shop}/orders/{{order}}"
description = "The state of an order."
parameters = {{ order = {{ type = "integer" }}, full = {{ type = "boolean", optional = true }} }}

[agents.desk.mcp_servers.shop]
url = "{mcp}/mcp"
tools = ["find_order", "cancel_order"]

[agents.desk.nodes]
which = {{ type = "ask", text = "Which order?", save = "order", next = "look" }}
told = {{ type = "end", text = "It is {{found_state}}." }}

[agents.desk.nodes.look]
type = "tool"
tool = "{tool}"
arguments = {arguments}
save = "found"
next = "told"
on_error = "which"
"""
ORDER = '{ order = "{order}" }'


@pytest.fixture
async def shop() -> AsyncIterator[tuple[str, list[str]]]:
    """A server that knows order 17, and what it was asked."""
    asked: list[str] = []

    async def state(request: web.Request) -> web.Response:
        asked.append(request.path_qs)
        if request.match_info["order"] != "17":
            raise web.HTTPNotFound(text="no such order")
        return web.json_response({"state": "shipped"})

    app = web.Application()
    app.router.add_get("/orders/{order}", state)
    async with served(app) as url:
        yield url, asked


async def talk(tmp_path: Path, text: str, *inputs: str) -> list[list[AgentStep]]:
    """What a flow does, turn by turn."""
    (tmp_path / "gateway.toml").write_text(text)
    config = load_config(tmp_path / "gateway.toml", "localhost")
    turns: list[list[AgentStep]] = []
    digest: dict[str, Any] | None = None
    async with HttpAgents(None, Clock()) as http:
        agent = build_agents(config, http)[config.agents["desk"].id].agent
        for said in inputs:
            turn = turn_of(said).model_copy(update={"digest": digest})
            async with aclosing(agent.answer(turn)) as steps:  # type: ignore[type-var]
                turns.append([step async for step in steps])
            (kept,) = [step for step in turns[-1] if isinstance(step, Digest)]
            digest = {"up_to": kept.up_to, "text": kept.text}
    return turns


def text_of(steps: list[AgentStep]) -> str:
    return "".join(step.text for step in steps if isinstance(step, Delta))


async def test_a_flow_calls_what_is_behind_a_url(tmp_path: Path, shop: tuple[str, list[str]]) -> None:
    url, asked = shop
    flow = FLOW.format(
        shop=url,
        mcp="http://127.0.0.1:1",
        tool="order-state",
        arguments='{ order = "{order}", full = "True" }',
    )
    turns = await talk(tmp_path, flow, "Hi", "the blue one", "18", " 17 ")
    assert [text_of(steps) for steps in turns] == [
        "Which order?",
        "Which order?",
        "Which order?",
        "It is shipped.",
    ]
    assert asked == ["/orders/18?full=true", "/orders/17?full=true"]
    errors = [s.error or "" for steps in turns for s in steps if isinstance(s, ToolAnswered)]
    assert "order" in errors[0]
    assert "status 404" in errors[1]


async def test_a_flow_calls_a_tool_of_an_mcp_server(tmp_path: Path, shop_url: str) -> None:  # noqa: F811
    flow = FLOW.format(shop="http://127.0.0.1:1", mcp=shop_url, tool="find_order", arguments=ORDER)
    turns = await talk(tmp_path, flow, "Hi", "17")
    assert text_of(turns[1]) == "It is shipped."


async def test_a_server_that_is_away_is_an_error_of_the_tool(tmp_path: Path) -> None:
    away = "http://127.0.0.1:1"
    for tool in ("find_order", "order-state"):
        turns = await talk(tmp_path, FLOW.format(shop=away, mcp=away, tool=tool, arguments=ORDER), "Hi", "17")
        assert text_of(turns[1]) == "Which order?"
        (answered,) = [step for step in turns[1] if isinstance(step, ToolAnswered)]
        assert answered.error is not None


def test_a_tool_that_is_not_named_is_refused(tmp_path: Path) -> None:
    away = "http://127.0.0.1:1"
    (tmp_path / "gateway.toml").write_text(
        FLOW.format(shop=away, mcp=away, tool="delete_everything", arguments=ORDER)
    )
    with pytest.raises(SettingsError, match="no tool is called delete_everything"):
        load_config(tmp_path / "gateway.toml", "localhost")
