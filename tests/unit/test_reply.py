"""Replies folded from events: what is shown, what is stored, what is refused."""

from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.domain.agent import (
    AGENT_EVENT,
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_TEXT,
    AgentEvent,
    AgentFailed,
    Delta,
    MessageEnd,
    ToolAnswered,
    ToolCalled,
)
from gateway.domain.intent import CallTransferIntent, DtmfInputSpec, TransferMode
from gateway.domain.message import Channel
from gateway.domain.reply import HOLDING_LINE, MAX_EVENTS, MAX_EVIDENCE, ReplyDraft
from gateway.domain.speech import MAX_TOOL_CALLS
from gateway.domain.transfers import Transfers
from gateway.domain.turn import Path, Reply
from gateway.settings.addresses import parse_destination

BILLING = CallTransferIntent(
    destination="+15550111", mode=TransferMode.WARM, warm_destinations=["sip:desk@example.org"]
)
LABELS = Transfers({"billing": BILLING})
RAW = Transfers({"billing": BILLING}, raw=parse_destination)


def event(**fields: Any) -> AgentEvent:
    return AGENT_EVENT.validate_python(fields)


def draft(
    channel: Channel = Channel.API, transfers: Transfers = LABELS, digits: DtmfInputSpec | None = None
) -> ReplyDraft:
    numbers = count(1)
    return ReplyDraft(
        channel, transfers, started_at=100.0, digits=digits, ids=lambda: f"intent-{next(numbers)}"
    )


def fold(*events: AgentEvent, channel: Channel = Channel.API, transfers: Transfers = LABELS) -> Reply:
    drafted = draft(channel, transfers)
    for one in events:
        drafted.add(one, at=101.0)
    return drafted.finish()


def refused(*events: AgentEvent, channel: Channel = Channel.API, transfers: Transfers = LABELS) -> str:
    with pytest.raises(AgentFailed) as caught:
        fold(*events, channel=channel, transfers=transfers)
    return caught.value.reason


def say(text: str) -> AgentEvent:
    return Delta(text=text)


HI = say("Hi")
END = event(type="end", reason="done")
HANDOFF = event(type="handoff", reason="asked", static_text="A person will write to you.")
APPROVAL = event(type="approval_required", tool_call_id="c1", tool="refund", arguments={"n": 1})
TRANSFER = event(type="call_transfer", label="billing")
DIGITS = event(type="dtmf_input", max_digits=4)


def test_deltas_are_one_message_until_a_message_event() -> None:
    reply = fold(say("One "), say("two"), MessageEnd(), say("three"))
    assert [m.text for m in reply.messages] == ["One two", "three"]
    assert reply.text == "One two\n\nthree"
    assert reply.path is Path.SINGLE


def test_times_are_from_the_start_to_the_first_text_and_to_the_last_event() -> None:
    drafted = draft()
    drafted.add(event(type="evidence", items=[]), at=100.1)
    drafted.add(say("  "), at=100.2)
    drafted.add(say("Hi"), at=100.25)
    drafted.add(event(type="usage", model="m", input_tokens=3, output_tokens=4), at=101.5)
    reply = drafted.finish()
    assert (reply.ttft_ms, reply.latency_ms) == (250, 1500)


def test_tool_calls_stay_with_the_message_they_led_to() -> None:
    reply = fold(
        ToolCalled(id="a", name="find", arguments={"order": 1}),
        MessageEnd(),
        say("Found it."),
        MessageEnd(),
        ToolAnswered(id="a", output={"total": 2}),
        say("It costs 2."),
        ToolCalled(id="b", name="log"),
        ToolAnswered(id="b", error="offline"),
        MessageEnd(),
        ToolCalled(id="c", name="late"),
    )
    assert [[c.id for c in m.tool_calls] for m in reply.messages] == [["a"], ["b", "c"]]
    assert reply.messages[0].tool_calls[0].output == {"total": 2}
    assert reply.messages[1].tool_calls[0].error == "offline"
    assert reply.messages[1].tool_calls[1].output is None


def test_tool_calls_without_any_text_are_kept_on_a_silent_message() -> None:
    reply = fold(ToolCalled(id="a", name="find"), END)
    assert [(m.text, len(m.tool_calls)) for m in reply.messages] == [("", 1)]
    assert reply.text == ""


def test_evidence_is_numbered_over_the_whole_reply() -> None:
    item = {"chunk_id": "c", "kb_id": "k", "score": 0.5, "text": "t"}
    reply = fold(
        event(type="evidence", items=[item, {**item, "citation_marker": "(b)"}]),
        HI,
        event(type="evidence", items=[item]),
    )
    assert [i["citation_marker"] for i in reply.evidence] == ["[1]", "(b)", "[3]"]
    assert reply.evidence[0]["score"] == 0.5
    many = [event(type="evidence", items=[item] * 150)] * 2
    assert str(MAX_EVIDENCE) in refused(*many, HI)


def test_usage_adds_up() -> None:
    reply = fold(
        event(type="usage", model="m", input_tokens=3, output_tokens=4),
        HI,
        event(type="usage", input_tokens=1, output_tokens=1),
    )
    assert (reply.model_used, reply.input_tokens, reply.output_tokens) == ("m", 4, 5)
    assert fold(HI).input_tokens is None
    assert "tokens" in refused(HI, event(type="usage", input_tokens=-1))
    assert "tokens" in refused(HI, event(type="usage", output_tokens=10**12))


def test_a_handoff() -> None:
    reply = fold(HI, HANDOFF)
    assert (reply.path, reply.text) == (Path.HANDOFF, "Hi")
    assert (reply.handoff_reason, reply.handoff_text) == ("asked", "A person will write to you.")
    assert fold(HANDOFF).text == "A person will write to you.", "said where the agent has said nothing"


def test_an_end() -> None:
    reply = fold(say("Bye"), END)
    assert (reply.path, reply.end_reason) == (Path.CLOSED_BY_AGENT, "done")


def test_an_approval_ends_with_a_holding_line() -> None:
    reply = fold(APPROVAL)
    assert (reply.path, reply.text) == (Path.APPROVAL, HOLDING_LINE)
    assert reply.approval == {
        "tool_call_id": "c1",
        "tool": "refund",
        "arguments": {"n": 1},
        "approver_role": None,
        "suspend_message": None,
        "safe_message": None,
        "timeout_seconds": None,
        "on_reject": None,
    }
    own = event(type="approval_required", tool_call_id="c1", tool="refund", suspend_message="Wait, please.")
    assert fold(HI, own).text == "Hi\n\nWait, please."
    assert fold(HI, APPROVAL, event(type="usage", model="m")).text == "Hi"


def test_nothing_follows_an_approval() -> None:
    assert refused(APPROVAL, HI) == "delta after approval_required"
    assert refused(APPROVAL, ToolCalled(id="c1", name="refund")) == "tool_call after approval_required"
    done: list[AgentEvent] = [ToolCalled(id="c1", name="refund"), ToolAnswered(id="c1")]
    assert "has been answered" in refused(*done, APPROVAL)


@pytest.mark.parametrize("first", [HANDOFF, END, TRANSFER])
@pytest.mark.parametrize("second", [HANDOFF, END, TRANSFER, APPROVAL])
def test_only_one_thing_is_decided(first: AgentEvent, second: AgentEvent) -> None:
    assert "more than one of" in refused(HI, first, second, channel=Channel.VOICE)


def test_a_transfer_on_a_call_is_an_intent_with_everything_resolved() -> None:
    reply = fold(
        event(type="call_transfer", label="billing", reason="invoice", max_retries=9, on_failure="pray"),
        channel=Channel.VOICE,
    )
    assert (reply.path, reply.handoff_reason, reply.handoff_text) == (Path.HANDOFF, "invoice", None)
    [intent] = reply.intents
    assert (intent["intent_id"], intent["kind"]) == ("intent-1", "transfer")
    assert intent["payload"] == reply.transfer
    payload = intent["payload"]
    assert (payload["destination"], payload["label"], payload["mode"]) == ("+15550111", "billing", "warm")
    assert payload["warm_destinations"] == ["sip:desk@example.org"]
    assert (payload["max_retries"], payload["on_failure"]) == (5, "return_to_agent")
    assert payload["warm"]["max_dial_seconds"] == 30


def test_what_was_corrected_can_be_noted() -> None:
    drafted = draft(Channel.VOICE)
    wild = event(
        type="call_transfer", label="billing", max_retries=9, on_failure="pray", connecting_text="One moment."
    )
    drafted.add(wild, at=101)
    assert drafted.corrected == ("call_transfer.max_retries", "call_transfer.on_failure")
    drafted = draft(Channel.VOICE, digits=DtmfInputSpec(termination_digit="#"))
    drafted.add(event(type="dtmf_input", max_digits=99, termination_digit="##"), at=101)
    assert drafted.corrected == ("dtmf_input.max_digits", "dtmf_input.termination_digit")
    drafted = draft(Channel.VOICE)
    drafted.add(event(type="call_transfer", label="billing"), at=101)
    assert drafted.corrected == ()


def test_a_transfer_without_a_call_is_a_handoff() -> None:
    wanted = event(type="call_transfer", label="billing", connecting_text="A colleague will be with you.")
    reply = fold(HI, wanted, channel=Channel.SMS)
    assert (reply.path, reply.intents) == (Path.HANDOFF, ())
    assert (reply.handoff_reason, reply.handoff_text) == ("call_transfer", "A colleague will be with you.")
    assert reply.transfer is not None
    assert (reply.transfer["destination"], reply.transfer["label"]) == ("+15550111", "billing")


def test_a_label_cannot_smuggle_destinations() -> None:
    asked = event(type="call_transfer", label="billing", warm_destinations=["+15559999"], mode="cold")
    reply = fold(asked, channel=Channel.VOICE)
    assert reply.intents[0]["payload"]["warm_destinations"] == ["sip:desk@example.org"]
    assert reply.intents[0]["payload"]["mode"] == "warm"


def test_raw_destinations_are_for_agents_that_may() -> None:
    raw = event(
        type="call_transfer", destination="+1 555-0199", label="billing", warm_destinations=["sip:a@b"]
    )
    assert "raw destination" in refused(raw, channel=Channel.VOICE)
    payload = fold(raw, channel=Channel.VOICE, transfers=RAW).intents[0]["payload"]
    assert (payload["destination"], payload["warm_destinations"]) == ("+15550199", ["sip:a@b"])
    for wrong in ({"destination": "12"}, {"destination": "+15550199", "warm_destinations": ["x"]}):
        reason = refused(event(type="call_transfer", **wrong), channel=Channel.VOICE, transfers=RAW)
        assert "not a number or a sip: URI" in reason


def test_a_transfer_must_say_where() -> None:
    assert "neither" in refused(event(type="call_transfer"), channel=Channel.VOICE)
    assert "configured: billing" in refused(event(type="call_transfer", label="sales"), channel=Channel.VOICE)


def test_digits_are_collected_on_calls_only() -> None:
    drafted = draft(Channel.VOICE, digits=DtmfInputSpec(termination_digit="#", prefix="PIN: "))
    drafted.add(event(type="dtmf_input", max_digits=4, prefix=""), at=101)
    [intent] = drafted.finish().intents
    assert intent["kind"] == "collect_dtmf"
    assert intent["payload"] == {
        "expects_input": None,
        "max_digits": 4,
        "termination_digit": "#",
        "inter_digit_timeout_ms": None,
        "prefix": "",
    }
    assert fold(HI, DIGITS).intents == ()
    assert refused(DIGITS) == "empty reply"
    assert "more than one dtmf_input" in refused(HI, DIGITS, DIGITS)
    assert "gives the caller away" in refused(DIGITS, HANDOFF, channel=Channel.VOICE)


@pytest.mark.parametrize("channel", [Channel.API, Channel.WEB, Channel.SMS, Channel.EMAIL])
def test_silence_is_an_answer_on_calls_only(channel: Channel) -> None:
    assert refused(channel=channel) == "empty reply"
    assert refused(say(" \n"), MessageEnd(), channel=channel) == "empty reply"
    assert refused(ToolCalled(id="a", name="find"), channel=channel) == "empty reply"
    assert fold(say(" \n"), channel=Channel.VOICE).messages == ()


def test_an_error_ends_it_with_what_the_agent_said() -> None:
    assert refused(HI, event(type="error", message="no\n money")) == "the agent gave up: no money"
    assert refused(event(type="error")) == "the agent gave up"
    assert len(refused(event(type="error", message="x" * 9999))) < 250


def test_results_answer_open_calls() -> None:
    call, answer = ToolCalled(id="a", name="find"), ToolAnswered(id="a")
    assert "no open tool_call" in refused(answer)
    assert "no open tool_call" in refused(call, answer, answer)
    assert "same id" in refused(call, call)


def test_everything_is_bounded() -> None:
    assert str(MAX_TEXT) in refused(say("x" * MAX_TEXT), say("x"))
    assert fold(say("x" * MAX_TEXT)).text == "x" * MAX_TEXT
    calls = [ToolCalled(id=str(n), name="t") for n in range(MAX_TOOL_CALLS + 1)]
    assert str(MAX_TOOL_CALLS) in refused(*calls)
    assert len(fold(HI, *calls[:-1]).messages[0].tool_calls) == MAX_TOOL_CALLS
    ends: list[AgentEvent] = [MessageEnd()] * (MAX_EVENTS + 1)
    assert str(MAX_EVENTS) in refused(*ends)
    assert fold(HI, *ends[:-1]).text == "Hi"
    huge = [ToolCalled(id=str(n), name="t", arguments={"a": "x" * 1_000_000}) for n in range(5)]
    assert "bytes" in refused(*huge)


class _Opaque:
    """Nothing JSON knows."""


_LOOP: list[object] = []
_LOOP.append(_LOOP)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), {float("nan")}, _Opaque(), _LOOP, "\ud83d", "a\x00b", {"\x00": 1}]
)
def test_values_a_database_cannot_keep_are_refused(value: object) -> None:
    assert "tool_call holds" in refused(HI, ToolCalled(id="a", name="t", arguments={"v": value}))


@pytest.mark.parametrize("value", ["\\u0000", "\\\\u0000", "é😀", None, 1.5, [{"a": []}]])
def test_other_values_are_kept_as_they_are(value: object) -> None:
    reply = fold(HI, ToolCalled(id="a", name="t", arguments={"v": value}))
    assert reply.messages[0].tool_calls[0].arguments == {"v": value}


def test_a_nul_in_a_text_is_refused() -> None:
    assert refused(say("a\x00")) == "a text holds a NUL character"


_texts = st.text(st.sampled_from(" \nab😀"), max_size=4)
_talk = st.one_of(st.builds(say, _texts), st.just(MessageEnd()))


@given(st.lists(_talk))
def test_what_was_shown_is_the_reply(events: list[AgentEvent]) -> None:
    drafted = draft(Channel.VOICE)
    shown = "".join(drafted.add(one, at=101) for one in events)
    reply = drafted.finish()
    assert shown == reply.text
    assert all(m.text.strip() for m in reply.messages)
    said = "".join(one.text for one in events if isinstance(one, Delta))
    assert "".join(shown.split()) == "".join(said.split())


_ids = st.sampled_from("ab")
_anything = st.one_of(
    _talk,
    st.builds(lambda i: ToolCalled(id=i, name="t"), _ids),
    st.builds(lambda i: ToolAnswered(id=i, output=1), _ids),
    st.sampled_from([END, HANDOFF, APPROVAL, TRANSFER, DIGITS, event(type="error"), event(type="usage")]),
)
_PATHS = {
    "end": Path.CLOSED_BY_AGENT,
    "handoff": Path.HANDOFF,
    "approval_required": Path.APPROVAL,
    "call_transfer": Path.HANDOFF,
}


@given(st.lists(_anything, max_size=12), st.sampled_from(Channel))
def test_any_stream_is_refused_or_whole(events: list[AgentEvent], channel: Channel) -> None:
    drafted = draft(channel)
    shown = ""
    try:
        for one in events:
            shown += drafted.add(one, at=101)
        reply = drafted.finish()
    except AgentFailed:
        return
    assert shown == reply.text
    deciding = [_PATHS[one.type] for one in events if one.type in _PATHS]
    assert [reply.path] == (deciding or [Path.SINGLE])
    called = [one.id for one in events if isinstance(one, ToolCalled)]
    assert sorted(c.id for m in reply.messages for c in m.tool_calls) == sorted(called)
    assert reply.text or channel is Channel.VOICE or reply.path is not Path.SINGLE
    assert not reply.intents or channel is Channel.VOICE


def test_a_reply_that_revokes_consent_may_be_silent() -> None:
    quiet = fold(event(type="revoke_consent"), channel=Channel.SMS)
    assert (quiet.consent_revoked, quiet.messages) == (True, ())
    assert not fold(event(type="delta", text="hi"), channel=Channel.SMS).consent_revoked


def file(name: str = "a.txt", content: object = "YWJj") -> AgentEvent:
    return event(type="attachment", name=name, media_type="text/plain", content=content)


def test_files_go_with_the_message_they_stand_in() -> None:
    reply = fold(
        file("before"),
        event(type="delta", text="One"),
        file("in"),
        event(type="message"),
        event(type="delta", text="Two"),
        event(type="message"),
        file("after", b"raw"),
    )
    assert [[f.name for f in m.files] for m in reply.messages] == [["before", "in"], ["after"]]
    assert [f.content for m in reply.messages for f in m.files] == [b"abc", b"abc", b"raw"]


def test_base64_may_be_broken_into_lines_but_must_be_base64() -> None:
    (message,) = fold(event(type="delta", text="x"), file(content="YW\r\nJj\n")).messages
    assert message.files[0].content == b"abc"
    for wrong in ("YWJ", "Y*Jj", "ä"):
        with pytest.raises(ValidationError):
            file(content=wrong)


def test_files_are_few_and_small() -> None:
    said = event(type="delta", text="x")
    assert "more than 10 attachments" in refused(said, *[file()] * (MAX_FILES + 1))
    half = file(content=bytes(MAX_FILE_BYTES // 2))
    fold(said, half, half)
    assert "attachments of more than" in refused(said, half, half, file())
    assert refused(file()) == "empty reply"
    assert refused(file(), channel=Channel.VOICE) == "an attachment in a reply without a text"
    with pytest.raises(ValidationError):
        file(content=bytes(MAX_FILE_BYTES + 1))
