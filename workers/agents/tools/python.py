"""Tools in Python: functions of this installation. Their signature is what the model is told."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError

from gateway.domain.tool import InvalidArgumentsError, ToolContext, ToolSpec
from gateway.settings import SettingsError
from workers.agents.targets import load_function

MAX_DESCRIPTION = 4_000


class PythonTool:
    """One function. A parameter annotated with `ToolContext` is given it; the model sees the others."""

    def __init__(self, target: str) -> None:
        """Imports `package.module:function`; SettingsError where it cannot be a tool."""
        self._function: Callable[..., Any] = load_function(target)
        self._context: str | None = None
        self._model = self._arguments(target)
        schema = self._model.model_json_schema()
        schema.pop("title", None)
        self._spec = ToolSpec(
            name=target.rpartition(":")[2],
            description=(inspect.getdoc(self._function) or "")[:MAX_DESCRIPTION],
            parameters=schema,
        )

    @property
    def spec(self) -> ToolSpec:
        """Its name, its docstring, its parameters."""
        return self._spec

    def check(self, arguments: dict[str, Any]) -> None:
        """Whether the function takes them."""
        self._parsed(arguments)

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> object:
        """Call the function; one that is not async runs in a thread."""
        parsed = self._parsed(arguments)
        values = {name: getattr(parsed, name) for name in type(parsed).model_fields}
        if self._context is not None:
            values[self._context] = context
        if inspect.iscoroutinefunction(self._function):
            return await self._function(**values)
        return await asyncio.to_thread(self._function, **values)

    def _parsed(self, arguments: dict[str, Any]) -> BaseModel:
        try:
            return self._model.model_validate(arguments)
        except ValidationError as error:
            problems = (
                f"{'.'.join(str(step) for step in problem['loc']) or 'arguments'}: {problem['msg']}"
                for problem in error.errors(include_url=False, include_context=False, include_input=False)[:5]
            )
            raise InvalidArgumentsError("; ".join(problems)) from None

    def _arguments(self, target: str) -> type[BaseModel]:
        try:
            hints = get_type_hints(self._function, include_extras=True)
            parameters = inspect.signature(self._function).parameters.values()
        except (TypeError, ValueError, NameError) as error:
            raise SettingsError([f"{target}: its signature cannot be read: {error}"]) from None
        fields: dict[str, Any] = {}
        for parameter in parameters:
            hint = hints.get(parameter.name)
            if hint is ToolContext:
                self._context = parameter.name
                continue
            if hint is None or parameter.kind not in (
                parameter.POSITIONAL_OR_KEYWORD,
                parameter.KEYWORD_ONLY,
            ):
                raise SettingsError([f"{target}: the parameter {parameter.name} must have a name and a type"])
            required = parameter.default is parameter.empty
            fields[parameter.name] = (hint, Field() if required else Field(default=parameter.default))
        try:
            return create_model("Arguments", __config__=ConfigDict(extra="forbid"), **fields)
        except (PydanticUserError, NameError) as error:
            raise SettingsError([f"{target}: a parameter has a type no model can fill: {error}"]) from None
