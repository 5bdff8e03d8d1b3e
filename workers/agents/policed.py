"""An agent with policies on what is said to it and by it, whatever kind of agent it is."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace

from gateway.domain.agent import (
    ApprovalRequired,
    CallTransferRequested,
    ConversationEnd,
    Delta,
    HandoffRequested,
    MessageEnd,
    TurnRequest,
)
from gateway.domain.fallback import SAFE_MESSAGE
from gateway.domain.message import Role
from gateway.domain.ports.agent import Agent
from gateway.domain.steps import AgentStep, PolicyAction, PolicyApplied
from workers.agents.policies import Policy

_CLOSES_A_TEXT = (MessageEnd, ApprovalRequired, HandoffRequested, CallTransferRequested, ConversationEnd)


class PolicedAgent:
    """Asks the policies before the agent, and before anybody hears the agent."""

    def __init__(self, agent: Agent, on_input: Sequence[Policy], on_reply: Sequence[Policy]) -> None:
        self._agent = agent
        self._on_input = on_input
        self._on_reply = on_reply

    async def answer(self, turn: TurnRequest) -> AsyncIterator[AgentStep]:
        """The agent's answer, as far as the policies let it."""
        blocked = await self._of_input(turn)
        if blocked is not None:
            yield _applied(blocked)
            return
        turn, redacted = self._redacted(turn)
        for policy in redacted:
            yield _applied(policy)
        async with aclosing(self._agent.answer(turn)) as steps:  # type: ignore[type-var]
            if not self._on_reply:
                async for step in steps:
                    yield step
                return
            async for step in self._checked(steps):
                yield step

    async def _of_input(self, turn: TurnRequest) -> Policy | None:
        """The policy that refuses what the turn answers."""
        for policy in self._on_input:
            if policy.config.action is not PolicyAction.BLOCK:
                continue
            if await policy.matches(turn.input_text, turn.input_text):
                return policy
        return None

    def _redacted(self, turn: TurnRequest) -> tuple[TurnRequest, list[Policy]]:
        """The turn without what must not reach the agent: in none of the messages it reads again, either."""
        matched: list[Policy] = []
        for policy in self._on_input:
            if policy.config.action is not PolicyAction.REDACT:
                continue
            asked = turn.input_text
            messages = [
                replace(m, content=policy.redacted(m.content)) if m.role == Role.USER else m
                for m in turn.messages
            ]
            turn = turn.model_copy(update={"messages": messages})
            if turn.input_text != asked:
                matched.append(policy)
        return turn, matched

    async def _checked(self, steps: AsyncIterator[AgentStep]) -> AsyncIterator[AgentStep]:
        """Texts are held back, message by message, until the policies have passed them; the rest goes on."""
        held: list[str] = []
        async for step in steps:
            if isinstance(step, Delta):
                held.append(step.text)
                continue
            if isinstance(step, _CLOSES_A_TEXT):
                async for passed in self._passed(held):
                    yield passed
                    if _ends(passed):
                        return
                held = []
            yield step
        async for passed in self._passed(held):
            yield passed

    async def _passed(self, held: Sequence[str]) -> AsyncIterator[AgentStep]:
        """One message, redacted; or the safe message where it is refused."""
        text = "".join(held)
        for policy in self._on_reply:
            if not text or not await policy.matches(text, text):
                continue
            yield _applied(policy)
            if policy.config.action is PolicyAction.BLOCK:
                return
            text = policy.redacted(text)
        if text:
            yield Delta(text=text)


def _ends(step: AgentStep) -> bool:
    return isinstance(step, PolicyApplied) and step.action is PolicyAction.BLOCK


def _applied(policy: Policy) -> PolicyApplied:
    config = policy.config
    return PolicyApplied(
        policy=config.title,
        point=config.point,
        action=config.action,
        safe_message=config.safe_message or SAFE_MESSAGE,
    )
