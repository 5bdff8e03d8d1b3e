"""Tools of MCP servers over streamable HTTP: those that are configured, as the server describes them.

Source: https://modelcontextprotocol.io/specification (Tools, Streamable HTTP). Each listing and call has a
connection of its own, so that a server may restart at any time; the listing is kept for some minutes.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.domain.agent import AgentFailed
from gateway.domain.clock import Clock
from gateway.domain.tool import InvalidArgumentsError, Tool, ToolContext, ToolFailedError, ToolSpec
from gateway.settings import SettingsError
from gateway.settings.llm import McpServerTable
from workers.agents.tools.arguments import ArgumentCheck
from workers.agents.tools.http import resolved_headers

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import RequestParamsMeta

KEPT_SECONDS = 300.0
"""How long a server's list of tools is believed."""
LIST_SECONDS = 10.0
MAX_DESCRIPTION = 4_000

_log = logging.getLogger(__name__)


class McpServer:
    """One server."""

    def __init__(self, name: str, table: McpServerTable, clock: Clock) -> None:
        """SettingsError where a variable of the environment is missing."""
        self._name = name
        self._table = table
        self._headers = resolved_headers(name, table.headers)
        self._clock = clock
        self._tools: Mapping[str, Tool] = {}
        self._listed_at: float | None = None

    @property
    def allowed(self) -> tuple[str, ...]:
        """The tools that may be called."""
        return self._table.tools

    async def tools(self) -> Mapping[str, Tool]:
        """The allowed tools that the server has. Raises AgentFailed where it does not say."""
        now = self._clock.monotonic()
        if self._listed_at is None or now - self._listed_at > KEPT_SECONDS:
            try:
                async with asyncio.timeout(LIST_SECONDS):
                    self._tools = await self._list()
            except Exception as error:
                reason = f"the MCP server {self._name} did not list its tools ({type(error).__name__})"
                raise AgentFailed(reason) from error
            self._listed_at = now
        return self._tools

    async def call(self, tool: str, arguments: dict[str, Any], context: ToolContext) -> object:
        """Call a tool. Raises ToolFailedError with what the server says."""
        async with self.client() as client:
            result = await client.call_tool(tool, arguments, meta=_meta(context))
        text = "\n".join(part.text for part in result.content if part.type == "text")
        if result.is_error:
            raise ToolFailedError(text or "the tool failed")
        return text if result.structured_content is None else result.structured_content

    async def _list(self) -> Mapping[str, Tool]:
        async with self.client() as client:
            offered = {tool.name: tool for tool in (await client.list_tools()).tools}
        found: dict[str, Tool] = {}
        for name in self._table.tools:
            if name not in offered:
                _log.warning(
                    "an MCP server lacks a tool that is configured",
                    extra={"action": "mcp.tool_missing", "server": self._name, "tool": name},
                )
                continue
            tool = offered[name]
            spec = ToolSpec(
                name=name,
                description=(tool.description or "")[:MAX_DESCRIPTION],
                parameters=dict(tool.input_schema),
            )
            found[name] = McpTool(spec, self, _check_of(spec))
        return found

    @asynccontextmanager
    async def client(self) -> "AsyncIterator[Client]":
        """A connection of its own. Its library is loaded with the first of them."""
        import httpx2
        from mcp import Client
        from mcp.client.streamable_http import streamable_http_client

        async with (
            httpx2.AsyncClient(headers=self._headers, timeout=None) as http,
            Client(streamable_http_client(self._table.url, http_client=http)) as client,
        ):
            yield client


@dataclass(frozen=True, slots=True)
class McpTool:
    """One tool of a server."""

    spec: ToolSpec
    _server: McpServer
    _check: ArgumentCheck | None

    def check(self, arguments: dict[str, Any]) -> None:
        """Whether they fit what the server says of them."""
        if self._check is None:
            raise InvalidArgumentsError("the server's description of this tool cannot be read")
        self._check.check(arguments)

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> object:
        """Ask the server."""
        return await self._server.call(self.spec.name, arguments, context)


def _meta(context: ToolContext) -> "RequestParamsMeta":
    """What is told beside the arguments (`_meta`), under a name of ours."""
    return {"channel-gateway/idempotency-key": context.idempotency_key}  # type: ignore[typeddict-unknown-key]


def _check_of(spec: ToolSpec) -> ArgumentCheck | None:
    """None for a schema that is none: what comes from outside must not stop the agent."""
    try:
        return ArgumentCheck(spec.parameters, spec.name)
    except SettingsError:
        return None
