"""The tools of an agent as pydantic-ai is told of them: all deferred, so that the turn calls them itself.

That is what lets a result be kept before the model sees it, and a call wait for a person.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.exceptions import ModelRetry
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets.abstract import ToolsetTool
from pydantic_ai.toolsets.external import ExternalToolset
from pydantic_core import SchemaValidator, core_schema

from gateway.domain.tool import InvalidArgumentsError, Tool

MAX_RETRIES = 2
"""How often in a row a model may get a tool's arguments wrong."""

_OBJECT = SchemaValidator(core_schema.dict_schema(core_schema.str_schema()))


class DeferredTools(ExternalToolset[object]):
    """Tools whose arguments are checked here, and which are called by the turn."""

    def __init__(self, tools: Mapping[str, Tool]) -> None:
        super().__init__([_definition(tool) for tool in tools.values()])
        self._tools = tools

    async def get_tools(self, ctx: RunContext[object]) -> dict[str, ToolsetTool[object]]:
        """All of them, each with its check."""
        return {
            name: replace(
                found,
                max_retries=MAX_RETRIES,
                args_validator=_OBJECT,
                args_validator_func=_check(self._tools[name]),
            )
            for name, found in (await super().get_tools(ctx)).items()
        }


def _definition(tool: Tool) -> ToolDefinition:
    spec = tool.spec
    return ToolDefinition(
        name=spec.name, description=spec.description, parameters_json_schema=dict(spec.parameters)
    )


def _check(tool: Tool) -> Callable[..., None]:
    def check(_ctx: RunContext[object], /, **arguments: Any) -> None:
        try:
            tool.check(arguments)
        except InvalidArgumentsError as error:
            raise ModelRetry(str(error)) from None

    return check
