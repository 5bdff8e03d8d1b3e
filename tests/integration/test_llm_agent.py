"""The agent that is a language model, against the bundled fake of OpenAI's chat completions over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.agent import (
    AgentFailed,
    ApprovalDecision,
    ApprovalRequired,
    ConversationEnd,
    Delta,
    HandoffRequested,
    ToolAnswered,
    ToolCalled,
    TurnRequest,
    Usage,
)
from gateway.domain.clock import Clock
from gateway.domain.message import Channel
from gateway.domain.reply import ReplyDraft, ServedAgent
from gateway.domain.steps import AgentStep, Digest, Fact, PolicyApplied, Progress
from gateway.domain.transfers import Transfers
from gateway.domain.turn import Path as TurnPath
from gateway.domain.turn import Reply
from gateway.settings import load_config
from tests import shop
from tests.turns import turn_of
from workers.agents.catalogue import build_agents
from workers.agents.fake_openai import Call, ModelFault, ModelRequest, Say, ScriptedModel
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
limits = {{ retries = 1, request_seconds = 5 }}
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
        elif not isinstance(step, Progress):
            draft.add(step, at=0)
    return draft.finish()


def last_state(steps: Sequence[AgentStep]) -> dict[str, Any]:
    return json.loads(json.dumps([s.state for s in steps if isinstance(s, Progress)][-1]))  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def _no_refunds() -> None:
    shop.refunds.clear()


async def test_it_streams_what_the_model_says_and_tells_what_it_cost(tmp_path: Path) -> None:
    async with desk(tmp_path, ["Your order is on its way."]) as (model, agent):
        turn = turn_of("Where is my order?").model_copy(update={"context_variables": {"shop": "Tea & Co"}})
        steps = await steps_of(agent, turn)
    deltas = [s.text for s in steps if isinstance(s, Delta)]
    assert len(deltas) > 3
    assert "".join(deltas) == "Your order is on its way."
    used = [s for s in steps if isinstance(s, Usage)]
    assert (used[0].model, used[0].output_tokens) == ("fake-model", 7)
    assert used[0].input_tokens == model.requests[0].tokens
    said = model.requests[0].messages
    assert said[0]["role"] == "system"
    assert "You answer for Tea & Co." in said[0]["content"]
    assert [m["role"] for m in said[1:]] == ["user", "assistant", "user"]
    assert said[-1]["content"] == "Where is my order?"


async def test_tools_are_called_one_by_one_and_each_result_is_kept_before_the_model_reads_it(
    tmp_path: Path,
) -> None:
    script: list[Say] = [["Let me look.", Call("find_order", {"order": 17})], "It has been shipped."]
    async with desk(tmp_path, script) as (model, agent):
        steps = await steps_of(agent, turn_of("Where is order 17?", channel="sms"))
        reply = reply_of(steps, Channel.SMS)
    assert reply.text == "Let me look. It has been shipped."
    (call,) = reply.messages[0].tool_calls
    assert (call.name, call.arguments, call.output["state"]) == ("find_order", {"order": 17}, "shipped")
    kinds = [type(s) for s in steps if isinstance(s, Progress | ToolCalled | ToolAnswered)]
    assert kinds == [Progress, ToolCalled, Progress, ToolAnswered]
    assert json.loads(model.requests[1].messages[-1]["content"])["state"] == "shipped"
    assert reply.input_tokens == model.requests[0].tokens + model.requests[1].tokens


async def test_what_one_answer_calls_is_called_at_once_and_told_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelves = ("tea", "broken", "cake")
    calls: list[str | Call] = [Call("look_at", {"shelf": shelf}) for shelf in shelves]
    monkeypatch.setattr(shop, "meeting", asyncio.Barrier(len(shelves)))
    async with desk(tmp_path, [calls, "Both are there."]) as (model, agent):
        async with asyncio.timeout(30):
            steps = await steps_of(agent, turn_of("Tea and cake?"))
        state = last_state(steps)
        reply = reply_of(steps)
        again = reply_of(await steps_of(agent, turn_of("Tea and cake?").model_copy(update={"state": state})))
    assert [c.arguments["shelf"] for c in reply.messages[0].tool_calls] == [*shelves]
    assert [c.error for c in reply.messages[0].tool_calls] == [None, "the tool failed (RuntimeError)", None]
    told = [m["content"] for m in model.requests[1].messages if m["role"] == "tool"]
    assert [shelf in text for shelf, text in zip(("tea", "failed", "cake"), told, strict=True)] == [True] * 3
    assert again.messages[0].tool_calls == reply.messages[0].tool_calls
    first = next(n for n, step in enumerate(steps) if isinstance(step, ToolAnswered))
    assert all(not isinstance(step, ToolCalled | Progress) for step in steps[first:])


async def test_who_stops_a_turn_stops_its_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop, "meeting", meeting := asyncio.Barrier(3))
    calls: list[str | Call] = [Call("look_at", {"shelf": "tea"}), Call("look_at", {"shelf": "cake"})]
    async with desk(tmp_path, [calls, "unused"]) as (_, agent):
        running = asyncio.create_task(steps_of(agent, turn_of("Tea and cake?")))
        async with asyncio.timeout(30):
            while meeting.n_waiting < 2:  # noqa: ASYNC110 - a barrier tells nobody
                await asyncio.sleep(0.01)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            while meeting.n_waiting:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_what_stands_behind_a_call_that_waits_is_called_with_it(tmp_path: Path) -> None:
    calls: list[str | Call] = [
        Call("find_order", {"order": 16}),
        Call("refund_order", {"order": 17}),
        Call("find_order", {"order": 18}),
    ]
    async with desk(tmp_path, [calls, "Done."], HOLD) as (model, agent):
        turn = turn_of("Refund order 17")
        steps = await steps_of(agent, turn)
        assert [s.arguments["order"] for s in steps if isinstance(s, ToolCalled)] == [16]
        wanted = next(s for s in steps if isinstance(s, ApprovalRequired))
        update = {"state": last_state(steps), "approval": decision(wanted.tool_call_id, "approve")}
        after = await steps_of(agent, turn.model_copy(update=update))
    assert [s.arguments["order"] for s in after if isinstance(s, ToolCalled)] == [17, 18]
    assert reply_of(after).text == "Done."
    assert len(model.requests) == 2


async def test_nothing_is_called_where_a_policy_blocks_one_of_the_calls(tmp_path: Path) -> None:
    block = '[[agents.desk.policies]]\ntool = "find_order"\naction = "block"\n'
    calls: list[str | Call] = [Call("refund_order", {"order": 17}), Call("find_order", {"order": 17})]
    async with desk(tmp_path, [calls, "Done."], block) as (_, agent):
        reply = reply_of(await steps_of(agent, turn_of("Refund order 17")))
    assert reply.path is TurnPath.BLOCKED
    assert shop.refunds == []


async def test_a_turn_that_starts_over_repeats_neither_calls_nor_requests(tmp_path: Path) -> None:
    script: list[Say] = [Call("refund_order", {"order": 17}), "Done.", "Done again."]
    async with desk(tmp_path, script) as (model, agent):
        turn = turn_of("Refund order 17")
        first = await steps_of(agent, turn)
        assert len(shop.refunds) == 1
        again = await steps_of(agent, turn.model_copy(update={"state": last_state(first)}))
        reply = reply_of(again)
    assert len(shop.refunds) == 1
    assert len(model.requests) == 3
    assert reply.messages[0].tool_calls[0].output == {"refunded": 17}
    assert reply.text == "Done again."


async def test_a_call_whose_result_was_not_kept_is_made_again_under_the_same_key(tmp_path: Path) -> None:
    script: list[Say] = [Call("refund_order", {"order": 17}), "Done."]
    async with desk(tmp_path, script) as (_, agent):
        turn = turn_of("Refund order 17")
        steps = await steps_of(agent, turn)
        before = next(s.state for s in steps if isinstance(s, Progress))
        await steps_of(agent, turn.model_copy(update={"state": json.loads(json.dumps(before))}))
    assert len(shop.refunds) == 2
    assert len({key for _, key in shop.refunds}) == 1


async def test_a_policy_parks_the_turn_and_the_decision_finishes_it(tmp_path: Path) -> None:
    script: list[Say] = [["One moment.", Call("refund_order", {"order": 17})], "You get it back."]
    async with desk(tmp_path, script, HOLD) as (model, agent):
        turn = turn_of("Refund order 17")
        steps = await steps_of(agent, turn)
        parked = reply_of(steps)
        assert parked.path is TurnPath.APPROVAL
        assert parked.policies == (
            {
                "policy": "tool:refund_order",
                "point": "tool_call",
                "action": "require_approval",
                "tool": "refund_order",
            },
        )
        wanted = next(s for s in steps if isinstance(s, ApprovalRequired))
        assert (wanted.tool, wanted.arguments, wanted.timeout_seconds) == (
            "refund_order",
            {"order": 17},
            86_400,
        )
        assert shop.refunds == []
        decided = {"state": last_state(steps), "approval": decision(wanted.tool_call_id, "approve")}
        after = await steps_of(agent, turn.model_copy(update=decided))
        resumed = reply_of(after)
        update = {**decided, "state": last_state(after)}
        again = reply_of(await steps_of(agent, turn.model_copy(update=update)))
        assert again.messages[0].tool_calls == resumed.messages[0].tool_calls
    assert resumed.text == "You get it back."
    assert resumed.messages[0].tool_calls[0].output == {"refunded": 17}
    assert [order for order, _ in shop.refunds] == ["17"]
    assert len(model.requests) == 3


async def test_a_refusal_is_told_to_the_model_where_the_conversation_goes_on(tmp_path: Path) -> None:
    script: list[Say] = [Call("refund_order", {"order": 17}), "I am sorry."]
    async with desk(tmp_path, script, HOLD) as (model, agent):
        turn = turn_of("Refund order 17")
        steps = await steps_of(agent, turn)
        wanted = next(s for s in steps if isinstance(s, ApprovalRequired))
        assert wanted.on_reject == "continue"
        decided = {"state": last_state(steps), "approval": decision(wanted.tool_call_id, "reject")}
        resumed = reply_of(await steps_of(agent, turn.model_copy(update=decided)))
    assert resumed.text == "I am sorry."
    assert "declined this call: too late" in model.requests[1].messages[-1]["content"]
    assert shop.refunds == []


async def test_two_calls_that_need_approval_wait_for_one_decision_each(tmp_path: Path) -> None:
    calls: list[str | Call] = [Call("refund_order", {"order": 17}), Call("refund_order", {"order": 18})]
    async with desk(tmp_path, [calls, "Both are done."], HOLD) as (model, agent):
        turn = turn_of("Refund orders 17 and 18")
        steps = await steps_of(agent, turn)
        for _ in range(2):
            wanted = next(s for s in steps if isinstance(s, ApprovalRequired))
            update = {"state": last_state(steps), "approval": decision(wanted.tool_call_id, "approve")}
            steps = await steps_of(agent, turn.model_copy(update=update))
        reply = reply_of(steps)
    assert reply.text == "Both are done."
    assert [order for order, _ in shop.refunds] == ["17", "18"]
    assert len(model.requests) == 2
    assert len(reply.messages[0].tool_calls) == 1  # the first one's is on the message of its own park


async def test_a_policy_that_blocks_ends_the_turn_with_the_safe_message(tmp_path: Path) -> None:
    block = """
[[agents.desk.policies]]
name = "large refunds"
tool = "refund_order"
hook = "tests.shop:is_large"
action = "block"
safe_message = "Please call us about that."
"""
    async with desk(tmp_path, [Call("refund_order", {"order": 9000}), "Done."], block) as (model, agent):
        reply = reply_of(await steps_of(agent, turn_of("Refund order 9000")))
        assert (reply.path, reply.text) == (TurnPath.BLOCKED, "Please call us about that.")
        assert reply.messages[0].tool_calls[0].error == "refused by the policy 'large refunds'"
        assert len(model.requests) == 1
    async with desk(tmp_path, [Call("refund_order", {"order": 17}), "Done."], block) as (_, agent):
        assert reply_of(await steps_of(agent, turn_of("Refund order 17"))).text == "Done."
    assert [order for order, _ in shop.refunds] == ["17"]


async def test_the_platforms_tools_become_events_and_end_the_turn(tmp_path: Path) -> None:
    handoff = Call("handoff", {"reason": "angry", "say": "A colleague takes over."})
    async with desk(tmp_path, [handoff]) as (model, agent):
        steps = await steps_of(agent, turn_of("A person, please"))
        assert reply_of(steps).text == "A colleague takes over."
        assert [s.reason for s in steps if isinstance(s, HandoffRequested)] == ["angry"]
        assert "transfer_call" not in model.requests[0].tools  # nothing is configured to transfer to
        assert "collect_digits" not in model.requests[0].tools
        await steps_of(agent, turn_of("Hello", channel="voice"))
        assert "collect_digits" in model.requests[1].tools
    end = Call("end_conversation", {"reason": "settled"})
    async with desk(tmp_path, [["Goodbye.", end]]) as (_, agent):
        steps = await steps_of(agent, turn_of("Bye"))
        assert [s.reason for s in steps if isinstance(s, ConversationEnd)] == ["settled"]
        assert reply_of(steps).path is TurnPath.CLOSED_BY_AGENT


async def test_what_is_to_be_remembered_is_kept_and_the_model_goes_on(tmp_path: Path) -> None:
    script: list[Say] = [Call("remember", {"fact": "Is allergic to nuts."}), "Noted."]
    async with desk(tmp_path, script) as (model, agent):
        steps = await steps_of(agent, turn_of("I am allergic to nuts"))
        assert [s.text for s in steps if isinstance(s, Fact)] == ["Is allergic to nuts."]
        assert reply_of(steps).text == "Noted."
        tried = turn_of("Hello").model_copy(update={"session_type": "test", "facts": ["Likes tea."]})
        await steps_of(agent, tried)
    assert "remember" not in model.requests[2].tools
    assert "- Likes tea. (in this conversation)" in model.requests[2].messages[0]["content"]


async def test_a_long_conversation_is_noted_beside_the_answer_and_read_from_the_notes(tmp_path: Path) -> None:
    def says(asked: ModelRequest) -> Say:
        notes = "You keep the notes" in asked.messages[0]["content"]
        return "They want tea." if notes else "Here it is."

    async with desk(tmp_path, says) as (model, agent):
        long = turn_of("Well?")
        question = long.messages[-1]
        earlier = [replace(question, seq=seq, content=f"message {seq}") for seq in range(44)]
        long = long.model_copy(
            update={"messages": [*earlier, replace(question, seq=44)], "input": [44], "truncated": False}
        )
        steps = await steps_of(agent, long)
        (digest,) = [step for step in steps if isinstance(step, Digest)]
        assert (digest.up_to, digest.text) == (23, "They want tea.")
        assert reply_of(steps).text == "Here it is."
        assert reply_of(steps).input_tokens == sum(request.tokens for request in model.requests)
        kept = {"up_to": digest.up_to, "text": digest.text}
        await steps_of(agent, long.model_copy(update={"digest": kept}))
    read = model.requests[-1].messages[1]["content"]
    assert read.startswith("[gateway: summary of the conversation so far: They want tea.]")
    assert "message 23" not in read
    assert "message 24" in read


async def test_the_model_can_name_no_place_that_is_not_configured(tmp_path: Path) -> None:
    transfers = '[agents.desk.transfers.billing]\ndestination = "+15550111"\n'
    script: list[Say] = [Call("transfer_call", {"label": "+1900666"}), "I cannot do that."]
    async with desk(tmp_path, script, transfers) as (model, agent):
        reply = reply_of(await steps_of(agent, turn_of("Transfer me to +1900666", channel="voice")))
    assert reply.text == "I cannot do that."
    assert reply.messages[0].tool_calls == ()
    assert "+1900666" in model.requests[1].messages[-1]["content"]  # told what was wrong


async def test_who_is_not_proven_gets_no_tools(tmp_path: Path) -> None:
    async with desk(tmp_path, ["Hello."]) as (model, agent):
        await steps_of(agent, turn_of("Hello", channel="email").model_copy(update={"proven": False}))
    assert model.requests[0].tools == []


async def test_a_refusal_for_now_is_asked_again(tmp_path: Path) -> None:
    async with desk(tmp_path, ["Here I am."]) as (model, agent):
        model.fail_next(ModelFault.RATE_LIMITED)
        assert reply_of(await steps_of(agent, turn_of("Hello"))).text == "Here I am."
        assert len(model.requests) == 2
        model.fail_next(ModelFault.RATE_LIMITED, times=2)
        with pytest.raises(AgentFailed, match="the model's provider answered with status 429"):
            await steps_of(agent, turn_of("Hello"))


@pytest.mark.filterwarnings("ignore:Some responses omitted usage information")
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (ModelFault.DISCONNECT, "could not be asked"),
        (ModelFault.NO_END, "broke off without an end"),
    ],
)
async def test_an_answer_that_breaks_off_is_no_answer(tmp_path: Path, fault: ModelFault, reason: str) -> None:
    async with desk(tmp_path, ["A long answer of many words."]) as (model, agent):
        model.fail_next(fault)
        with pytest.raises(AgentFailed, match=reason):
            await steps_of(agent, turn_of("Hello"))
        assert reply_of(await steps_of(agent, turn_of("Hello"))).text == "A long answer of many words."


async def test_arguments_that_are_no_json_are_put_right_or_fail_the_turn(tmp_path: Path) -> None:
    script: list[Say] = [Call("find_order", {"order": 17}), Call("find_order", {"order": 17}), "Shipped."]
    async with desk(tmp_path, script) as (model, agent):
        model.fail_next(ModelFault.MALFORMED_ARGUMENTS)
        reply = reply_of(await steps_of(agent, turn_of("Where is order 17?")))
    assert reply.text == "Shipped."
    assert len(reply.messages[0].tool_calls) == 1
    async with desk(tmp_path, [Call("find_order", {"order": 17})]) as (model, agent):
        model.fail_next(ModelFault.MALFORMED_ARGUMENTS, times=9)
        with pytest.raises(AgentFailed, match="could not be used"):
            await steps_of(agent, turn_of("Where is order 17?"))


async def test_arguments_that_do_not_fit_are_put_right(tmp_path: Path) -> None:
    script: list[Say] = [
        Call("find_order", {"order": "seventeen"}),
        Call("find_order", {"order": 17}),
        "Shipped.",
    ]
    async with desk(tmp_path, script) as (_, agent):
        reply = reply_of(await steps_of(agent, turn_of("Where is order 17?")))
    assert [call.arguments for call in reply.messages[0].tool_calls] == [{"order": 17}]


async def test_a_model_that_does_not_answer_is_replaced_by_its_fallback(tmp_path: Path) -> None:
    both = f'{MODEL}\nfallback_model = "test"'
    async with desk(tmp_path, ["unused"], models=both) as (model, agent):
        model.fail_next(ModelFault.SERVER_ERROR, times=2)
        reply = reply_of(await steps_of(agent, turn_of("Hello")))
    assert reply.model_used == "test"
    assert reply.text


async def test_a_turn_that_goes_on_and_on_is_stopped(tmp_path: Path) -> None:
    async with desk(tmp_path, [Call("find_order", {"order": 17})]) as (model, agent):
        with pytest.raises(AgentFailed, match="went over the limits"):
            await steps_of(agent, turn_of("Where is order 17?"))
        assert len(model.requests) == 10


def decision(call_id: str, what: str) -> ApprovalDecision:
    return ApprovalDecision.model_validate(
        {"approval_id": "a", "tool_call_id": call_id, "decision": what, "note": "too late"}
    )
