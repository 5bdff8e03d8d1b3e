"""A turn takes longer than a caller in `webhook` mode waits, and ends in a transfer: they are passed on."""

from collections.abc import AsyncIterator

import pytest

from channels.twilio.fake import FakeCall
from gateway.domain.conversation import Status
from gateway.domain.turn import Path, TurnOutcome
from tests.integration.voice_line import Line, open_line
from tests.turns import outcome

SHE = "+15550111"
FAILED = "I'm sorry, I wasn't able to connect you"


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    """A line into the gateway."""
    async with open_line() as opened:
        yield opened


def transfer() -> TurnOutcome:
    """The outcome that comes too late."""
    intent: dict[str, object] = {"intent_id": "i-1", "kind": "transfer", "payload": {"destination": SHE}}
    waits = Status.WAITING_FOR_HUMAN
    return outcome("Sure.", path=Path.HANDOFF, status=waits, intents=[intent], seqs=(1, 2))


async def late(line: Line) -> FakeCall:
    """A caller who was asked to say it again, and whose turn has ended now."""
    line.core.answers["think"] = None
    call = await line.call()
    await call.say("think")
    line.core.status = Status.WAITING_FOR_HUMAN
    line.core.answers["think"] = line.core.left_over = transfer()
    return call


async def ends(line: Line, call: FakeCall) -> None:
    """Nobody takes the call, and the agent has the caller again."""
    assert call.dialed == [SHE]
    line.core.status, line.core.left_over = Status.ACTIVE, None
    await call.dial_ended("busy")
    assert call.said[-1].startswith(FAILED)
    await call.say("never mind")
    assert call.said[-1] == "You said never mind."


async def test_who_says_nothing_is_passed_on(line: Line) -> None:
    call = await late(line)
    await call.silence()
    assert call.said[-1] == "Sure."
    await ends(line, call)
    assert line.event(f"{call.sid}:2:dialed")["intent_id"] == "i-1"


async def test_who_says_it_again_is_passed_on(line: Line) -> None:
    call = await late(line)
    line.core.answers["a person"] = outcome(path=Path.QUEUED, status=Status.WAITING_FOR_HUMAN, seqs=(3,))
    await call.say("a person")
    await call.silence()
    await ends(line, call)
    assert line.event(f"{call.sid}:3:dialed")["intent_id"] == "i-1"


async def test_who_asks_twice_is_passed_on_once(line: Line) -> None:
    """Twilio asks again where our answer was lost; the transfer has begun by then."""
    call = await late(line)
    first = await line.post("/input?n=2", CallSid=call.sid)
    line.core.left_over = None
    assert (await line.post("/input?n=2", CallSid=call.sid)).body == first.body
    assert SHE in first.body
