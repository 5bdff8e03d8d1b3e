"""An agent of a model and its tools: what is called when, once, and only once it may."""

import asyncio
import json
from pathlib import Path

import pytest

from gateway.domain.agent import (
    ApprovalDecision,
    ApprovalRequired,
    ToolAnswered,
    ToolCalled,
)
from gateway.domain.message import Channel
from gateway.domain.steps import Progress
from gateway.domain.turn import Path as TurnPath
from tests import shop
from tests.integration.model_desk import HOLD, desk, last_state, reply_of, steps_of
from tests.turns import turn_of
from workers.agents.fake_openai import Call, Say


@pytest.fixture(autouse=True)
def _no_refunds() -> None:
    shop.refunds.clear()


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


def decision(call_id: str, what: str) -> ApprovalDecision:
    return ApprovalDecision.model_validate(
        {"approval_id": "a", "tool_call_id": call_id, "decision": what, "note": "too late"}
    )
