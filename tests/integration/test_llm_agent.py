"""The agent that is a language model, against the bundled fake of OpenAI's chat completions over HTTP."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.domain.agent import (
    AgentFailed,
    ConversationEnd,
    Delta,
    HandoffRequested,
    Usage,
)
from gateway.domain.steps import Digest, Fact
from gateway.domain.turn import Path as TurnPath
from tests import shop
from tests.integration.model_desk import MODEL, desk, reply_of, steps_of
from tests.turns import turn_of
from workers.agents.fake_openai import Call, ModelFault, ModelRequest, Say


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
