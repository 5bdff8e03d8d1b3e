"""Replies as the tests of folding make them: events, a draft, what becomes of it."""

from itertools import count
from typing import Any

import pytest

from gateway.domain.agent import (
    AGENT_EVENT,
    AgentEvent,
    AgentFailed,
    Delta,
)
from gateway.domain.intent import CallTransferIntent, DtmfInputSpec, TransferMode
from gateway.domain.message import Channel
from gateway.domain.reply import ReplyDraft
from gateway.domain.transfers import Transfers
from gateway.domain.turn import Reply
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
