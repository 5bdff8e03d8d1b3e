"""The tools that an agent's settings name, ready to be called."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from gateway.domain.tool import Tool
from gateway.settings import FlowAgent, LlmAgent, SettingsError
from gateway.settings.agents import AgentWithTools
from gateway.settings.llm import PLATFORM_TOOLS
from workers.agents.http import HttpAgents
from workers.agents.tools.http import HttpTool
from workers.agents.tools.knowledge import NAME as KNOWLEDGE
from workers.agents.tools.knowledge import KnowledgeTool, Search
from workers.agents.tools.mcp import McpServer
from workers.agents.tools.platform import platform_tools
from workers.agents.tools.python import PythonTool


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The tools of one agent."""

    own: Mapping[str, Tool]
    """Those that are known at the start, by name."""
    servers: tuple[McpServer, ...] = ()

    async def tools(self) -> Mapping[str, Tool]:
        """All of them. Raises AgentFailed where a server does not say what it has."""
        found = dict(self.own)
        for server in self.servers:
            found.update(await server.tools())
        return found

    async def tool(self, name: str) -> Tool | None:
        """One of them; None where its server has it no more. Raises AgentFailed where that does not say."""
        for server in self.servers:
            if name in server.allowed:
                return (await server.tools()).get(name)
        return self.own.get(name)


def tools_of(definition: LlmAgent, http: HttpAgents, search: Search | None = None) -> Toolbox:
    """The platform's tools and the configured ones. SettingsError with every one that cannot be used.

    `search` looks through the agent's documents.
    """
    tools = platform_tools(tuple(definition.transfers))
    if search is not None:
        tools[KNOWLEDGE] = KnowledgeTool(search)
    return _with_configured(tools, definition, http)


def flow_tools_of(definition: FlowAgent, http: HttpAgents) -> Toolbox:
    """The tools that a flow's nodes may call. SettingsError with every one that cannot be used."""
    return _with_configured({}, definition, http)


def _with_configured(tools: dict[str, Tool], definition: AgentWithTools, http: HttpAgents) -> Toolbox:
    """These and the configured ones, of which none may have another's name."""
    problems: list[str] = []
    wanted: list[tuple[str, Callable[[], Tool]]] = [
        *(("tools", partial(PythonTool, target)) for target in definition.tools),
        *(
            ("http_tools", partial(HttpTool, name, table, http))
            for name, table in definition.http_tools.items()
        ),
    ]
    for place, make in wanted:
        try:
            tool = make()
        except SettingsError as error:
            problems += [f"{place}: {problem}" for problem in error.problems]
            continue
        name = tool.spec.name
        if name in tools or name in PLATFORM_TOOLS:
            problems.append(f"{place}: there is another tool called {name}")
        tools[name] = tool
    servers: list[McpServer] = []
    taken = {*tools, *PLATFORM_TOOLS}
    for name, table in definition.mcp_servers.items():
        try:
            server = McpServer(name, table, http.clock)
        except SettingsError as error:
            problems += [f"mcp_servers: {problem}" for problem in error.problems]
            continue
        for tool_name in server.allowed:
            if tool_name in taken:
                problems.append(f"mcp_servers.{name}: there is another tool called {tool_name}")
            taken.add(tool_name)
        servers.append(server)
    if problems:
        raise SettingsError(problems)
    return Toolbox(MappingProxyType(tools), tuple(servers))
