"""Callers at voice hosts who say nothing: reminded, let go after a while, and reassured where they wait."""

import asyncio
from typing import Any

import pytest

from gateway.domain.call_rules import CallPace, CallRules, CallTexts
from gateway.domain.clock import SECOND
from gateway.domain.ports.bus import DONE
from gateway.domain.ports.store import Tx
from gateway.domain.spoken import speaking_time
from gateway.service.brake import pause
from gateway.service.silence import break_silences
from gateway.store.records import message_of
from tests.contract import scene
from tests.contract.conftest import MovableStore as Store
from tests.contract.host_line import CALL, HOST, Line
from tests.contract.scene import ORGANIZATION
from workers.audience import note_said

TEXTS = CallTexts()
PACE = CallPace(reminder_after=8, max_reminders=2, reassure_every=20, hold_at_most=60)
RULES = CallRules(texts=TEXTS, pace=PACE)


@pytest.fixture
async def line(store: Store) -> Line:
    """A call that is up, on which nobody says anything."""
    line = Line(store)
    await line.start(capabilities=["streaming_text", "dtmf_events"])
    return line


async def said_after(line: Line, seconds: float) -> list[str]:
    """What has been said on the call when so much time has passed without a look, and then one."""
    line.store.advance(seconds)
    await line.store.write(break_silences, lambda _: RULES)
    return await said(line)


async def said(line: Line) -> list[str]:
    """What the host has been told to say, in order."""
    told = sorted((one["issued_at"], one["payload"]["text"]) for one in await line.told("say"))
    return [text for _, text in told]


def heard_out(text: str) -> float:
    """Seconds after which a text has been spoken."""
    return speaking_time(text) / SECOND


async def test_who_says_nothing_is_reminded_twice_and_then_let_go(line: Line) -> None:
    assert await said_after(line, 7) == []
    assert await said_after(line, 2) == [TEXTS.reminder]
    assert await said_after(line, heard_out(TEXTS.reminder) + 7) == [TEXTS.reminder]
    assert await said_after(line, 2) == [TEXTS.reminder] * 2
    lines = [TEXTS.reminder, TEXTS.reminder, TEXTS.goodbye]
    assert await said_after(line, heard_out(TEXTS.reminder) + 9) == lines
    (hang_up,) = await line.told("hang_up")
    goodbye = [one for one in await line.told("say") if one["payload"]["text"] == TEXTS.goodbye]
    assert hang_up["payload"] == {"reason": "silence", "after": goodbye[0]["payload"]["utterance_id"]}
    assert await said_after(line, 600) == lines
    assert (await line.conversation())["status"] == "active"
    assert await line.send("call.ended", reason="agent") == DONE
    assert (await line.conversation())["status"] == "closed"
    assert await line.transcript() == ["Call started.", "Call ended: agent."]


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        ("user.speech", {"text": "well", "final": False}),
        ("user.interrupted", {"spoken_ms": 0}),
        ("user.dtmf", {"digits": "x"}),
    ],
)
async def test_who_is_heard_is_not_silent(line: Line, kind: str, event: dict[str, Any]) -> None:
    assert await said_after(line, 9) == [TEXTS.reminder]
    line.store.advance(7)
    assert await line.send(kind, **event) == DONE
    assert await said_after(line, 7) == [TEXTS.reminder]
    assert await said_after(line, 2) == [TEXTS.reminder] * 2
    assert await said_after(line, 20) == [TEXTS.reminder] * 3  # counted anew
    assert await said_after(line, 20) == [*[TEXTS.reminder] * 3, TEXTS.goodbye]


async def test_keys_that_are_being_pressed_are_no_silence(line: Line) -> None:
    assert await line.send("user.dtmf", digits="1", ended_by=None) == DONE
    assert await said_after(line, 9) == []


async def test_keys_that_nobody_can_read_hold_up_nobody(line: Line) -> None:
    """Another version may have written them: what was pressed is lost, and neither the call nor others."""

    async def spoil(tx: Tx) -> None:
        await tx.run("call_keys_keep", host_id=HOST, call_id=CALL, keys='{"collector": 1}')

    await line.store.write(spoil)
    assert await said_after(line, 9) == [TEXTS.reminder]
    assert await line.send("user.dtmf", digits="1", ended_by=None) == DONE
    assert await line.send("user.dtmf", digits="#", ended_by=None) == DONE
    assert (await line.transcript())[-1] == "1"


async def test_nobody_is_reminded_while_the_agent_answers_or_is_heard(line: Line) -> None:
    assert await line.send("user.speech", text="tell me all", final=True) == DONE
    claim = await scene.claimed(line.store, (await line.conversation())["id"])
    assert await said_after(line, 9) == []
    reply = "All of it. " * 30
    await scene.answer(line.store, claim, reply)
    assert await said_after(line, heard_out(reply) + 7) == [reply]
    assert await said_after(line, 10) == [reply, TEXTS.reminder]


async def test_silence_begins_when_the_host_has_spoken(line: Line) -> None:
    assert await line.send("user.speech", text="tell me all", final=True) == DONE
    claim = await scene.claimed(line.store, (await line.conversation())["id"])
    reply = "All of it. " * 60
    await scene.answer(line.store, claim, reply)
    (asked,) = await line.told("say")
    line.store.advance(20)
    assert await line.report(asked["intent_id"], "spoken") == DONE
    assert await said_after(line, 7) == [reply]
    assert await said_after(line, 9) == [reply, TEXTS.reminder]


async def test_what_is_said_one_after_the_other_is_waited_for(line: Line) -> None:
    long = "One moment please, I am looking it up. " * 10
    conversation_id = (await line.conversation())["id"]
    await scene.operate(line.store, conversation_id, long, take_over=True)
    await scene.operate(line.store, conversation_id, long)
    first, _ = await line.told("say")
    line.store.advance(5)
    assert await line.report(first["intent_id"], "spoken") == DONE
    assert await said_after(line, 2 * heard_out(long)) == [long, long]


async def test_who_waits_for_a_person_is_reassured_and_not_for_ever(line: Line) -> None:
    await scene.operate(line.store, (await line.conversation())["id"], "This is Olga.", take_over=True)
    lines = ["This is Olga."]
    assert await said_after(line, 19) == lines
    for _ in range(3):
        lines.append(TEXTS.reassurance)
        assert await said_after(line, 22) == lines
    assert await said_after(line, 22) == [*lines, TEXTS.goodbye]
    (hang_up,) = await line.told("hang_up")
    assert hang_up["payload"]["reason"] == "hold_timeout"


async def test_who_is_given_back_is_reminded_as_if_they_had_not_waited(line: Line) -> None:
    conversation_id = (await line.conversation())["id"]
    await scene.operate(line.store, conversation_id, "This is Olga.", take_over=True)
    for _ in range(3):
        await said_after(line, 22)
    await scene.operate(line.store, conversation_id, return_control=True)
    assert (await said_after(line, 30))[-1] == TEXTS.reminder
    assert await line.told("hang_up") == []


async def test_whose_agent_is_paused_is_reassured(line: Line) -> None:
    await line.store.write(pause, ORGANIZATION, ORGANIZATION, by="olga", reason=None)
    assert await said_after(line, 9) == [TEXTS.reminder]
    assert await line.send("user.speech", text="hello?", final=True) == DONE
    assert await said_after(line, 11) == [TEXTS.reminder]
    assert await said_after(line, 12) == [TEXTS.reminder, TEXTS.reassurance]


async def test_in_a_transfer_the_host_speaks(line: Line) -> None:
    intent_id = await line.ask_for_transfer()
    before = await said(line)
    assert await said_after(line, 100) == before
    await line.report(intent_id, "returned", reason="no_answer")
    assert await said_after(line, 7) == before
    assert await said_after(line, 20) == [*before, TEXTS.reminder]
    await line.report(await line.ask_for_transfer(), "transferred")
    after = await said(line)
    assert await said_after(line, 100) == after


async def test_nobody_is_there_to_be_reminded(line: Line) -> None:
    assert await line.send("call.ended", reason="caller") == DONE
    assert await said_after(line, 60) == []
    assert await line.store.write(break_silences, lambda _: RULES) == 0


async def test_whoever_looks_it_is_said_once(line: Line) -> None:
    line.store.advance(9)
    looks = (line.store.write(break_silences, lambda _: RULES) for _ in range(4))
    await asyncio.gather(*looks)
    assert await said(line) == [TEXTS.reminder]


PIECE = ("user.speech", {"text": "well", "final": False})
KEY = ("user.dtmf", {"digits": "1"})


@pytest.mark.parametrize("before", [None, PIECE, KEY])
@pytest.mark.parametrize("heard", [{"spoken_text": "Are you"}, {"spoken_ms": 500}, {}])
async def test_who_speaks_over_a_reminder_has_heard_the_reply_before_it(
    line: Line, heard: dict[str, Any], before: tuple[str, dict[str, Any]] | None
) -> None:
    """Also where what they say, or press, is reported before that they do."""
    assert await line.send("user.speech", text="when do you open?", final=True) == DONE
    claim = await scene.claimed(line.store, (await line.conversation())["id"])
    await scene.answer(line.store, claim, "At nine.")
    assert (await said_after(line, 30))[-1] == TEXTS.reminder
    if before is not None:
        assert await line.send(before[0], **before[1]) == DONE
    assert await line.send("user.interrupted", **heard) == DONE
    assert await replies(line) == [("At nine.", None)]


async def test_who_speaks_over_the_reply_after_a_reminder_has_heard_no_more_of_that(line: Line) -> None:
    assert await said_after(line, 9) == [TEXTS.reminder]
    assert await line.send("user.speech", text="when do you open?", final=True) == DONE
    claim = await scene.claimed(line.store, (await line.conversation())["id"])
    await line.store.write(note_said, claim.turn_id, claim.lease.fence, "At nine.")
    assert await line.send("user.interrupted", spoken_ms=0) == DONE
    assert await replies(line) == [("At nine.", "")]


async def test_who_speaks_over_the_whole_reply_after_a_reminder_has_heard_no_more_of_that(line: Line) -> None:
    assert await said_after(line, 9) == [TEXTS.reminder]
    assert await line.send("user.speech", text="when do you open?", final=True) == DONE
    claim = await scene.claimed(line.store, (await line.conversation())["id"])
    await scene.answer(line.store, claim, "At nine.")
    assert await line.send("user.interrupted", spoken_ms=0) == DONE
    assert await replies(line) == [("At nine.", "")]


async def replies(line: Line) -> list[tuple[str, Any]]:
    """What has been answered, and what of it was heard where that is less."""
    rows = await scene.rows(line.store, "test_messages", id=(await line.conversation())["id"])
    said = [message_of(row) for row in rows if row["role"] == "assistant"]
    return [(reply.content, reply.metadata.get("spoken_text")) for reply in said]
