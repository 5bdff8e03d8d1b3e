"""Tools of an MCP server: those that are allowed, as it describes them; what goes wrong is told."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from gateway.commands.findings import Verdict
from gateway.commands.mcp_checks import mcp_findings
from gateway.domain.agent import AgentFailed, Delta, ToolAnswered
from gateway.domain.clock import Clock
from gateway.settings import SettingsError, load_config, load_settings
from tests.turns import turn_of
from workers.agents.catalogue import build_agents
from workers.agents.fake_openai import Call, ScriptedModel
from workers.agents.http import HttpAgents

AGENT = """
[agents.desk]
kind = "llm"
model = "openai:fake-model"
base_url = "{model}"

[agents.desk.mcp_servers.shop]
url = "{shop}/mcp"
tools = ["find_order", "cancel_order", "missing"]
"""


def shop() -> MCPServer:
    server = MCPServer("shop")

    @server.tool()
    def find_order(order: int) -> dict[str, str]:
        """Look an order up."""
        return {"order": str(order), "state": "shipped"}

    @server.tool()
    def cancel_order(order: int) -> str:
        """Cancel an order."""
        raise ToolError(f"order {order} has left")

    @server.tool()
    def delete_everything() -> str:
        """Not for models."""
        raise AssertionError

    return server


@pytest.fixture
async def shop_url() -> AsyncIterator[str]:
    server = uvicorn.Server(
        uvicorn.Config(shop().streamable_http_app(), port=0, log_level="error", ws="none")
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await serving


async def test_the_models_calls_reach_the_server(tmp_path: Path, shop_url: str) -> None:
    model = ScriptedModel(
        [[Call("find_order", {"order": 17}), Call("cancel_order", {"order": 17})], "It has left."]
    )
    await model.start()
    (tmp_path / "gateway.toml").write_text(AGENT.format(model=model.base_url, shop=shop_url))
    config = load_config(tmp_path / "gateway.toml", "localhost")
    try:
        async with HttpAgents(None, Clock()) as http:
            agent = build_agents(config, http)[config.agents["desk"].id].agent
            steps = [step async for step in agent.answer(turn_of("Cancel order 17"))]
    finally:
        await model.stop()
    found, failed = (step for step in steps if isinstance(step, ToolAnswered))
    assert found.output == {"order": "17", "state": "shipped"}
    assert failed.error is not None
    assert "order 17 has left" in failed.error
    assert "".join(step.text for step in steps if isinstance(step, Delta)) == "It has left."
    tools = model.requests[0].tools
    assert {"find_order", "cancel_order"} <= set(tools)
    assert not {"delete_everything", "missing"} & set(tools)


async def test_a_server_that_is_away_fails_the_turn(tmp_path: Path) -> None:
    text = AGENT.format(model="http://127.0.0.1:1/v1", shop="http://127.0.0.1:1")
    (tmp_path / "gateway.toml").write_text(text)
    config = load_config(tmp_path / "gateway.toml", "localhost")
    async with HttpAgents(None, Clock()) as http:
        agent = build_agents(config, http)[config.agents["desk"].id].agent
        with pytest.raises(AgentFailed, match="the MCP server shop did not list its tools"):
            async for _ in agent.answer(turn_of("Hello")):
                pass


async def test_doctor_looks_at_each_server(tmp_path: Path, shop_url: str) -> None:
    text = AGENT.format(model="http://127.0.0.1:1/v1", shop=shop_url)
    text += '[agents.desk.mcp_servers.away]\nurl = "http://127.0.0.1:1/mcp"\ntools = ["one"]\n'
    text += AGENT.format(model="http://127.0.0.1:1/v1", shop=shop_url).replace("desk", "second")
    path = tmp_path / "gateway.toml"
    path.write_text(text.replace(', "missing"]', "]", 1))
    settings = load_settings({}, config_path=path, data_dir=tmp_path, host="127.0.0.1", port=0)
    found = [(one.subject, one.verdict, one.text) for one in await mcp_findings(settings)]
    (away,) = [one for one in found if one[0] == "MCP server desk.away"]
    assert away[1] is Verdict.FAIL
    assert away[2].startswith("127.0.0.1 does not list its tools (")
    assert [one for one in found if one != away] == [
        ("MCP server desk.shop", Verdict.OK, "127.0.0.1 has all 2 tools"),
        ("MCP server second.shop", Verdict.WARN, "127.0.0.1 has no missing; check tools"),
    ]


def test_two_tools_of_one_name_are_refused(tmp_path: Path) -> None:
    text = AGENT.format(model="http://127.0.0.1:1/v1", shop="http://127.0.0.1:1")
    clash = '\n[agents.desk.mcp_servers.other]\nurl = "http://127.0.0.1:1"\ntools = ["find_order"]\n'
    (tmp_path / "gateway.toml").write_text(text + clash)
    config = load_config(tmp_path / "gateway.toml", "localhost")
    with pytest.raises(SettingsError, match=r"mcp_servers\.other: there is another tool called find_order"):
        build_agents(config, HttpAgents(None, Clock()))
