"""The demo agent, word by word, through the fold that its replies take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.agent import AgentEvent, Delta, TurnRequest
from gateway.domain.intent import CallTransferIntent
from gateway.domain.message import Channel
from gateway.domain.reply import ReplyDraft
from gateway.domain.transfers import Transfers
from gateway.domain.turn import Path, Reply
from tests.turns import turn_of
from workers.agents.demo import DELTAS, DIGITS_PREFIX, MAX_QUOTE, DemoAgent

LABELS = {
    "sales": CallTransferIntent(destination="+15550111"),
    "billing": CallTransferIntent(destination="+15550112"),
}


async def events_of(turn: TurnRequest, *labels: str) -> list[AgentEvent]:
    return [event async for event in DemoAgent(labels).answer(turn)]


async def reply_to(turn: TurnRequest, *labels: str) -> Reply:
    draft = ReplyDraft(Channel(turn.channel), Transfers(LABELS), started_at=0)
    for event in await events_of(turn, *labels):
        draft.add(event, at=0)
    return draft.finish()


@pytest.mark.parametrize("channel", list(Channel))
async def test_it_quotes_what_was_said(channel: Channel) -> None:
    reply = await reply_to(turn_of("Where is my order?", "It is late", channel=channel.value))
    assert reply.text == "You said: Where is my order?\nIt is late"
    assert reply.path is Path.SINGLE


async def test_it_streams_in_a_few_deltas() -> None:
    events = await events_of(turn_of("one two three four five six seven"))
    assert 2 <= len(events) <= DELTAS
    assert all(isinstance(event, Delta) for event in events)


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=400))
async def test_any_text_gets_a_reply_of_its_own(text: str) -> None:
    turn = turn_of(text)
    reply = await reply_to(turn)
    assert reply == await reply_to(turn)
    assert reply.text
    quote = text.strip()
    if reply.text.startswith("You said: ") and len(quote) <= MAX_QUOTE:
        assert reply.text == f"You said: {quote}"


async def test_a_long_input_is_cut_in_the_quote() -> None:
    reply = await reply_to(turn_of("x" * 5000))
    assert reply.text == "You said: " + "x" * (MAX_QUOTE - 3) + "..."


@pytest.mark.parametrize("text", ["AGENT please", "a human!", "call me a human, then refund and bye"])
async def test_a_person_is_called(text: str) -> None:
    reply = await reply_to(turn_of(text, channel="sms"))
    assert (reply.path, reply.transfer) == (Path.HANDOFF, None)
    assert reply.handoff_reason
    assert "person" in reply.text


@pytest.mark.parametrize(
    "text",
    ["agents", "humane", "refunds", "transferred", "call  mean", "pins", "belong", "resource", "byebye"],
)
async def test_parts_of_words_do_not_count(text: str) -> None:
    assert (await reply_to(turn_of(text))).text == f"You said: {text}"


async def test_earlier_messages_do_not_count() -> None:
    assert (await reply_to(turn_of("hello"))).path is Path.SINGLE


async def test_a_refund_waits_for_approval_and_is_then_made() -> None:
    parked = await reply_to(turn_of("I want a Refund."))
    assert parked.path is Path.APPROVAL
    assert parked.approval is not None
    assert parked.approval["tool"] == "refund_order"
    assert parked.text == parked.approval["suspend_message"]
    resumed = await reply_to(
        turn_of("I want a refund", decision="approve", tool_call_id=parked.approval["tool_call_id"])
    )
    assert resumed.path is Path.SINGLE
    [message] = resumed.messages
    [call] = message.tool_calls
    assert (call.id, call.name) == (parked.approval["tool_call_id"], "refund_order")
    assert call.arguments == parked.approval["arguments"]
    assert call.output["refunded"] is True
    assert "on its way" in resumed.text


async def test_a_rejected_refund_is_not_made() -> None:
    reply = await reply_to(turn_of("I want a refund", decision="reject"))
    assert reply.messages[0].tool_calls == ()
    assert "declined" in reply.text


@pytest.mark.parametrize(
    ("text", "label"),
    [("transfer me", "sales"), ("please call  me", "sales"), ("transfer to BILLING", "billing")],
)
async def test_a_call_is_transferred_to_a_label(text: str, label: str) -> None:
    reply = await reply_to(turn_of(text, channel="voice"), "sales", "billing")
    [intent] = reply.intents
    assert (intent["kind"], intent["payload"]["label"]) == ("transfer", label)
    assert intent["payload"]["destination"] == LABELS[label].destination
    assert intent["payload"]["connecting_text"]


@pytest.mark.parametrize(("channel", "labels"), [("sms", ("sales",)), ("voice", ())])
async def test_without_a_call_or_a_label_a_transfer_is_a_handoff(
    channel: str, labels: tuple[str, ...]
) -> None:
    reply = await reply_to(turn_of("transfer me", channel=channel), *labels)
    assert (reply.path, reply.intents, reply.transfer) == (Path.HANDOFF, (), None)
    assert reply.text


async def test_a_pin_is_collected_on_a_call_and_acknowledged_without_being_said() -> None:
    reply = await reply_to(turn_of("my pin", channel="voice"))
    [intent] = reply.intents
    assert (intent["kind"], intent["payload"]["max_digits"]) == ("collect_dtmf", 4)
    assert intent["payload"]["prefix"] == DIGITS_PREFIX
    assert "PIN" in reply.text
    for role in ("user", "system_event"):
        for content in (f"{DIGITS_PREFIX}1234", "1234"):
            answer = (await reply_to(turn_of(content, channel="voice", role=role))).text
            assert "4 digits" in answer
            assert "1234" not in answer


async def test_elsewhere_a_pin_and_digits_are_words() -> None:
    reply = await reply_to(turn_of("pin"))
    assert reply.intents == ()
    assert "phone call" in reply.text
    assert (await reply_to(turn_of("1234", channel="sms"))).text == "You said: 1234"


async def test_a_long_reply_has_several_hundred_words() -> None:
    assert 300 <= len((await reply_to(turn_of("long"))).text.split()) <= 900


async def test_a_source_is_given() -> None:
    reply = await reply_to(turn_of("source?"))
    [item] = reply.evidence
    assert item["citation_marker"] == "[1]"
    assert item["citation_marker"] in reply.text


async def test_bye_closes() -> None:
    reply = await reply_to(turn_of("OK, bye"))
    assert reply.path is Path.CLOSED_BY_AGENT
    assert reply.text


@pytest.mark.parametrize(("text", "role"), [("", "user"), ("  ", "user"), ("call started", "system_event")])
async def test_without_words_it_greets(text: str, role: str) -> None:
    assert (await reply_to(turn_of(text, channel="voice", role=role))).text.startswith("Hello")


@pytest.mark.parametrize(("channel", "said"), [("sms", ""), ("api", "You will hear no more from me.")])
async def test_a_wish_to_be_left_alone_is_understood(channel: str, said: str) -> None:
    reply = await reply_to(turn_of("Please stop texting me!", channel=channel))
    assert (reply.consent_revoked, reply.text, reply.path) == (True, said, Path.SINGLE)
