"""What a person is told before they take a call."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.agent import AGENT_EVENT, AgentEvent
from gateway.domain.briefing import MAX_QUOTED, briefing_text
from gateway.domain.intent import MAX_SPOKEN, CallTransferIntent, TransferMode, WarmTransfer
from gateway.domain.message import Channel
from gateway.domain.reply import ReplyDraft
from gateway.domain.transfers import Transfers

SUMMARY = "Ada's order is late, and she wants her money back."


def transfer(mode: str = "ai_summary", template: str | None = None, **fields: object) -> CallTransferIntent:
    warm = WarmTransfer(message_mode=mode, briefing_template=template)
    return CallTransferIntent.model_validate(
        {"destination": "+15550111", "mode": "warm", "warm": warm, "label": "billing", **fields}
    )


@pytest.mark.parametrize(
    ("mode", "template", "summary", "told"),
    [
        ("ai_summary", None, SUMMARY, SUMMARY),
        ("ai_summary", "About {label}.", SUMMARY, SUMMARY),
        ("ai_summary", "About {label}: {summary}", SUMMARY, f"About billing: {SUMMARY}"),
        ("ai_summary", "About {label}: {said}", None, "About billing: my order"),
        ("ai_summary", None, None, "A caller would like to speak with you. They said: my order"),
        ("ai_summary", "  ", " ", "A caller would like to speak with you. They said: my order"),
        ("template", "About {label} {unknown} {", SUMMARY, "About billing {unknown} {"),
        ("template", None, SUMMARY, SUMMARY),
        ("odd", None, SUMMARY, SUMMARY),
        ("none", "About {label}.", SUMMARY, ""),
    ],
)
def test_a_summary_comes_first_and_a_template_stands_in(
    mode: str, template: str | None, summary: str | None, told: str
) -> None:
    assert briefing_text(transfer(mode, template), summary, "my  order") == told


def test_what_is_quoted_is_short_and_holds_no_long_number() -> None:
    told = briefing_text(
        transfer(reason="refund"), None, f"my PIN is 4711, card 4111 1111 1111 1111 {'x' * 999}"
    )
    assert told.startswith(
        "A caller would like to speak with you about: refund. They said: my PIN is …, card … x"
    )
    assert not any(digit in told for digit in "0123456789")
    assert len(told) < MAX_QUOTED + 100


@given(st.text(), st.none() | st.text(), st.none() | st.text(), st.sampled_from(["ai_summary", "template"]))
def test_there_is_always_something_to_say_and_not_too_much(
    said: str, summary: str | None, template: str | None, mode: str
) -> None:
    told = briefing_text(transfer(mode, template), summary, said)
    assert len(told) <= MAX_SPOKEN
    assert told or (template or "").strip()


@pytest.mark.parametrize(("mode", "briefed"), [(TransferMode.WARM, SUMMARY), (TransferMode.COLD, None)])
def test_the_intent_carries_it(mode: TransferMode, briefed: str | None) -> None:
    labels = {"billing": CallTransferIntent(destination="+15550111", mode=mode)}
    draft = ReplyDraft(Channel.VOICE, Transfers(labels), started_at=0, said="hello")
    asked: AgentEvent = AGENT_EVENT.validate_python(
        {"type": "call_transfer", "label": "billing", "briefing": SUMMARY}
    )
    draft.add(asked, at=1)
    reply = draft.finish()
    assert reply.intents[0]["payload"].get("briefing_text") == briefed
    assert "briefing_text" not in (reply.transfer or {})
