"""The calls of tools within one turn: whether each may be made, what it came to, and what of it is told.

What an answer calls is called at once, up to the first call that a policy keeps waiting.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import takewhile

from pydantic_ai.messages import ToolCallPart
from pydantic_core import PydanticSerializationError, to_jsonable_python

from gateway.domain.agent import (
    AgentFailed,
    ApprovalDecision,
    ApprovalRequired,
    Evidence,
    EvidenceItem,
    ToolAnswered,
    ToolCalled,
    TurnRequest,
)
from gateway.domain.fallback import SAFE_MESSAGE
from gateway.domain.message import JsonObject
from gateway.domain.steps import AgentStep, Embedded, PolicyAction, PolicyApplied, PolicyPoint, Progress
from gateway.domain.tool import Tool, ToolContext, ToolFailedError
from gateway.settings import PolicyConfig
from gateway.settings.llm import LimitsTable
from workers.agents.llm.cut import cut
from workers.agents.llm.state import Parked, Result, TurnState
from workers.agents.policies import CallPolicies
from workers.agents.tools.knowledge import KnowledgeTool, cited, marked, passages
from workers.agents.tools.platform import PlatformTool

MAX_OUTPUT = 20_000
"""Characters of a result as JSON that are kept, and that the model reads."""
HOUR = 3600


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A call that has no result yet, and the policy that it meets."""

    call: ToolCallPart
    policy: PolicyConfig | None


class Calls:
    """Makes the calls that the model asked for."""

    def __init__(
        self,
        turn: TurnRequest,
        state: TurnState,
        tools: Mapping[str, Tool],
        policies: CallPolicies,
        limits: LimitsTable,
    ) -> None:
        self._turn = turn
        self._state = state
        self._tools = tools
        self._policies = policies
        self._limits = limits
        self._told: list[str] = []
        self._over = False
        self._cited = 0
        self._embedded = 0
        """Tokens that were read to find passages, and are not told yet."""

    @property
    def over(self) -> bool:
        """The turn ends here: it waits for a person, was refused, or a tool gave the conversation away."""
        return self._over

    async def make(self, calls: Sequence[ToolCallPart]) -> AsyncGenerator[AgentStep, None]:
        """Make those that have no result yet; each result is kept before anything else is done."""
        wanted = [
            _Wanted(call, await self._policies.of_call(call.tool_name, call.args_as_dict()))
            for call in calls
            if call.tool_call_id not in self._state.results
        ]
        for one in wanted:
            if one.policy is not None and one.policy.action is PolicyAction.BLOCK:
                for step in self._refuse(one.call, one.policy):
                    yield step
                return
        ready = list(takewhile(lambda one: one.policy is None or self._decision(one.call), wanted))
        if ready:
            async with aclosing(self._together(ready)) as steps:
                async for step in steps:
                    yield step
        if len(ready) < len(wanted):
            waits = wanted[len(ready)]
            assert waits.policy is not None
            for step in self._park(waits.call, waits.policy):
                yield step

    def _decision(self, call: ToolCallPart) -> ApprovalDecision | None:
        return self._state.decisions.get(call.tool_call_id)

    async def _together(self, wanted: Sequence["_Wanted"]) -> AsyncGenerator[AgentStep, None]:
        """Make all at once. Each result is kept as it comes; all are told in the model's order."""
        results = self._state.results
        if len(results) + len(wanted) > self._limits.tool_calls:
            raise AgentFailed(f"more than {self._limits.tool_calls} calls of tools in one turn")
        for one in wanted:
            yield _called(one.call)
        making = [asyncio.create_task(self._outcome(one)) for one in wanted]
        waiting = set(making)
        try:
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for one, task in zip(wanted, making, strict=True):
                    if task in done:
                        results[one.call.tool_call_id] = self._marked(one.call, task.result())
                yield Progress(self._state.dump())
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        if self._embedded:
            yield Embedded(self._embedded)
            self._embedded = 0
        for one in wanted:
            for step in self._answered(one.call, results[one.call.tool_call_id]):
                yield step

    def told(self, call: ToolCallPart, before: Sequence[str]) -> Iterator[AgentStep]:
        """Tell again what a call of an earlier attempt came to, unless stored messages have it."""
        result = self._state.results.get(call.tool_call_id)
        if result is None:
            return
        self._cited += len(self._evidence(call, result))
        if call.tool_call_id in before:
            self._told.append(call.tool_call_id)
            return
        yield _called(call)
        yield from self._answered(call, result)

    def _answered(self, call: ToolCallPart, result: Result) -> Iterator[AgentStep]:
        self._told.append(call.tool_call_id)
        yield ToolAnswered(id=call.tool_call_id, output=result.output, error=result.error)
        tool = self._tools.get(call.tool_name)
        if isinstance(tool, PlatformTool) and result.error is None:
            yield from tool.effects(call.args_as_dict())
            self._over = self._over or tool.ends
        if items := self._evidence(call, result):
            yield Evidence(items=items)

    def _marked(self, call: ToolCallPart, result: Result) -> Result:
        """The result; what a search has found gets the next markers of the turn."""
        found = self._evidence(call, result)
        if not found:
            return result
        self._cited += len(found)
        return Result(output=passages(marked(found, self._cited - len(found))))

    def _evidence(self, call: ToolCallPart, result: Result) -> list[EvidenceItem]:
        """What a search has found."""
        searched = isinstance(self._tools.get(call.tool_name), KnowledgeTool)
        return cited(result.output) if searched else []

    async def _outcome(self, wanted: "_Wanted") -> Result:
        """Call the tool, unless a person has declined. What goes wrong is the model's to explain."""
        call, decision = wanted.call, self._decision(wanted.call)
        if wanted.policy is not None and decision is not None and decision.decision == "reject":
            return Result(error=f"a colleague declined this call: {decision.note or 'no reason given'}")
        tool = self._tools[call.tool_name]
        try:
            async with asyncio.timeout(self._limits.tool_seconds):
                output = await self._output(tool, call)
            return Result(output=_bounded(output))
        except TimeoutError:
            return Result(error=f"the tool did not answer within {self._limits.tool_seconds:g} s")
        except ToolFailedError as error:
            return Result(error=cut(str(error), MAX_OUTPUT))
        except Exception as error:
            return Result(error=f"the tool failed ({type(error).__name__})")

    async def _output(self, tool: Tool, call: ToolCallPart) -> object:
        if not isinstance(tool, KnowledgeTool):
            return await tool.call(call.args_as_dict(), self._context(call))
        found = await tool.search(call.args_as_dict())
        self._embedded += found.tokens
        return passages(found.items)

    def _context(self, call: ToolCallPart) -> ToolContext:
        turn = self._turn
        return ToolContext(
            turn_id=turn.turn_id,
            conversation_id=turn.conversation_id,
            end_user_id=turn.end_user_id,
            channel=turn.channel,
            context_variables=turn.context_variables,
            idempotency_key=f"{turn.turn_id}:{call.tool_call_id}",
        )

    def _refuse(self, call: ToolCallPart, policy: PolicyConfig) -> Iterator[AgentStep]:
        self._over = True
        yield _called(call)
        yield ToolAnswered(id=call.tool_call_id, error=f"refused by the policy {policy.title!r}")
        yield _applied(policy, call)

    def _park(self, call: ToolCallPart, policy: PolicyConfig) -> Iterator[AgentStep]:
        """The turn waits for a person; the decision finds it where it is now."""
        self._over = True
        parked = Parked(call.tool_call_id, len(self._state.messages), tuple(self._told))
        self._state.parked.append(parked)
        yield Progress(self._state.dump())
        yield _applied(policy, call)
        yield ApprovalRequired(
            tool_call_id=call.tool_call_id,
            tool=call.tool_name,
            arguments=call.args_as_dict(),
            approver_role=policy.approver_role,
            suspend_message=policy.suspend_message,
            safe_message=policy.safe_message,
            timeout_seconds=max(1, round(policy.timeout_hours * HOUR)),
            on_reject=policy.on_reject.value,
        )


def _called(call: ToolCallPart) -> ToolCalled:
    return ToolCalled(id=call.tool_call_id, name=call.tool_name, arguments=call.args_as_dict())


def _applied(policy: PolicyConfig, call: ToolCallPart) -> PolicyApplied:
    return PolicyApplied(
        policy=policy.title,
        point=PolicyPoint.TOOL_CALL,
        action=policy.action,
        tool=call.tool_name,
        safe_message=policy.safe_message or SAFE_MESSAGE,
    )


def _bounded(output: object) -> object:
    """The result as plain JSON; a long one as text with a notice of what is missing."""
    try:
        plain: JsonObject | object = to_jsonable_python(output, inf_nan_mode="null")
        written = json.dumps(plain, ensure_ascii=False)
    except (PydanticSerializationError, ValueError, RecursionError):
        raise ToolFailedError("the tool's result is no JSON") from None
    if "\\u0000" in written:
        plain = json.loads(written.replace("\\u0000", ""))
    return plain if len(written) <= MAX_OUTPUT else cut(written, MAX_OUTPUT)
