"""The tools that an agent's settings name, ready to be called."""

from collections.abc import Mapping
from types import MappingProxyType

from gateway.domain.tool import Tool
from gateway.settings import LlmAgent, SettingsError
from gateway.settings.llm import PLATFORM_TOOLS
from workers.agents.tools.platform import platform_tools
from workers.agents.tools.python import PythonTool


def tools_of(definition: LlmAgent) -> Mapping[str, Tool]:
    """By name, those of the platform among them. SettingsError with every one that cannot be used."""
    tools = platform_tools(tuple(definition.transfers))
    problems: list[str] = []
    for target in definition.tools:
        try:
            tool = PythonTool(target)
        except SettingsError as error:
            problems += [f"tools: {problem}" for problem in error.problems]
            continue
        name = tool.spec.name
        if name in tools or name in PLATFORM_TOOLS:
            problems.append(f"tools: {target}: there is another tool called {name}")
        tools[name] = tool
    if problems:
        raise SettingsError(problems)
    return MappingProxyType(tools)
