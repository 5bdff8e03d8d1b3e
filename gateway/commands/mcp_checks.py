"""The checks of `gateway doctor` on MCP servers: whether each answers, and has its agent's tools.

A server is asked for its list; no tool is called.
"""

import asyncio

from yarl import URL

from gateway.commands.findings import Finding, Verdict
from gateway.domain.agent import AgentFailed
from gateway.domain.clock import Clock
from gateway.settings import Settings, SettingsError
from gateway.settings.agents import AgentWithTools
from gateway.settings.llm import McpServerTable


async def mcp_findings(settings: Settings) -> list[Finding]:
    """A line for each server of each agent."""
    wanted = [
        (f"MCP server {agent.slug}.{name}", table)
        for agent in settings.config.agents.values()
        if isinstance(agent.definition, AgentWithTools)
        for name, table in agent.definition.mcp_servers.items()
    ]
    return list(await asyncio.gather(*(_server(subject, table) for subject, table in wanted)))


async def _server(subject: str, table: McpServerTable) -> Finding:
    from workers.agents.tools.mcp import McpServer

    host = URL(table.url).host
    try:
        found = await McpServer(subject, table, Clock()).tools()
    except SettingsError as error:
        return Finding(subject, Verdict.FAIL, "; ".join(error.problems))
    except AgentFailed as failed:
        why = type(failed.__cause__).__name__
        return Finding(
            subject, Verdict.FAIL, f"{host} does not list its tools ({why}); check url and headers"
        )
    missing = [tool for tool in table.tools if tool not in found]
    if missing:
        return Finding(subject, Verdict.WARN, f"{host} has no {', '.join(missing)}; check tools")
    return Finding(subject, Verdict.OK, f"{host} has all {len(found)} tools")
