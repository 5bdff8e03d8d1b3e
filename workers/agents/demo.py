"""The demo agent: deterministic, needs nothing, and shows each feature at a word.

The first line of this table that applies decides; words count in any case, as whole words.

| what | answer |
|---|---|
| a decided approval | approved: the tool call, its result and a confirmation; rejected: says so |
| digits on a call | says how many it has, never which |
| no text (a call begins, a picture without words) | a greeting |
| `stop texting`, `stop writing` | nothing is sent to them any more |
| `agent`, `human` | handoff |
| `refund` | a tool call that needs approval |
| `transfer`, `call me` | on a call: to the configured label in the text, else the first; elsewhere handoff |
| `pin` | on a call: collects four digits; elsewhere says that it would |
| `long` | several hundred words |
| `source` | an answer with evidence |
| `receipt` | an answer with a file |
| `bye` | closes the conversation |
| anything else | quotes it |
"""

import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass

from gateway.domain.agent import (
    AgentEvent,
    ApprovalDecision,
    ApprovalRequired,
    CallTransferRequested,
    ConsentRevoked,
    ConversationEnd,
    Delta,
    DigitsRequested,
    Evidence,
    EvidenceItem,
    EvidenceSection,
    FileAttached,
    HandoffRequested,
    ToolAnswered,
    ToolCalled,
    TurnRequest,
)
from gateway.domain.message import Channel, Role

DIGITS_PREFIX = "PIN "
"""Comes before the digits a caller presses when asked by `pin`."""

MAX_QUOTE = 300
"""Characters of the input that are quoted."""

DELTAS = 4
"""Pieces a reply is streamed in, at most."""

_DIGITS = re.compile(rf"(?:{re.escape(DIGITS_PREFIX)}([0-9*#A-D]+)|([0-9*#]+))")
_TOOL = "refund_order"
_ARGUMENTS = {"order": "1001", "amount": "19.90", "currency": "EUR"}
_PARAGRAPH = (
    "This is paragraph {number} of a long reply. It is here to show how a reply that does not fit one "
    "message is cut: an SMS is sent in several parts, each numbered and none of them cut inside a word, "
    "an e-mail keeps its paragraphs, and a call speaks sentence after sentence until you interrupt it."
)
_PARAGRAPHS = 8


def _spoken(text: str) -> Iterator[AgentEvent]:
    """The text in a few deltas, cut before spaces."""
    words = re.findall(r"\s*\S+|\s+$", text)
    size = -(-len(words) // DELTAS)
    for start in range(0, len(words), size):
        yield Delta(text="".join(words[start : start + size]))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a reaction may look at."""

    turn_id: str
    channel: str
    text: str
    labels: Sequence[str]

    @property
    def on_call(self) -> bool:
        return self.channel == Channel.VOICE


def _stop(asked: _Asked) -> Iterator[AgentEvent]:
    if not Channel(asked.channel).delivers:  # elsewhere the gateway itself has the last word
        yield from _spoken("You will hear no more from me.")
    yield ConsentRevoked()


def _handoff(_asked: _Asked) -> Iterator[AgentEvent]:
    yield from _spoken("I am handing you over to a person, who will answer here.")
    yield HandoffRequested(reason="The end user asked for a person.")


def _refund(asked: _Asked) -> Iterator[AgentEvent]:
    yield ApprovalRequired(
        tool_call_id=f"refund-{asked.turn_id}",
        tool=_TOOL,
        arguments=_ARGUMENTS,
        suspend_message="I'm checking that refund with a colleague.",
        safe_message="I can't do that refund, but a colleague will follow up.",
    )


def _transfer(asked: _Asked) -> Iterator[AgentEvent]:
    if not asked.on_call or not asked.labels:
        yield from _handoff(asked)
        return
    named = [label for label in asked.labels if re.search(rf"\b{re.escape(label)}\b", asked.text, re.I)]
    yield CallTransferRequested(
        label=(named or asked.labels)[0],
        connecting_text="I am transferring your call, one moment please.",
        reason="The caller asked to be transferred.",
    )


def _pin(asked: _Asked) -> Iterator[AgentEvent]:
    if not asked.on_call:
        yield from _spoken("On a phone call I would now ask you to type a PIN of four digits.")
        return
    yield from _spoken("Please type your PIN of four digits, then press the hash key.")
    yield DigitsRequested(
        expects_input=True,
        max_digits=4,
        termination_digit="#",
        inter_digit_timeout_ms=5000,
        prefix=DIGITS_PREFIX,
    )


def _long(_asked: _Asked) -> Iterator[AgentEvent]:
    paragraphs = [_PARAGRAPH.format(number=number) for number in range(1, _PARAGRAPHS + 1)]
    yield from _spoken("\n\n".join(paragraphs))


def _source(_asked: _Asked) -> Iterator[AgentEvent]:
    text = "Orders can be returned within 30 days."
    yield Evidence(
        items=[
            EvidenceItem(
                chunk_id="demo-returns-1",
                kb_id="demo",
                score=0.92,
                text=text,
                label="Returns, section 1",
                short_label="Returns 1",
                document_title="Returns",
                version_number=1,
                section=EvidenceSection(
                    path_titles=["Returns"],
                    path_numbers=["1"],
                    display_label="1 Returns",
                    confidence="high",
                ),
            )
        ]
    )
    yield from _spoken(f"{text[:-1]} [1].")


def _receipt(_asked: _Asked) -> Iterator[AgentEvent]:
    yield from _spoken("Here is the receipt of order 1001.")
    text = "Order 1001\nOne example: EUR 19.90\nThank you.\n"
    yield FileAttached(name="receipt-1001.txt", media_type="text/plain", content=text.encode())


def _bye(_asked: _Asked) -> Iterator[AgentEvent]:
    yield from _spoken("Goodbye, and thank you.")
    yield ConversationEnd(reason="The end user said goodbye.")


_REACTIONS: tuple[tuple[re.Pattern[str], Callable[[_Asked], Iterator[AgentEvent]]], ...] = tuple(
    (re.compile(rf"\b(?:{words})\b", re.IGNORECASE), reaction)
    for words, reaction in (
        (r"stop\s+(?:texting|writing)", _stop),
        ("agent|human", _handoff),
        ("refund", _refund),
        (r"transfer|call\s+me", _transfer),
        ("pin", _pin),
        ("long", _long),
        ("source", _source),
        ("receipt", _receipt),
        ("bye", _bye),
    )
)


def _decided(approval: ApprovalDecision) -> Iterator[AgentEvent]:
    if approval.decision == "reject":
        yield from _spoken("I am sorry, the refund was declined.")
        return
    yield ToolCalled(id=approval.tool_call_id, name=_TOOL, arguments=_ARGUMENTS)
    yield ToolAnswered(id=approval.tool_call_id, output={"refunded": True, **_ARGUMENTS})
    yield from _spoken("Your refund of 19.90 EUR for order 1001 is on its way.")


def _quoted(text: str) -> Iterator[AgentEvent]:
    cut = text if len(text) <= MAX_QUOTE else text[: MAX_QUOTE - 3].rstrip() + "..."
    yield from _spoken(f"You said: {cut}")


class DemoAgent:
    """Answers as the table above says. Without configured transfers it hands over instead of transferring."""

    def __init__(self, labels: Sequence[str] = ()) -> None:
        """`labels`: the transfers it may use, the first where the text names none."""
        self._labels = tuple(labels)

    async def answer(self, turn: TurnRequest) -> AsyncIterator[AgentEvent]:
        """The same events for the same turn, every time."""
        for event in self._events(turn):
            yield event

    def _events(self, turn: TurnRequest) -> Iterator[AgentEvent]:
        if turn.approval is not None:
            return _decided(turn.approval)
        on_call = turn.channel == Channel.VOICE
        answered = set(turn.input)
        said = [m for m in turn.messages if m.seq in answered]
        if on_call and said and (digits := _DIGITS.fullmatch(said[-1].content.strip())):
            return _spoken(f"Thank you, I have your {len(digits[1] or digits[2])} digits.")
        text = "\n".join(m.content for m in said if m.role == Role.USER).strip()
        if not text:
            return _spoken("Hello, this is the demo agent. Tell me something and I will repeat it.")
        asked = _Asked(turn.turn_id, turn.channel, text, self._labels)
        for pattern, reaction in _REACTIONS:
            if pattern.search(text):
                return reaction(asked)
        return _quoted(text)
