"""One turn with a model: it is asked, its tools are called, it is asked again, until it has answered.

Importing this module loads pydantic-ai; `agent` does so with the first turn.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any

from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults
from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.messages import (
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ToolCallPart,
    ToolReturn,
)
from pydantic_ai.models import Model
from pydantic_ai.usage import RunUsage, UsageLimits

from gateway.domain.agent import AgentFailed, Delta, TurnRequest, Usage
from gateway.domain.message import Channel
from gateway.domain.steps import AgentStep, Digest, Progress
from gateway.domain.tool import Tool
from gateway.settings import LlmAgent
from workers.agents.llm.calls import Calls
from workers.agents.llm.digest import digested
from workers.agents.llm.failures import failure_of
from workers.agents.llm.history import Fold, window_of
from workers.agents.llm.messages import messages_of
from workers.agents.llm.models import model_of, settings_of
from workers.agents.llm.prompt import instructions_of
from workers.agents.llm.state import TurnState, state_of
from workers.agents.llm.toolset import DeferredTools
from workers.agents.policies import CallPolicies
from workers.agents.tools.platform import offered
from workers.agents.tools.toolbox import Toolbox

_BETWEEN = {Channel.SMS: " ", Channel.VOICE: " "}
"""What stands between the texts of two answers of the model within one reply, unless a new paragraph."""


_ENDLESS = frozenset({None, "test", "function"})
"""Models of this process, which never say that they have finished."""


FOLD_SECONDS = 5.0
"""How long an answer that is finished waits for the notes; without them, the next turn writes them."""


class ModelMind:
    """A model with its instructions, tools and limits."""

    def __init__(self, definition: LlmAgent, toolbox: Toolbox, policies: CallPolicies) -> None:
        """Raises AgentFailed where the model cannot be used, such as without a key."""
        self.definition = definition
        self.toolbox = toolbox
        self.policies = policies
        self.model: Model = model_of(definition)
        self.settings = settings_of(definition)
        limits = definition.limits
        self.limits = UsageLimits(request_limit=limits.requests, total_tokens_limit=limits.tokens)
        self.agent = Agent(self.model, output_type=[str, DeferredToolRequests], retries=2)

    @property
    def connections(self) -> AbstractAsyncContextManager[object]:
        """To the model's provider."""
        return self.model

    async def steps(self, turn: TurnRequest) -> AsyncGenerator[AgentStep, None]:
        """One turn, step by step. Raises AgentFailed."""
        try:
            async for step in _Turn(self, turn, offered(await self.toolbox.tools(), turn)).steps():
                yield step
        except AgentFailed:
            raise
        except Exception as error:
            raise failure_of(error) from error


class _Turn:
    """One attempt at one turn."""

    def __init__(self, mind: ModelMind, turn: TurnRequest, tools: Mapping[str, Tool]) -> None:
        self._mind = mind
        self._turn = turn
        window = window_of(turn, mind.definition.limits.history_tokens)
        self._fold = window.fold
        self._before = messages_of(window.lines)
        self._instructions = instructions_of(mind.definition.instructions, turn)
        self._state: TurnState = state_of(turn)
        self._usage = RunUsage()
        self._said = False
        self._toolset = DeferredTools(tools)
        self._calls = Calls(turn, self._state, tools, mind.policies, mind.definition.limits)

    async def steps(self) -> AsyncGenerator[AgentStep, None]:
        """What an earlier attempt came to, then the model and its tools in turns."""
        folding = self._start_folding()
        try:
            for step in self._again():
                yield step
            while True:
                open_calls = self._state.open_calls()
                async with aclosing(self._calls.make(open_calls)) as made:
                    async for step in made:
                        yield step
                if self._calls.over:
                    break
                async for step in self._ask(self._answers(open_calls)):
                    yield step
                if not self._state.open_calls():
                    break
                yield Progress(self._state.dump())
            if folding is not None:
                await asyncio.wait({folding}, timeout=FOLD_SECONDS)
                folded = folding.result() if folding.done() else None
                for step in folded or ():
                    yield step
        finally:
            if folding is not None:
                folding.cancel()

    def _start_folding(self) -> "asyncio.Task[tuple[Usage, Digest] | None] | None":
        """Beside the answer, which nobody waits longer for."""
        fold: Fold | None = self._fold
        if fold is None or self._turn.state is not None:
            return None
        return asyncio.create_task(digested(fold, self._mind.model, self._mind.settings))

    def _again(self) -> Iterator[AgentStep]:
        """What an earlier attempt said and did, but for what is on stored messages already."""
        said = self._state.said(self._turn.approval)
        for place, message in enumerate(self._state.messages):
            if not isinstance(message, ModelResponse):
                continue
            if place >= said.responses:
                for part in message.parts:
                    if isinstance(part, TextPart) and part.content:
                        yield self._delta(part.content, new=True)
                yield _usage(message)
            for part in message.parts:
                if isinstance(part, ToolCallPart):
                    yield from self._calls.told(part, said.told)

    def _answers(self, calls: list[ToolCallPart]) -> DeferredToolResults | None:
        """The results of the calls, as the model is told them; None at a turn's beginning."""
        if not calls:
            return None
        told: dict[str, Any] = {}
        for call in calls:
            result = self._state.results[call.tool_call_id]
            told[call.tool_call_id] = (
                ToolReturn(return_value=result.output) if result.error is None else ToolFailed(result.error)
            )
        return DeferredToolResults(calls=told)

    async def _ask(self, answers: DeferredToolResults | None) -> AsyncGenerator[AgentStep, None]:
        """Ask the model until it has answered with text, or wants tools called."""
        mind = self._mind
        async with mind.agent.iter(
            None,
            message_history=[*self._before, *self._state.messages],
            deferred_tool_results=answers,
            instructions=self._instructions,
            model_settings=mind.settings,
            usage_limits=mind.limits,
            usage=self._usage,
            toolsets=[self._toolset],
        ) as run:
            async for node in run:
                if not Agent.is_model_request_node(node):
                    continue
                new = True
                async with node.stream(run.ctx) as stream:
                    async for event in stream:
                        text = _text_of(event)
                        if text:
                            yield self._delta(text, new=new)
                            new = False
                yield _usage(_whole(stream.response))
            self._usage = run.usage
            self._state.messages = run.all_messages()[len(self._before) :]

    def _delta(self, text: str, *, new: bool) -> Delta:
        """A piece of an answer; a new answer within a reply stands apart from the one before."""
        between = _BETWEEN.get(Channel(self._turn.channel), "\n\n") if new and self._said else ""
        self._said = True
        return Delta(text=between + text)


def _text_of(event: object) -> str:
    match event:
        case (
            PartStartEvent(part=TextPart(content=text))
            | PartDeltaEvent(delta=TextPartDelta(content_delta=text))
        ):
            return text
        case _:
            return ""


def _whole(response: ModelResponse) -> ModelResponse:
    """The answer, unless it stopped in the middle: half a message is never delivered."""
    if response.finish_reason == "length":
        raise AgentFailed("the model's answer was cut off at max_tokens")
    told = "finish_reason" in (response.provider_details or {}) or response.finish_reason == "content_filter"
    if not told and response.provider_name not in _ENDLESS:  # what the library assumes then is "stop"
        raise AgentFailed("the model's answer broke off without an end")
    return response


def _usage(response: ModelResponse) -> Usage:
    usage = response.usage
    return Usage(
        model=response.model_name, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens
    )
