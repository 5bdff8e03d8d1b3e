"""A transfer over jambonz without asking: who takes its call up calls nobody again, and waits for its end."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from math import inf
from typing import Any

import pytest

from channels.voice.jambonz.cold import ASKS
from channels.voice.jambonz.messages import (
    DIALED_HOOK,
    REFERRED_HOOK,
    CallStatus,
    Dialed,
    Event,
    Incoming,
    Place,
    Referred,
)
from channels.voice.jambonz.rest import ListedCall
from channels.voice.jambonz.transfer import Transfer
from channels.voice.jambonz.warm import JambonzWarm
from channels.voice.wishes import wishes_of
from gateway.domain.clock import SECOND
from gateway.domain.conversation import Status
from gateway.domain.delivery import OutcomeUnknown
from gateway.domain.errors import Unavailable
from gateway.domain.intent import OnFailure, WarmTransfer
from gateway.domain.message import Accepted, InboundMessage, JsonObject
from gateway.domain.outcome import TransferState
from gateway.domain.turn import TurnOutcome
from gateway.domain.warm.held import HeldCall
from gateway.domain.warm.machine import begin
from gateway.domain.warm.state import Stage, Timer, Warm, WarmPlan
from gateway.domain.warm.words import Finish
from tests.unit.test_jambonz_back import Conversation
from tests.waiting import until

WAIT = 60
"""Seconds after which the end of the dial is known."""
NOBODY = WarmTransfer().failure_text
DESK = "sip:desk@example.org"
ANSWERED = CallStatus(call_sid="person", call_status="in-progress")


def wish(**changed: object) -> JsonObject:
    """What the turn has led to."""
    return {
        "kind": "transfer",
        "intent_id": "intent-1",
        "payload": {"destination": "+15550112", "mode": "cold", **changed},
    }


def told(intent: JsonObject, *, attempt: int = 1, outcome: Finish | None = None) -> Warm:
    """jambonz was told to call, or was about to be."""
    transfer = wishes_of([intent]).transfer
    assert transfer is not None
    warm, _ = begin(WarmPlan.of(transfer, ""), 0)
    timers = {Timer.STAGE: WAIT * SECOND}
    return replace(warm, stage=Stage.DIAL, attempt=attempt, timers=timers, outcome=outcome)


def leg(status: str) -> ListedCall:
    """Somebody whom jambonz calls for the caller."""
    return ListedCall.model_validate(
        {"call_sid": "person", "call_status": status, "parent_call_sid": "call-1", "from": "", "to": ""}
    )


class Broken(Conversation):
    """The same where a transfer is under way."""

    def __init__(
        self, intent: JsonObject, warm: Warm | None, status: Status = Status.WAITING_FOR_HUMAN
    ) -> None:
        super().__init__(status)
        self.happened: list[str] = []
        """What was kept and told, in order."""
        self.noted: list[str] = []
        self.away = False
        """The database."""
        self._intent, self._warm = intent, warm

    async def take_up(self, _provider: str, _call_id: str, _holder: str) -> HeldCall | None:
        """What the connection before this one has left."""
        if self._warm is None:
            return None
        return HeldCall(
            id="intent-1",
            provider="jambonz",
            call_id="call-1",
            conversation_id="conversation-1",
            sender="+14155550100",
            recipient="+15550100",
            proven=True,
            n=1,
            session="first",
            destination="+15550112",
            warm=self._warm,
        )

    async def keep(self, held: HeldCall, _holder: str) -> bool:
        """A step, or the end."""
        if self.away:
            raise Unavailable("away")
        self.happened.append("done" if held.reported else held.warm.stage.value)
        return True

    async def __call__(self, message: InboundMessage) -> Accepted:
        """Accept."""
        event = message.metadata.get("voice_event", {})
        if event.get("kind") == "intent.outcome":
            self.noted.append(f"{event['state']} {event['reason']}")
        return await super().__call__(message)

    async def outcome(self, provider: str, message_id: str, wait: float) -> TurnOutcome:
        """What the input led to."""
        return replace(await super().outcome(provider, message_id, wait), intents=(self._intent,))

    async def _send(self, message: dict[str, Any]) -> None:
        self.happened += [verb["verb"] for verb in message.get("data") or []]
        await super()._send(message)

    @property
    def said(self) -> str:
        """What the caller was told."""
        verbs = [verb for message in self.sent for verb in message["data"]]
        return " ".join(verb["text"] for verb in verbs if verb["verb"] == "say")

    async def back(self) -> None:
        """The connection is back."""
        await self.session.open()
        await self.session.opened()

    async def tells(self, event: Event, hook: str = DIALED_HOOK, attempt: int = 1, step: int = 0) -> None:
        """jambonz tells of the transfer."""
        place = Place(hook, "first", 1, attempt, step)
        await self.session.take(Incoming("id", expects_ack=True, event=event, place=place))


class LeftOver(Broken):
    """The same where nobody has begun it."""

    async def take_transfer(self, _id: str, provider: str, message_id: str) -> TurnOutcome | None:
        """It is taken over."""
        return await self.outcome(provider, message_id, 0)


@pytest.fixture
def call() -> Broken:
    """Somebody was being called, or was about to be."""
    return Broken(wish(), told(wish()))


async def test_it_is_kept_that_somebody_is_called_before_jambonz_is_told() -> None:
    call = Broken(wish(), None)
    call.session._again = False
    await call.session.open()
    await call.session._way_out.pass_on(wishes_of([wish()]), 1, None)
    kept = [one for one in call.happened if one in ("announce", "dial", "done")]
    assert kept == ["announce", "dial", "dial"]  # the last of them is the verb
    await call.session._passed_on(
        Place(DIALED_HOOK, "second", 1, 1), Dialed(dial_call_status="busy", dial_sip_status=486)
    )
    assert "done" in call.happened


async def test_of_whom_nothing_is_heard_the_caller_is_told_so_and_has_the_agent(call: Broken) -> None:
    """The connection broke before jambonz was told, or while it told of the end."""
    await call.back()
    await call.passes(WAIT - 1)
    assert call.sent == []
    await call.passes(1)
    assert call.noted == ["failed bridge_error"]
    assert call.said == NOBODY
    assert call.happened[0] == "done"
    assert not call.session._way_out.begun
    await call.passes(1000)
    assert call.noted == ["failed bridge_error"]


async def test_two_who_talk_are_left_to_it_where_their_word_was_lost(call: Broken) -> None:
    """jambonz said so on the connection that broke; the end of the dial it says on this one."""
    call.listed = [leg("in-progress")]
    await call.back()
    await call.passes(WAIT)
    assert call.noted == ["transferred None"]
    await call.passes(1000)
    assert call.sent == []
    await call.tells(Dialed(dial_call_status="completed"))
    assert call.happened == ["done", "hangup"]
    assert call.session.over


@pytest.mark.parametrize("still", [OutcomeUnknown("no_answer"), [leg("ringing")]])
async def test_while_it_is_not_known_jambonz_is_asked_again(
    call: Broken, still: Sequence[ListedCall] | OutcomeUnknown
) -> None:
    call.listed = still
    await call.back()
    await call.passes(WAIT)
    await call.passes(5)
    assert call.noted == []
    call.listed = [leg("in-progress")]
    await call.passes(5)
    assert call.noted == ["transferred None"]


async def test_it_is_not_asked_for_ever(call: Broken) -> None:
    call.listed = OutcomeUnknown("no_answer")
    await call.back()
    await call.passes(WAIT)
    for _ in range(ASKS):
        await call.passes(5)
    assert call.noted == ["failed bridge_error"]


@pytest.mark.parametrize("status", ["ringing", "in-progress"])
async def test_who_is_called_already_is_not_called_again(status: str) -> None:
    """The database was away when the call began, so that nothing of it was kept."""
    call = LeftOver(wish(), None)
    call.listed = [leg(status)]
    await call.back()
    await call.passes(10)
    assert call.session._task is not None
    await call.session._task
    assert "dial" not in call.happened
    await call.session.take(Incoming("id", expects_ack=False, event=ANSWERED))
    assert call.noted == ["transferred None"]
    await call.tells(Dialed(dial_call_status="completed"))
    assert call.happened[-1] == "hangup"
    assert call.session.over


async def test_who_has_the_agent_again_once_jambonz_has_answered_is_not_passed_on() -> None:
    class Told(LeftOver):
        async def dialled(self) -> Sequence[ListedCall] | OutcomeUnknown:
            await self.tells(Dialed(dial_call_status="busy", dial_sip_status=486))  # was held back
            return ()

    call = Told(wish(), None)
    await call.back()
    await call.passes(10)
    assert call.session._task is not None
    await call.session._task
    assert (call.noted, call.session._way_out.begun) == (["failed busy"], False)
    assert "dial" not in call.happened


async def test_what_could_not_be_kept_is_kept_later() -> None:
    """So that the connection after this one finds it."""
    call = Broken(wish(), None)
    call.session._again = False
    await call.session.open()
    call.away = True
    await call.session._way_out.pass_on(wishes_of([wish()]), 1, None)
    assert call.happened[-1] == "dial"
    call.away, kept = False, len(call.happened)
    await call.passes(1)
    assert call.happened[kept:] == ["dial"]
    await call.passes(1)
    assert call.happened[kept:] == ["dial"]


async def test_how_patient_it_is(call: Broken) -> None:
    """Also where the connection was away for longer than the dial takes: what was held back comes first."""
    call.seconds = WAIT + 100
    await call.back()
    await call.passes(4)
    assert call.sent == []
    await call.tells(Dialed(dial_call_status="busy", dial_sip_status=486))
    assert call.noted == ["failed busy"]
    assert call.said == NOBODY


async def test_who_was_reached_is_left_with_the_caller(call: Broken) -> None:
    await call.back()
    await call.session.take(Incoming("id", expects_ack=False, event=ANSWERED))
    assert call.noted == ["transferred None"]
    assert call.happened == ["done"]
    await call.passes(1000)
    assert call.sent == []
    await call.tells(Dialed(dial_call_status="completed"))
    assert call.happened[1:] == ["hangup"]
    assert call.session.over


async def test_who_was_reached_before_the_break_is_too() -> None:
    call = Broken(wish(), told(wish()), Status.TRANSFERRED)
    await call.back()
    await call.passes(1000)
    assert call.sent == []


async def test_one_that_has_come_to_its_end_is_waited_for_no_more() -> None:
    call = Broken(wish(), told(wish()), Status.ACTIVE)
    await call.back()
    assert not call.session._way_out.begun


async def test_after_those_who_were_asked_only_the_last_dial_counts() -> None:
    asked = wish(mode="warm", max_retries=1, on_failure="cold_transfer")
    nobody = Finish(TransferState.FAILED, None, OnFailure.COLD_TRANSFER)
    call = Broken(asked, told(asked, attempt=3, outcome=nobody))
    await call.back()
    await call.tells(Dialed(dial_call_status="completed"), attempt=2)
    assert call.noted == []
    assert not call.session.over
    await call.tells(Dialed(dial_call_status="completed"), attempt=3)
    assert call.noted == ["transferred None"]
    assert call.session.over


async def test_a_refer_that_was_refused_meanwhile_becomes_a_dial() -> None:
    intent = wish(destination=DESK)
    call = Broken(intent, told(intent))
    await call.back()
    await call.tells(Referred(refer_status=603), REFERRED_HOOK)
    assert call.happened == ["dial", "dial"]
    await call.tells(Dialed(dial_call_status="completed"))
    assert call.noted == ["transferred None"]


async def test_whom_a_refused_refer_calls_has_time_to_answer() -> None:
    """Also where the connection was away for longer than the REFER may take."""
    intent = wish(destination=DESK)
    call = Broken(intent, told(intent))
    call.seconds = WAIT + 100
    await call.back()
    await call.tells(Referred(refer_status=603), REFERRED_HOOK)
    await call.passes(WarmTransfer().max_dial_seconds)
    assert call.noted == []
    await call.passes(WAIT)
    assert call.noted == ["failed bridge_error"]


async def test_who_answers_after_a_refused_refer_is_left_with_the_caller() -> None:
    """The connection before this one has heard of the refusal, and had jambonz call."""
    intent = wish(destination=DESK)
    call = Broken(intent, told(intent))
    await call.back()
    await call.session.take(Incoming("id", expects_ack=False, event=ANSWERED))
    assert call.noted == ["transferred None"]
    await call.passes(1000)
    assert call.sent == []
    await call.tells(Dialed(dial_call_status="completed"))
    assert call.session.over


async def test_a_refused_refer_of_which_nothing_is_kept_becomes_a_dial_too() -> None:
    """The database was away when it began."""
    call = Broken(wish(destination=DESK), None)
    await call.back()
    await call.tells(Referred(refer_status=603), REFERRED_HOOK)
    assert call.happened == ["dial"]


async def test_who_leaves_before_the_refer_has_not_followed_it() -> None:
    """They hang up during the last words, which are waited for."""
    call = Broken(wish(destination=DESK), None)
    call.session._again = False
    await call.session.open()
    call.session._speaker._open = True
    call.session._playback._until = 60.0
    leaving = asyncio.create_task(call.session._way_out.pass_on(wishes_of([wish(destination=DESK)]), 1, None))
    await until(lambda: "announce" in call.happened)
    [left] = await call.session._way_out.caller_gone()
    leaving.cancel()
    await asyncio.wait({leaving})
    assert left.metadata["voice_event"]["state"] == "caller_abandoned"


async def test_when_the_caller_has_left_nothing_is_waited_for(call: Broken) -> None:
    await call.back()
    await call.session._way_out.caller_gone()
    call.seconds = 1000
    assert call.session._way_out.patience == inf


async def test_what_is_said_as_a_transfer_is_taken_over_does_not_stop_it() -> None:
    call = LeftOver(wish(), None)
    await call.back()
    await call.passes(10)
    await call.session.hear("Are you there?", None)
    assert call.session._task is not None
    await call.session._task
    assert [one for one in call.happened if one in ("announce", "dial")] == ["announce", "dial", "dial"]


def test_what_was_told_is_known_by_what_is_kept() -> None:
    """A dial of somebody who is asked is none of these."""
    intent = wish(mode="warm")
    call = Broken(intent, None)
    transfer = wishes_of([intent]).transfer
    assert transfer is not None
    asked = Transfer.of(transfer, wishes_of([intent]), "first", 1)
    assert not JambonzWarm(asked, "", call.session._way_out._parts.rules, told(intent)).told
