"""The tools every model has: what the gateway itself can do with a conversation.

None of them calls anybody. Each becomes an event of the agent protocol, carried out when the turn commits.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.domain.agent import (
    AgentEvent,
    CallTransferRequested,
    ConsentRevoked,
    ConversationEnd,
    Delta,
    DigitsRequested,
    HandoffRequested,
    TurnRequest,
)
from gateway.domain.conversation import SessionType
from gateway.domain.intent import MAX_DIGITS
from gateway.domain.message import Channel, JsonObject
from gateway.domain.steps import MAX_FACT, AgentStep, Fact
from gateway.domain.tool import Tool, ToolContext, ToolSpec
from workers.agents.tools.arguments import ArgumentCheck

HANDOFF_TEXT = "I am handing you over to a colleague, who will answer here."
"""Said where the model hands over without a word."""

_SAY = {"type": "string", "maxLength": 2000, "description": "What to say to the user now, in their language."}
_REASON = {"type": "string", "maxLength": 500, "description": "Why, in a few words, for the colleagues."}
_BRIEFING = {
    "type": "string",
    "maxLength": 1000,
    "description": "What the colleague hears before taking the call, in two or three sentences: "
    "who calls, what they want, what was done so far.",
}

Effects = Callable[[JsonObject], Iterator[AgentStep]]


@dataclass(frozen=True, slots=True)
class PlatformTool:
    """One of them."""

    spec: ToolSpec
    _check: ArgumentCheck
    _effects: Effects
    ends: bool
    """The turn is over with it: the model is not asked again."""
    on_calls_only: bool = False
    live_only: bool = False
    """Of conversations that leave something behind: none of tests and simulations."""

    def check(self, arguments: dict[str, Any]) -> None:
        """Whether they fit."""
        self._check.check(arguments)

    async def call(self, _arguments: dict[str, Any], _context: ToolContext) -> object:
        """Nothing to do yet: the effects come with the turn."""
        return {"done": True}

    def effects(self, arguments: JsonObject) -> Iterator[AgentStep]:
        """What the turn does for it."""
        return self._effects(arguments)


def platform_tools(labels: tuple[str, ...]) -> dict[str, Tool]:
    """Those of an agent that may transfer calls to `labels`; the model can name no other place."""
    tools = [_handoff(), _end(), _revoke(), _digits(), _remember()]
    if labels:
        tools.append(_transfer(labels))
    return {tool.spec.name: tool for tool in tools}


def offered(tools: Mapping[str, Tool], turn: TurnRequest) -> Mapping[str, Tool]:
    """The tools of a turn: none where nobody knows who writes, and keys to press only on a call."""
    if not turn.proven:
        return {}
    on_call, live = turn.channel == Channel.VOICE, turn.session_type == SessionType.LIVE
    return {
        name: tool
        for name, tool in tools.items()
        if not isinstance(tool, PlatformTool)
        or ((on_call or not tool.on_calls_only) and (live or not tool.live_only))
    }


def _tool(
    name: str, description: str, properties: JsonObject, effects: Effects, *, required: tuple[str, ...] = ()
) -> PlatformTool:
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
    spec = ToolSpec(name=name, description=description, parameters=schema)
    return PlatformTool(spec, ArgumentCheck(schema, name), effects, True, name == "collect_digits")


def _said(arguments: JsonObject) -> Iterator[AgentEvent]:
    if arguments.get("say"):
        yield Delta(text=arguments["say"])


def _handoff() -> PlatformTool:
    def effects(arguments: JsonObject) -> Iterator[AgentEvent]:
        yield from _said(arguments)
        yield HandoffRequested(reason=arguments["reason"], static_text=HANDOFF_TEXT)

    return _tool(
        "handoff",
        "Give the conversation to a human colleague: when the user asks for a person, or you cannot help.",
        {"reason": _REASON, "say": _SAY},
        effects,
        required=("reason",),
    )


def _end() -> PlatformTool:
    def effects(arguments: JsonObject) -> Iterator[AgentEvent]:
        yield from _said(arguments)
        yield ConversationEnd(reason=arguments["reason"])

    return _tool(
        "end_conversation",
        "Close the conversation, once everything is settled and the user has said goodbye.",
        {"reason": _REASON, "say": _SAY},
        effects,
        required=("reason",),
    )


def _revoke() -> PlatformTool:
    def effects(_arguments: JsonObject) -> Iterator[AgentEvent]:
        yield ConsentRevoked()

    return _tool(
        "revoke_consent",
        "The user wants no more messages from us, in whatever words. They get one confirmation, no more.",
        {},
        effects,
    )


def _digits() -> PlatformTool:
    def effects(arguments: JsonObject) -> Iterator[AgentEvent]:
        yield Delta(text=arguments["say"])
        yield DigitsRequested(
            expects_input=True,
            max_digits=arguments.get("max_digits"),
            termination_digit=arguments.get("termination_digit"),
        )

    return _tool(
        "collect_digits",
        "Ask the caller to press keys, such as a PIN or a number; their next input is the digits.",
        {
            "say": {**_SAY, "minLength": 1},
            "max_digits": {"type": "integer", "minimum": MAX_DIGITS[0], "maximum": MAX_DIGITS[1]},
            "termination_digit": {"type": "string", "enum": ["#", "*", ""]},
        },
        effects,
        required=("say",),
    )


def _remember() -> PlatformTool:
    def effects(arguments: JsonObject) -> Iterator[AgentStep]:
        yield Fact(arguments["fact"])

    schema = {
        "type": "object",
        "properties": {
            "fact": {"type": "string", "minLength": 1, "maxLength": MAX_FACT, "description": "One sentence."}
        },
        "required": ["fact"],
        "additionalProperties": False,
    }
    spec = ToolSpec(
        name="remember",
        description="Have later conversations with this user know a fact about them that will stay true.",
        parameters=schema,
    )
    return PlatformTool(spec, ArgumentCheck(schema, spec.name), effects, ends=False, live_only=True)


def _transfer(labels: tuple[str, ...]) -> PlatformTool:
    def effects(arguments: JsonObject) -> Iterator[AgentEvent]:
        yield from _said(arguments)
        yield CallTransferRequested(
            label=arguments["label"], reason=arguments.get("reason"), briefing=arguments.get("briefing")
        )

    return _tool(
        "transfer_call",
        "Transfer the phone call. Where there is no call, a colleague gets the conversation instead.",
        {
            "label": {"type": "string", "enum": list(labels)},
            "reason": _REASON,
            "briefing": _BRIEFING,
            "say": _SAY,
        },
        effects,
        required=("label",),
    )
