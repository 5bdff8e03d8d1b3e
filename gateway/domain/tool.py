"""Tools that an agent of this process may call."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """For whom a tool is called. A Python tool that has a parameter of this type is given it.

    The model sees nothing of it.
    """

    turn_id: str
    conversation_id: str
    end_user_id: str
    channel: str
    context_variables: Mapping[str, Any]
    idempotency_key: str
    """The same for each attempt at one call: what has a side effect acts once for a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """What a model is told of a tool."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON Schema of an object."""


class InvalidArgumentsError(Exception):
    """A call whose arguments do not fit; the model is told why, and may try again."""


class ToolFailedError(Exception):
    """A call that came to nothing; the model is told, in the message's words."""


class Tool(Protocol):
    """Something an agent may call."""

    @property
    def spec(self) -> ToolSpec:
        """What a model is told of it."""
        ...

    def check(self, arguments: dict[str, Any]) -> None:
        """Raise InvalidArgumentsError for arguments that do not fit."""
        ...

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> object:
        """Call it; its result is JSON. Raises ToolFailedError."""
        ...
