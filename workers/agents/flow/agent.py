"""Goes through a flow: from where the last turn stopped to where the next one has to wait."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

from gateway.domain.agent import (
    AgentFailed,
    CallTransferRequested,
    ConversationEnd,
    Delta,
    DigitsRequested,
    HandoffRequested,
    ToolAnswered,
    ToolCalled,
    TurnRequest,
)
from gateway.domain.message import Channel
from gateway.domain.steps import AgentStep, Progress
from gateway.domain.tool import InvalidArgumentsError, Tool, ToolContext, ToolFailedError
from gateway.settings import FlowAgent as FlowDefinition
from gateway.settings.flow import (
    ENDS,
    INPUT,
    WAITS,
    AskNode,
    BranchNode,
    ChoiceNode,
    DigitsNode,
    EndNode,
    FlowNode,
    HandoffNode,
    SayNode,
    ToolNode,
    TransferNode,
)
from workers.agents.flow.ports import Choose
from workers.agents.flow.state import FlowState, state_of
from workers.agents.tools.arguments import as_wanted
from workers.agents.tools.toolbox import Toolbox

TOOL_SECONDS = 20.0
MAX_RESULT = 20_000
"""Characters of a tool's result as JSON."""

_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,63})\}")
_BETWEEN = {Channel.SMS: " ", Channel.VOICE: " "}
"""What stands between two texts of one reply, unless a new paragraph."""


class FlowAgent:
    """Answers turns by a declared graph; the same state and input always go the same way."""

    def __init__(self, definition: FlowDefinition, toolbox: Toolbox, choose: Choose | None) -> None:
        """`choose`: the model, where there is one."""
        self._definition = definition
        self._toolbox = toolbox
        self._choose = choose

    async def answer(self, turn: TurnRequest) -> AsyncIterator[AgentStep]:
        """Go on until a node waits, or gives the conversation away."""
        run = _Run(self._definition, self._toolbox, self._choose, turn)
        async for step in run.steps():
            yield step


class _Run:
    """One attempt at one turn."""

    def __init__(
        self,
        definition: FlowDefinition,
        toolbox: Toolbox,
        choose: Choose | None,
        turn: TurnRequest,
    ) -> None:
        self._definition = definition
        self._nodes = definition.nodes
        self._toolbox = toolbox
        self._choose = choose
        self._turn = turn
        self._state: FlowState = state_of(turn)
        self._results: dict[str, Any] = dict((turn.state or {}).get("results", {}))
        self._said = False
        self._calls = 0
        self._next: str | None = None

    async def steps(self) -> AsyncIterator[AgentStep]:
        """All of the turn; the state comes last and is committed with it."""
        name: str | None = self._begin()
        while name is not None:
            node = self._nodes[name]
            for said in self._say(node):
                yield said
            if node.type in WAITS | ENDS:
                self._state.at = name
                for step in _left(node, self._text):
                    yield step
                name = None
            elif isinstance(node, ToolNode):
                async for step in self._call(name, node):
                    yield step
                name = self._next
            else:
                name = await self._onward(node)
        yield self._state.digest(self._turn)

    def _begin(self) -> str:
        """The node that this turn begins with, once the input is where it belongs."""
        said = self._turn.input_text.strip()
        self._state.keep(INPUT, said)
        waited = self._nodes.get(self._state.at) if self._state.at is not None else None
        match waited:
            case AskNode() | DigitsNode():
                self._state.keep(waited.save, said)
                return waited.next
            case HandoffNode(next=str(following)):
                return following
            case _:
                return self._definition.start

    def _say(self, node: FlowNode) -> Iterator[AgentStep]:
        match node:
            case SayNode() | AskNode() | DigitsNode() | EndNode(text=str()) | HandoffNode(text=str()):
                between = _BETWEEN.get(Channel(self._turn.channel), "\n\n") if self._said else ""
                self._said = True
                yield Delta(text=between + self._text(node.text or ""))

    async def _onward(self, node: FlowNode) -> str:
        match node:
            case SayNode():
                return node.next
            case BranchNode():
                return self._branch(node)
            case ChoiceNode():
                return await self._chosen(node)
            case _:
                raise AgentFailed(f"a node of type {node.type} has no way on")

    def _branch(self, node: BranchNode) -> str:
        value = self._value(node.on)
        try:
            return next((case.next for case in node.cases if case.fits(value)), node.otherwise)
        except TimeoutError:
            raise AgentFailed("a pattern of a branch takes too long") from None

    async def _chosen(self, node: ChoiceNode) -> str:
        if self._choose is None:
            raise AgentFailed("a choice needs a model")
        options = {name: option.about for name, option in node.options.items()}
        picked = await self._choose(self._turn, self._text(node.question), options)
        return node.otherwise if picked is None else node.options[picked].next

    async def _call(self, name: str, node: ToolNode) -> AsyncIterator[AgentStep]:
        """Call a tool, unless an earlier attempt of the turn did; where the flow goes on is `_next`."""
        arguments = {
            key: self._text(value) if isinstance(value, str) else value
            for key, value in node.arguments.items()
        }
        self._calls += 1
        call_id = f"{name}-{self._calls}"
        yield ToolCalled(id=call_id, name=node.tool, arguments=arguments)
        if not self._turn.proven:
            yield ToolAnswered(id=call_id, error="nobody knows who writes")
            self._next = node.on_error
            return
        if call_id not in self._results:
            self._results[call_id] = await self._result(node, arguments, call_id)
            yield Progress({"results": self._results})
        result = self._results[call_id]
        yield ToolAnswered(id=call_id, output=result["output"], error=result["error"])
        if node.save is not None and result["error"] is None:
            output = result["output"]
            written = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
            self._state.keep(node.save, written)
            for key, value in output.items() if isinstance(output, dict) else ():
                self._state.keep(f"{node.save}_{key}", value if isinstance(value, str) else json.dumps(value))
        self._next = node.next if result["error"] is None else node.on_error

    async def _result(self, node: ToolNode, arguments: dict[str, Any], call_id: str) -> dict[str, Any]:
        turn = self._turn
        context = ToolContext(
            turn_id=turn.turn_id,
            conversation_id=turn.conversation_id,
            end_user_id=turn.end_user_id,
            channel=turn.channel,
            context_variables=turn.context_variables,
            idempotency_key=f"{turn.turn_id}:{call_id}",
        )
        try:
            async with asyncio.timeout(TOOL_SECONDS):
                tool = await self._tool(node.tool)
                wanted = as_wanted(arguments, tool.spec.parameters)
                tool.check(wanted)
                output = await tool.call(wanted, context)
            written = json.dumps(output, ensure_ascii=False, allow_nan=False)
        except TimeoutError:
            return {"output": None, "error": f"the tool did not answer within {TOOL_SECONDS:g} s"}
        except (ToolFailedError, InvalidArgumentsError) as error:
            return {"output": None, "error": str(error)[:MAX_RESULT]}
        except Exception as error:
            return {"output": None, "error": f"the tool failed ({type(error).__name__})"}
        if len(written) > MAX_RESULT:
            return {"output": None, "error": f"the tool's result has more than {MAX_RESULT} characters"}
        return {"output": json.loads(written.replace("\\u0000", "")), "error": None}

    async def _tool(self, name: str) -> Tool:
        """The tool; ToolFailedError where its server is away, or has it no more."""
        try:
            tool = await self._toolbox.tool(name)
        except AgentFailed as failed:
            raise ToolFailedError(failed.reason) from None
        if tool is None:
            raise ToolFailedError(f"there is no tool {name} any more")
        return tool

    def _text(self, written: str) -> str:
        """With its variables; unknown names stand for nothing."""
        return _PLACE.sub(lambda match: self._value(match[1]), written)

    def _value(self, name: str) -> str:
        if name in self._state.variables:
            return self._state.variables[name]
        value = self._turn.context_variables.get(name, "")
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _left(node: FlowNode, filled: Any) -> Iterator[AgentStep]:
    """What a node does besides what it says, where the turn ends with it."""
    match node:
        case DigitsNode():
            yield DigitsRequested(
                expects_input=True, max_digits=node.max_digits, termination_digit=node.termination_digit
            )
        case HandoffNode():
            yield HandoffRequested(reason=filled(node.reason), static_text=node.text and filled(node.text))
        case TransferNode():
            yield CallTransferRequested(label=node.label, connecting_text=node.text and filled(node.text))
        case EndNode():
            yield ConversationEnd(reason=node.reason and filled(node.reason))
