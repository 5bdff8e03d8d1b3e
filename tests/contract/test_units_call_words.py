"""What a caller at a voice host is told, and what of it they have heard."""

from typing import Any

import pytest

from gateway.bus.streams import LocalReplies, NoHosts
from gateway.domain.call_rules import CallPace, CallRules
from gateway.domain.clock import Clock
from gateway.domain.envelope import Envelope
from gateway.domain.errors import Fenced
from gateway.domain.ids import new_id
from gateway.domain.ports.bus import DONE
from gateway.domain.turn import Claim, Path, Uttered
from gateway.domain.voice import utterance_of
from gateway.service.approve import Decision, Resolution, resolve_approval
from gateway.service.interrupt import keep_broken_off
from gateway.service.turn_failure import postpone_turn
from gateway.store.records import message_of
from tests.contract import scene
from tests.contract.conftest import MovableStore as Store
from tests.contract.host_line import CALL, HOST, Line
from workers.audience import Audience, note_said

PATIENT = CallRules(pace=CallPace(filler_after=600))
REPLY = "We open at nine. On Sundays at ten."


@pytest.fixture
async def line(store: Store) -> Line:
    """A call at a host that speaks pieces as they come."""
    line = Line(store)
    await line.start(capabilities=["streaming_text", "dtmf_collected"])
    return line


async def asked(line: Line, text: str = "when do you open?") -> Claim:
    """The caller says something; the turn that answers."""
    assert await line.send("user.speech", text=text, final=True) == DONE
    return await scene.claimed(line.store, (await line.conversation())["id"])


async def told_so_far(line: Line, claim: Claim, text: str) -> None:
    """The turn's worker has noted what it has told the host."""
    await line.store.write(note_said, claim.turn_id, claim.lease.fence, text)


async def messages(line: Line) -> list[tuple[str, Any]]:
    """The assistant's: as they were sent, and as they were heard where that is less."""
    rows = await scene.rows(line.store, "test_messages", id=(await line.conversation())["id"])
    said = [message_of(row) for row in rows if row["role"] == "assistant"]
    return [(m.content, m.metadata.get("spoken_text")) for m in said]


async def test_a_caller_is_greeted_once(store: Store) -> None:
    line = Line(store, greeting="Hello, how can I help you?")
    for _ in range(2):
        await line.start()
    says = await line.told("say")
    assert {s["payload"]["text"] for s in says} == {"Hello, how can I help you?"}
    assert len({s["intent_id"] for s in says}) == 1
    (accepted, *_) = await line.told("call.accepted")
    assert {s["conversation_id"] for s in says} == {accepted["conversation_id"]}
    rows = await scene.rows(store, "test_messages", id=accepted["conversation_id"])
    assert [(r["role"], r["content"]) for r in rows][1:] == [("assistant", "Hello, how can I help you?")]


async def test_whom_we_call_is_not_greeted(store: Store) -> None:
    line = Line(store, greeting="Hello, how can I help you?")
    await line.start(**{"direction": "outbound", "from": scene.OURS, "to": scene.THEIRS})
    assert await line.told("say") == []


async def test_what_a_caller_says_is_answered_while_the_answer_is_made(line: Line) -> None:
    claim = await asked(line)
    assert [i.reply_to for i in claim.listeners] == [f"voice:{HOST}:pieces:{CALL}"]


class Told:
    """Voice hosts that write down what they are told."""

    def __init__(self) -> None:
        self.pieces: list[tuple[str, int, str]] = []

    async def say(self, host_id: str, told: Envelope) -> None:
        """A piece."""
        payload = told.data["payload"]
        self.pieces.append((payload["utterance_id"], payload["n"], payload["text"]))
        assert (host_id, told.data["call_id"], payload["final"]) == (HOST, CALL, False)


@pytest.mark.parametrize(
    ("capabilities", "pieces"),
    [
        (["streaming_text"], ["We open", " at nine. On", " Sundays."]),
        ([], ["We open at nine. ", "On Sundays."]),
    ],
    ids=["pieces", "sentences"],
)
async def test_a_host_is_told_as_it_can_speak(
    store: Store, capabilities: list[str], pieces: list[str]
) -> None:
    line, hosts = Line(store), Told()
    await line.start(capabilities=capabilities)
    claim = await asked(line)
    showing = Audience(store, (LocalReplies(), hosts), Clock(), lambda _number: PATIENT).of(claim)
    for text in ("We open", " at nine. On", " Sundays."):
        await showing.show(text)
    utterance_id = utterance_of(claim.turn_id, claim.lease.fence)
    assert await showing.finish() == Uttered(utterance_id, len(pieces), "We open at nine. On Sundays.")
    showing.close()
    assert hosts.pieces == [(utterance_id, n, piece) for n, piece in enumerate(pieces)]


async def test_of_a_streamed_reply_the_end_is_committed(line: Line) -> None:
    claim = await asked(line)
    utterance_id = utterance_of(claim.turn_id, claim.lease.fence)
    await scene.answer(line.store, claim, REPLY, uttered=Uttered(utterance_id, 2, REPLY))
    (last,) = await line.told("say")
    assert last["payload"] == {
        "utterance_id": utterance_id,
        "n": 2,
        "text": "",
        "final": True,
        "interruptible": True,
        "whole": REPLY,
    }
    assert await line.report(last["intent_id"], "spoken") == DONE


async def test_what_is_said_before_a_decision_is_not_what_is_said_after_it(line: Line) -> None:
    claim = await asked(line, "a refund")
    await scene.answer(line.store, claim, "I'm asking.", path=Path.APPROVAL, approval=scene.APPROVAL)
    (holding,) = await line.told("say")
    assert holding["payload"]["text"] == "I'm asking."
    assert holding["payload"]["utterance_id"] == utterance_of(claim.turn_id, claim.lease.fence)


async def test_who_speaks_over_the_holding_line_does_not_end_what_is_decided(line: Line) -> None:
    claim = await asked(line, "a refund")
    holding = "I'm asking. One moment."
    await scene.answer(line.store, claim, holding, path=Path.APPROVAL, approval=scene.APPROVAL)
    (approval,) = await scene.rows(line.store, "test_approvals", id=claim.conversation.id)
    approved = Resolution(decision=Decision.APPROVE, decided_by="olga", note=None)
    await line.store.write(resolve_approval, scene.ORGANIZATION, approval["id"], approved, scene.PARTITIONS)
    again = await scene.claimed(line.store, claim.conversation.id)
    assert await line.send("user.interrupted", spoken_text="I'm asking.") == DONE
    await scene.answer(line.store, again, "Done.")
    assert await messages(line) == [(holding, "I'm asking."), ("Done.", None)]


async def test_who_speaks_over_a_reply_that_is_made_ends_its_turn(line: Line) -> None:
    claim = await asked(line)
    await told_so_far(line, claim, "We open at nine. On")
    assert await line.send("user.interrupted", spoken_text="We open") == DONE
    assert await messages(line) == [("We open at nine. On", "We open")]
    with pytest.raises(Fenced):
        await scene.answer(line.store, claim, REPLY)
    again = await asked(line, "and on Sundays?")
    assert [m.content for m in again.request.messages if m.role == "assistant"] == ["We open"]
    assert await line.told("say") == []
    await scene.consistent(line.store, (await line.conversation())["id"])


@pytest.mark.parametrize(
    ("noted", "heard", "kept"),
    [
        ("We open at nine. On", {"spoken_ms": 500}, ("We open at nine. On", "We open")),
        ("We open at nine. On", {"spoken_ms": 500.0}, ("We open at nine. On", "We open")),
        ("We open at nine. On", {}, ("We open at nine. On", "We open at nine. On")),
        ("", {"spoken_text": "We open"}, ("We open", "We open")),
    ],
    ids=["told by time", "told by time as others write numbers", "told nothing", "more than is noted yet"],
)
async def test_what_was_heard_of_a_reply_that_is_made(
    line: Line, noted: str, heard: dict[str, Any], kept: tuple[str, str]
) -> None:
    claim = await asked(line)
    if noted:
        await told_so_far(line, claim, noted)
    assert await line.send("user.interrupted", **heard) == DONE
    assert await messages(line) == [kept]


async def test_who_speaks_over_a_reply_that_is_stored_has_heard_its_beginning(line: Line) -> None:
    await scene.answer(line.store, await asked(line), "First.", "Second part.", "Third.")
    running = await asked(line, "go on")
    event: dict[str, Any] = {"spoken_text": "First.\n\nSecond", "event_id": new_id()}
    assert await line.send("user.interrupted", **event) == DONE
    heard = [("First.", None), ("Second part.", "Second"), ("Third.", "")]
    assert await messages(line) == heard
    await scene.answer(line.store, running, "Fourth.")
    assert await line.send("user.interrupted", **event) == DONE  # delivered again: it was about the other
    assert await messages(line) == [*heard, ("Fourth.", None)]


async def test_an_operator_is_spoken_over_as_well(line: Line) -> None:
    conversation_id = (await line.conversation())["id"]
    await scene.operate(line.store, conversation_id, "This is Olga. One moment.", take_over=True)
    assert await line.send("user.interrupted", spoken_text="This is Olga.") == DONE
    assert await messages(line) == [("This is Olga. One moment.", "This is Olga.")]


async def test_nothing_was_said_that_could_be_spoken_over(line: Line) -> None:
    assert await line.send("user.interrupted", spoken_text="eh") == DONE
    assert await messages(line) == []
    claim = await asked(line)
    assert await line.send("user.interrupted", spoken_ms=0) == DONE
    await scene.answer(line.store, claim, REPLY)
    assert await messages(line) == [(REPLY, None)]


async def test_what_was_heard_of_an_attempt_that_broke_off_is_a_message(line: Line) -> None:
    claim = await asked(line)
    await told_so_far(line, claim, "We open at")
    await line.store.write(postpone_turn, claim, 5)
    line.store.advance(5)
    again = await scene.claimed(line.store, claim.conversation.id)
    assert again.shown
    audience = Audience(line.store, (LocalReplies(), NoHosts()), Clock(), lambda _number: PATIENT)
    for _ in range(2):
        await audience.begin(again)
    with pytest.raises(Fenced):
        await line.store.write(keep_broken_off, claim)
    await scene.answer(line.store, again, REPLY)
    assert await messages(line) == [("We open at", "We open at"), (REPLY, None)]
    (said,) = await line.told("say")
    assert said["payload"]["utterance_id"] == utterance_of(again.turn_id, again.lease.fence)
    await scene.consistent(line.store, claim.conversation.id)
