"""Replies folded from events: what is shown, what is stored, what is refused."""

import pytest

from gateway.domain.agent import (
    AgentEvent,
    MessageEnd,
    ToolAnswered,
    ToolCalled,
)
from gateway.domain.intent import DtmfInputSpec
from gateway.domain.message import Channel
from gateway.domain.reply import HOLDING_LINE, MAX_EVIDENCE
from gateway.domain.turn import Path
from tests.unit.replies import (
    APPROVAL,
    DIGITS,
    END,
    HANDOFF,
    HI,
    RAW,
    TRANSFER,
    draft,
    event,
    fold,
    refused,
    say,
)


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
    payload = intent["payload"]
    assert payload["briefing_text"] == "A caller would like to speak with you about: invoice."
    assert payload == {**(reply.transfer or {}), "briefing_text": payload["briefing_text"]}
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


def test_a_reply_that_revokes_consent_may_be_silent() -> None:
    quiet = fold(event(type="revoke_consent"), channel=Channel.SMS)
    assert (quiet.consent_revoked, quiet.messages) == (True, ())
    assert not fold(event(type="delta", text="hi"), channel=Channel.SMS).consent_revoked
