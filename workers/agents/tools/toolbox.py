"""The tools that an agent's settings name, ready to be called."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from gateway.domain.tool import Tool
from gateway.settings import LlmAgent, SettingsError
from gateway.settings.llm import PLATFORM_TOOLS
from workers.agents.http import HttpAgents
from workers.agents.tools.http import HttpTool
from workers.agents.tools.knowledge import NAME as KNOWLEDGE
from workers.agents.tools.knowledge import KnowledgeTool, Search
from workers.agents.tools.platform import platform_tools
from workers.agents.tools.python import PythonTool


def tools_of(definition: LlmAgent, http: HttpAgents, search: Search | None = None) -> Mapping[str, Tool]:
    """By name, those of the platform among them. SettingsError with every one that cannot be used.

    `search` looks through the agent's documents.
    """
    tools = platform_tools(tuple(definition.transfers))
    if search is not None and definition.knowledge:
        tools[KNOWLEDGE] = KnowledgeTool(search)
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
    if problems:
        raise SettingsError(problems)
    return MappingProxyType(tools)
