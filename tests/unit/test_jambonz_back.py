"""A connection that takes up a call over jambonz: who is with a person is left to them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from channels.contract import Ingress
from channels.voice.jambonz.call import JambonzSession
from channels.voice.jambonz.messages import DIALED_HOOK, MESSAGE_HOOK, Dialed, Incoming, Opened, Place
from channels.voice.jambonz.outgoing import Outgoing
from channels.voice.jambonz.owed import Owed
from channels.voice.jambonz.rest import ListedCall
from gateway.domain.clock import SECOND, Clock
from gateway.domain.conversation import Status
from gateway.domain.delivery import OutcomeUnknown
from gateway.domain.ids import new_id
from gateway.domain.message import Accepted, Author, InboundMessage, JsonObject, Message, Role
from gateway.domain.ports.calls import CallReports
from gateway.domain.ports.dialogue import CallNews
from gateway.domain.turn import Path, TurnOutcome, TurnState
from gateway.domain.warm.held import HeldCall

WISH: JsonObject = {
    "kind": "transfer",
    "intent_id": "intent-1",
    "payload": {"destination": "+15550112", "mode": "warm"},
}
GREETED = Message(
    id="message-1",
    conversation_id="conversation-1",
    seq=1,
    turn_id=None,
    role=Role.ASSISTANT,
    content="Hello!",
    author=Author.SYSTEM,
    created_at=0,
)


class Conversation:
    """The gateway's side of one call, which has been greeted and whose transfer is as it says."""

    def __init__(self, status: Status) -> None:
        self.seconds = 0.0
        self.sent: list[dict[str, Any]] = []
        """What jambonz was told."""
        self.left: list[tuple[str, str]] = []
        """Which machines were left their message."""
        self._status = status
        ports = cast(Any, self)
        clock = Clock(now=lambda: int(self.seconds * SECOND), monotonic=lambda: self.seconds)
        ingress = Ingress(
            accept=ports,
            receive=ports,
            dialogue=ports,
            reports=ports,
            kept=ports,
            connections=ports,
            public_url="https://gateway.test",
            clock=clock,
        )
        opened = Opened.model_validate(
            {"call_sid": "call-1", "from": "+14155550100", "to": "+15550100", "again": True}
        )
        self.listed: Sequence[ListedCall] | OutcomeUnknown = ()
        """Whom jambonz calls for the caller."""
        self.session = JambonzSession(ingress, opened, "second", self._send, Owed(), ports)

    async def passes(self, seconds: float) -> None:
        """Time goes by."""
        self.seconds += seconds
        await self.session.tend()

    async def dialled(self) -> Sequence[ListedCall] | OutcomeUnknown:
        """What jambonz answers."""
        return self.listed

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    async def __call__(self, message: InboundMessage) -> Accepted:
        """Accept."""
        return Accepted(
            conversation_id="conversation-1", message_id="message-2", end_user_id="user-1", duplicate=True
        )

    async def leaves_message(self, conversation_id: str, call_id: str) -> None:
        """A machine is."""
        self.left.append((conversation_id, call_id))

    async def take_up(self, _provider: str, _call_id: str, _holder: str) -> HeldCall | None:
        """No transfer is left undone."""
        return None

    async def news(self, _conversation_id: str, since: int) -> CallNews:
        """How it stands."""
        return CallNews(self._status, (GREETED,) if since < GREETED.seq else ())

    async def take_transfer(
        self, _conversation_id: str, _provider: str, _message_id: str
    ) -> TurnOutcome | None:
        """No transfer is left over."""
        return None

    async def outcome(self, _provider: str, _message_id: str, _wait: float) -> TurnOutcome:
        """What the first connection's input led to."""
        return TurnOutcome(
            turn_id="turn-1",
            conversation_id="conversation-1",
            state=TurnState.DONE,
            path=Path.HANDOFF,
            decision_source=None,
            text="",
            agent_id=None,
            message_seqs=(),
            session_status=self._status,
            ttft_ms=None,
            started_at=0,
            intents=(WISH,),
        )


@pytest.mark.parametrize("status", [Status.TRANSFERRED, Status.WAITING_FOR_HUMAN])
async def test_only_who_waits_is_told_so(status: Status) -> None:
    call = Conversation(status)
    await call.session.open()
    await call.session.opened()
    for _ in range(2):
        await call.passes(250)
    assert bool(call.sent) == (status is not Status.TRANSFERRED)


async def test_who_was_with_a_person_is_let_go_when_that_person_is() -> None:
    call = Conversation(Status.TRANSFERRED)
    await call.session.open()
    await call.session.opened()
    await call.passes(300)
    assert not call.session.over
    place = Place(DIALED_HOOK, "first", 1, 1)
    await call.session.take(
        Incoming("id", expects_ack=True, event=Dialed(dial_call_status="completed"), place=place)
    )
    assert [verb["verb"] for message in call.sent for verb in message["data"]] == ["hangup"]
    assert call.session.over


async def test_who_comes_for_the_message_of_a_machine_has_been_sent_there() -> None:
    """The answer to the command may be lost: it is not told again, and the message not begun anew."""
    call = Conversation(Status.ACTIVE)
    reference = new_id()
    outgoing = Outgoing(cast(CallReports, call), "call-1", reference)
    call.session._machine = replace(call.session._machine, outgoing=outgoing)
    asked = Incoming("id", expects_ack=True, place=Place(MESSAGE_HOOK))
    said, hangs_up = await call.session.acknowledge(asked)
    await call.session.take(asked)
    assert call.left == [(reference, "call-1")]
    assert (said.verb, hangs_up.verb) == ("say", "hangup")
