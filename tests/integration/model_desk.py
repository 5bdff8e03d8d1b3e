"""An agent of a model, and the fake model that it asks, as the tests of both use them."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.domain.agent import (
    TurnRequest,
)
from gateway.domain.clock import Clock
from gateway.domain.message import Channel
from gateway.domain.reply import ReplyDraft
from gateway.domain.served_agent import ServedAgent
from gateway.domain.steps import AgentStep, Digest, Embedded, Fact, PolicyApplied, Progress
from gateway.domain.transfers import Transfers
from gateway.domain.turn import Reply
from gateway.settings import load_config
from workers.agents.catalogue import build_agents
from workers.agents.fake_openai import ScriptedModel
from workers.agents.http import HttpAgents

AGENT = """
[organisation]
name = "Example"
[agents.desk]
kind = "llm"
{model}
base_url = "{url}"
instructions = "You answer for {{shop}}."
tools = ["tests.shop:find_order", "tests.shop:refund_order", "tests.shop:look_at"]
limits = {{ retries = 1, request_seconds = 60 }}
"""
MODEL = 'model = "openai:fake-model"'
HOLD = """
[[agents.desk.policies]]
tool = "refund_order"
action = "require_approval"
on_reject = "continue"
"""


@asynccontextmanager
async def desk(
    tmp_path: Path, say: Any, more: str = "", models: str = MODEL
) -> AsyncIterator[tuple[ScriptedModel, ServedAgent]]:
    """A scripted model, and an agent that asks it."""
    model = ScriptedModel(say)
    await model.start()
    path = tmp_path / "gateway.toml"
    path.write_text(AGENT.format(url=model.base_url, model=models) + more)
    config = load_config(path, "localhost")
    try:
        async with HttpAgents(None, Clock()) as http:
            yield model, build_agents(config, http)[config.agents["desk"].id]
    finally:
        await model.stop()


async def steps_of(agent: ServedAgent, turn: TurnRequest) -> list[AgentStep]:
    async with aclosing(agent.agent.answer(turn)) as steps:  # type: ignore[type-var]
        return [step async for step in steps]


def reply_of(steps: Sequence[AgentStep], channel: Channel = Channel.API) -> Reply:
    """What the turn worker makes of the steps."""
    draft = ReplyDraft(channel, Transfers(), started_at=0)
    for step in steps:
        if isinstance(step, PolicyApplied):
            draft.police(step, at=0)
        elif isinstance(step, Digest):
            draft.condense(step)
        elif isinstance(step, Fact):
            draft.remember(step)
        elif isinstance(step, Embedded):
            draft.embed(step)
        elif not isinstance(step, Progress):
            draft.add(step, at=0)
    return draft.finish()


def last_state(steps: Sequence[AgentStep]) -> dict[str, Any]:
    return json.loads(json.dumps([s.state for s in steps if isinstance(s, Progress)][-1]))  # type: ignore[no-any-return]
