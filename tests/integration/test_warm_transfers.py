"""Warm transfers at Twilio: the whole gateway; callers and persons at the fake, on both of its hosts."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from channels.twilio.fake import CallStatus, Phone
from channels.voice.relay import hold as relay_hold
from gateway.domain.call_rules import CallTexts
from gateway.domain.warm import machine
from gateway.domain.warm.words import CALLER_LEFT, CONFIRM_PROMPT, NOT_JOINED
from tests.integration.twilio_house import V2
from tests.integration.warm_agents import ANN, BOB, BRIEFING, DESK, WARM
from tests.integration.warm_house import (
    MUSIC,
    MUSICAL,
    OURS,
    RELAYED,
    House,
    accepts,
    is_asked,
    open_house,
    open_session,
)
from tests.waiting import until

TEXTS = CallTexts()
CONNECTING = "I'll get somebody."


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """A gateway of one process."""
    monkeypatch.setattr(relay_hold, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(machine, "BRIDGE_SECONDS", 600)
    monkeypatch.setattr(machine, "SCREEN_SECONDS", 600)
    async with open_house(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize("ours", [OURS, RELAYED])
async def test_a_call_from_greeting_to_end(house: House, ours: str) -> None:
    """Nobody answers at the first, the second declines after the briefing; the agent has the caller again."""
    house.phone(Phone(ends=CallStatus.NO_ANSWER))
    caller = await house.call(ours)
    await caller.hears(TEXTS.greeting)
    await caller.says("hello")
    await caller.hears("You said hello.")
    await caller.says("person")
    leg = await house.leg(BOB)
    assert (await caller.house.conversation())["status"] == "waiting_for_human"
    await accepts(leg, "2")
    await caller.hears(CONNECTING, WARM.hold_announcement_text)
    await caller.hears(WARM.retry_announcement_text, WARM.failure_text)
    await until(lambda: leg.ended)
    await caller.status("active")
    await caller.says("what happened")
    await caller.hears(WARM.failure_text, "Call transfer failed: declined.")
    await caller.call.hang_up()
    await caller.status("closed")
    assert [text for role, text in await caller.house.transcript() if role == "system_event"] == [
        "Call started.",
        f"The caller was told: {CONNECTING} {WARM.hold_announcement_text}",
        f"The caller was told: {WARM.retry_announcement_text}",
        f"The caller was told: {WARM.failure_text}",
        "Call transfer failed: declined.",
        "Call ended.",
    ]
    assert [call.parties.to for call in house.fake.calls] == [ours, ANN, BOB]
    assert all(call.parties.from_ == ours for call in house.fake.calls[1:])


@pytest.mark.parametrize("ours", [OURS, RELAYED])
async def test_who_accepts_is_joined(house: House, ours: str) -> None:
    house.phone(Phone())
    caller = await house.call(ours)
    await caller.says("person")
    leg = await house.leg(ANN)
    await accepts(leg)
    await until(lambda: caller.call.together and leg.together)
    await caller.status("transferred")
    await leg.hang_up()
    await until(lambda: caller.call.ended)
    await caller.status("closed")
    await caller.notes("Call transferred.")
    assert len(house.fake.rooms.past) == 1
    assert [call.parties.to for call in house.fake.calls] == [ours, ANN]


@pytest.mark.parametrize("ours", [OURS, RELAYED])
async def test_who_accepts_and_hangs_up_leaves_nobody_alone(house: House, ours: str) -> None:
    """The caller is on the way into the room, or in it: they hear that it failed, and talk to the agent."""
    house.phone(Phone(), Phone(ends=CallStatus.BUSY))
    caller = await house.call(ours)
    await caller.says("person")
    leg = await house.leg(ANN)
    told, leg.parties = leg.parties, replace(leg.parties, status_callback="")
    await is_asked(leg)
    await leg.press_and_leave("1")
    await until(lambda: any(caller.call.sid in room.inside for room in house.fake.rooms.open.values()))
    assert not caller.call.together
    leg.parties = told
    await leg.report("completed", CallStatus.COMPLETED)
    await caller.hears(WARM.retry_announcement_text, WARM.failure_text)
    await caller.status("active")
    assert "\n".join(caller.call.said).count(WARM.retry_announcement_text) == 1
    await caller.says("what happened")
    await caller.hears(WARM.failure_text, "Call transfer failed: busy.")
    assert [call.parties.to for call in house.fake.calls] == [ours, ANN, BOB]


async def test_on_hold_in_a_session_nothing_is_heard_and_nothing_is_lost(house: House) -> None:
    """What the caller says is no turn; a session that breaks goes on as documents, and comes back."""
    house.phone(Phone(rings=True), Phone())
    caller = await house.call(RELAYED)
    await caller.says("person")
    first = await house.leg(ANN)
    await caller.hears(CONNECTING, WARM.hold_announcement_text)
    line = caller.call.relay
    assert line is not None
    await line.say("are you there?")
    await line.press("5")
    await line.drop()
    await first.finish(CallStatus.BUSY)
    await accepts(await house.leg(BOB), "2")
    await caller.hears(WARM.retry_announcement_text, WARM.failure_text)
    await until(lambda: caller.call.relay is not line and open_session(caller.call))
    await caller.status("active")
    await caller.says("hello")
    await caller.hears("You said hello.")
    assert [text for role, text in await caller.house.transcript() if role == "user"] == ["person", "hello"]


async def test_on_hold_in_a_session_music_plays_until_something_is_said(house: House) -> None:
    house.phone(Phone(rings=True), Phone(ends=CallStatus.BUSY))
    caller = await house.call(RELAYED)
    await caller.says("person")
    leg = await house.leg(ANN)
    line = caller.call.relay
    assert line is not None
    await until(lambda: any(frame.get("source") == MUSIC for frame in line.frames))
    await leg.finish(CallStatus.NO_ANSWER)
    await caller.hears(WARM.retry_announcement_text, WARM.failure_text)
    await caller.status("active")
    assert [frame["type"] for frame in line.frames][-1] == "text"
    await caller.says("hello")
    await caller.hears("You said hello.")


@pytest.mark.parametrize("taken", [True, False])
async def test_who_hears_music_is_called_back_for_whatever_there_is(house: House, taken: bool) -> None:
    """No recording ends here by itself, and nobody on hold asks again unless they are called back."""
    house.phone(Phone(rings=True), Phone() if taken else Phone(ends=CallStatus.BUSY))
    house.fake.pauses(3600)
    caller = await house.call(MUSICAL)
    house.fake.pauses(0.01)
    await caller.says("person")
    leg = await house.leg(ANN)
    await until(lambda: caller.call.played == [MUSIC])
    assert caller.call.said[-1].endswith(WARM.hold_announcement_text)
    await leg.finish(CallStatus.NO_ANSWER)
    await caller.hears(WARM.retry_announcement_text)
    if taken:
        await accepts(await house.leg(BOB))
        await until(lambda: caller.call.together)
        await caller.status("transferred")
    else:
        await caller.hears(WARM.failure_text)
        await caller.status("active")
        await caller.says("hello")
        await caller.hears("You said hello.")
    assert "\n".join(caller.call.said).count(WARM.retry_announcement_text) == 1


async def test_the_caller_leaves_while_it_rings(house: House) -> None:
    """Whoever is called is hung up on, and never briefed."""
    house.phone(Phone(rings=True))
    caller = await house.call(OURS)
    await caller.says("person")
    leg = await house.leg(ANN)
    await until(lambda: leg.status is CallStatus.RINGING)
    await caller.call.hang_up()
    await until(lambda: leg.ended)
    assert leg.said == []
    await caller.status("closed")
    await caller.notes("Call transfer failed: caller_abandoned.")


async def test_the_caller_leaves_during_the_briefing(house: House) -> None:
    house.phone(Phone())
    caller = await house.call(OURS)
    await caller.says("person")
    leg = await house.leg(ANN)
    await until(lambda: BRIEFING in leg.said)
    await caller.call.hang_up()
    await until(lambda: leg.ended)
    assert leg.said == [BRIEFING, CALLER_LEFT]
    assert [call.parties.to for call in house.fake.calls] == [OURS, ANN]


async def test_nobody_is_called_for_a_caller_of_whose_end_nobody_told(house: House) -> None:
    """Twilio repeats no status callback: the call is looked at before somebody else is called."""
    house.phone(Phone(rings=True), Phone())
    caller = await house.call(OURS)
    await caller.says("person")
    first = await house.leg(ANN)
    caller.call.parties = replace(caller.call.parties, status_callback="")
    await caller.call.hang_up()
    await first.finish(CallStatus.NO_ANSWER)
    await caller.notes("Call transfer failed: caller_abandoned.")
    assert [call.parties.to for call in house.fake.calls] == [OURS, ANN]


async def test_a_machine_is_not_briefed_to_its_end(house: House) -> None:
    house.phone(Phone(answered_by="machine_start"), Phone(answered_by="human"))
    caller = await house.call(OURS)
    await caller.says("person return_to_agent screened")
    machine, person = await house.leg(ANN), await house.leg(BOB)
    await until(lambda: machine.ended)
    assert BRIEFING not in machine.said
    await accepts(person)
    await caller.status("transferred")


@pytest.mark.parametrize("then", ["hangup", "cold_transfer", "voicemail"])
async def test_what_follows_when_nobody_takes_the_call(house: House, then: str) -> None:
    house.phone(Phone(ends=CallStatus.BUSY), Phone(ends=CallStatus.BUSY))
    caller = await house.call(OURS)
    await caller.says(f"person {then}")
    await caller.hears(WARM.failure_text)
    if then == "hangup":
        await until(lambda: caller.call.ended)
    elif then == "cold_transfer":
        await until(lambda: caller.call.dialing)
        assert caller.call.dialed == [DESK]
        await caller.call.dial_ended()
        await caller.status("closed")
        assert [text for _, text in await caller.house.transcript()].count("Call transferred.") == 1
    else:
        await caller.status("active")
        said = "This call cannot do what was asked for: on_failure is return_to_agent."
        await caller.notes(said)


async def test_an_operator_closes_a_call_on_hold(house: House) -> None:
    house.phone(Phone(rings=True))
    caller = await house.call(OURS)
    await caller.says("person")
    leg = await house.leg(ANN)
    conversation = await caller.house.conversation()
    await house.api("POST", f"{V2}/{conversation['id']}/close", {})
    await until(lambda: leg.ended and caller.call.ended)
    assert caller.call.said[-1] == TEXTS.goodbye


async def test_callbacks_that_come_twice_and_late_change_nothing(house: House) -> None:
    """Each webhook of the first person again, when the second has long been called."""
    house.phone(Phone(ends=CallStatus.NO_ANSWER), Phone())
    caller = await house.call(OURS)
    await caller.says("person")
    first, second = await house.leg(ANN), await house.leg(BOB)
    await until(lambda: BRIEFING in second.said)
    for _ in range(2):
        for event, status in (("ringing", CallStatus.RINGING), ("completed", CallStatus.NO_ANSWER)):
            await first.report(event, status)
    await first.fetch(first.parties.status_callback.replace("/leg/status", "/leg"))
    assert first.said == [NOT_JOINED]
    await accepts(second)
    await until(lambda: second.together)
    await caller.status("transferred")
    assert [call.parties.to for call in house.fake.calls] == [OURS, ANN, BOB]


async def test_without_an_account_persons_hear_a_whisper(tmp_path: Path) -> None:
    async with open_house(tmp_path, account=False) as house:
        caller = await house.call(OURS)
        await caller.says("person")
        await until(lambda: caller.call.dialing)
        assert caller.call.dialed == [ANN]
        heard, joined = await house.fake.whisper(caller.call, "2")
        assert (heard, joined) == ([BRIEFING, CONFIRM_PROMPT], False)
        await caller.call.dial_ended(bridged=False)
        assert caller.call.dialed == [ANN, BOB]
        assert await house.fake.whisper(caller.call, "") == ([BRIEFING, CONFIRM_PROMPT], False)
        assert (await house.fake.whisper(caller.call, "1"))[1]
        await caller.call.dial_ended()
        await caller.status("closed")
        rows = await caller.house.transcript()
        assert ("system_event", "This call cannot do what was asked for: mode is whisper.") in rows
        assert ("system_event", "Call transferred.") in rows


@pytest.mark.parametrize(
    ("taken", "told", "text"),
    [
        (202, 200, "Call transferred."),
        (202, None, "Call transferred."),
        (202, 486, "Call transfer failed: refer_target_failed."),
        (603, None, "Call transfer failed: refer_rejected."),
    ],
)
async def test_a_sip_caller_is_referred(house: House, taken: int, told: int | None, text: str) -> None:
    caller = await house.call(OURS, "sip:ada@example.org")
    await caller.says("desk")
    await until(lambda: caller.call.referred == "sip:desk@example.org")
    await caller.call.refer_ended(taken, told)
    failed = "failed" in text
    await caller.status("active" if failed else "closed")
    await caller.notes(text)
    await until(lambda: failed or caller.call.ended)
