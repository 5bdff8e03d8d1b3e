"""A caller at a voice host whose turn fails or takes long: told at once, and nothing they heard is lost."""

import asyncio
from typing import Any

import pytest

from gateway.bus.streams import LocalReplies
from gateway.domain.call_rules import CallPace, CallRules, CallTexts
from gateway.domain.clock import Clock
from gateway.domain.envelope import Envelope
from gateway.domain.errors import ErrorCode
from gateway.domain.fallback import Fallbacks
from gateway.domain.ports.bus import DONE
from gateway.domain.turn import Claim, Path
from gateway.domain.turn_rules import TurnRules
from gateway.service.respond import finish_turn
from gateway.service.turn_failure import fail_turn
from gateway.store.records import message_of
from tests.contract import scene
from tests.contract.conftest import MovableStore as Store
from tests.contract.host_line import Line
from tests.contract.scene import PARTITIONS
from workers.audience import Audience, note_said

SORRY = Fallbacks(apology="I'm sorry. Could you say that again?", failure_text="We will write to you.")


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


async def said(line: Line) -> list[tuple[str, str, Any]]:
    """What the caller was told: by whom, and as it was heard where that is less."""
    rows = await scene.rows(line.store, "test_messages", id=(await line.conversation())["id"])
    messages = [message_of(row) for row in rows if row["role"] == "assistant"]
    return [(m.author.value, m.content, m.metadata.get("spoken_text")) for m in messages]


async def fails(line: Line, claim: Claim, code: ErrorCode = ErrorCode.AGENT_FAILED) -> None:
    """The turn is over without an answer."""
    await line.store.write(fail_turn, claim, code, "no", PARTITIONS, SORRY)


async def test_a_caller_whose_turn_fails_is_told_at_once(line: Line) -> None:
    claim = await asked(line)
    assert claim.tells_caller
    await fails(line, claim)
    (told,) = await line.told("say")
    assert (told["payload"]["text"], told["payload"]["final"]) == (SORRY.apology, True)
    assert await said(line) == [("system", SORRY.apology, None)]
    again = await asked(line, "when do you open?")
    assert again.turn_id != claim.turn_id
    assert await scene.rows(line.store, "test_dead_letters") == []
    await scene.consistent(line.store, claim.conversation.id)


async def test_what_was_heard_of_a_reply_that_failed_stays(line: Line) -> None:
    claim = await asked(line)
    await line.store.write(note_said, claim.turn_id, claim.lease.fence, "We open at")
    await fails(line, claim, ErrorCode.TURN_TIMEOUT)
    heard = ("agent", "We open at", "We open at")
    assert await said(line) == [heard, ("system", SORRY.apology, None)]
    assert await line.send("user.interrupted", spoken_text="I'm sorry.") == DONE
    assert await said(line) == [heard, ("system", SORRY.apology, "I'm sorry.")]
    await scene.consistent(line.store, claim.conversation.id)


async def test_nobody_apologises_to_a_caller_who_is_gone(line: Line) -> None:
    claim = await asked(line)
    await line.store.write(note_said, claim.turn_id, claim.lease.fence, "We open at")
    await line.store.write(_hang_up, claim.conversation.id)
    await fails(line, claim)
    assert await said(line) == [("agent", "We open at", "We open at")]
    assert await line.told("say") == []


async def _hang_up(tx: Any, conversation_id: str) -> None:
    call = await tx.one("call_live", conversation_id=conversation_id)
    await tx.one("call_end", provider=call["provider"], call_id=call["call_id"])


@pytest.mark.parametrize(
    ("path", "text", "more", "holds"),
    [
        (Path.HANDOFF, "A colleague will help.", {"handoff_reason": "asked"}, True),
        (Path.HANDOFF, "", {"handoff_reason": "asked"}, True),
        (
            Path.HANDOFF,
            "Connecting.",
            {"handoff_reason": "t", "transfer": {"destination": "+15550111"}},
            False,
        ),
        (Path.APPROVAL, "", {"approval": scene.APPROVAL}, True),
        (Path.APPROVAL, "I'm asking.", {"approval": scene.APPROVAL}, False),
        (Path.SINGLE, "At nine.", {}, False),
    ],
)
async def test_a_caller_who_waits_for_a_person_is_told_so(
    line: Line, path: Path, text: str, more: dict[str, Any], holds: bool
) -> None:
    claim = await asked(line)
    answered = scene.reply(*([text] if text else []), path=path, **more)
    rules = TurnRules(fallbacks=Fallbacks(hold="Please hold."))
    await line.store.write(finish_turn, claim, answered, PARTITIONS, rules)
    spoken = [*([text] if text else []), *(["Please hold."] if holds else [])]
    assert [content for _, content, _ in await said(line)] == spoken
    assert {say["payload"]["text"] for say in await line.told("say")} == set(spoken)
    await scene.consistent(line.store, claim.conversation.id)


class Spoken:
    """Voice hosts that write down what they are told to say."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, bool]] = []
        self.told = asyncio.Event()

    async def say(self, host_id: str, told: Envelope) -> None:
        """A text, and whether it is whole."""
        payload = told.data["payload"]
        self.texts.append((payload["text"], payload["final"]))
        self.told.set()


def audience(line: Line, hosts: Spoken, filler_after: float) -> Audience:
    """Who hears the turns."""
    rules = CallRules(pace=CallPace(filler_after=filler_after), texts=CallTexts(filler="One moment."))
    return Audience(line.store, (LocalReplies(), hosts), Clock(), lambda _number: rules)


async def test_a_caller_who_waits_hears_a_filler_and_then_the_reply(line: Line) -> None:
    claim, hosts = await asked(line), Spoken()
    showing = audience(line, hosts, 0).of(claim)
    async with asyncio.timeout(30):
        await hosts.told.wait()
    await showing.show("We open")
    showing.close()
    assert hosts.texts == [("One moment.", True), ("We open", False)]
    assert await line.send("user.interrupted", spoken_text="one  moment") == DONE
    assert await said(line) == []  # nothing of a reply was spoken over


async def test_a_caller_who_is_answered_hears_no_filler(line: Line) -> None:
    claim, hosts = await asked(line), Spoken()
    showing = audience(line, hosts, 0).of(claim)
    await showing.show("We open")
    for _ in range(3):
        await asyncio.sleep(0)
    showing.close()
    assert hosts.texts == [("We open", False)]
    other = audience(line, hosts, 0).of(claim)
    other.close()
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(hosts.texts) == 1


async def test_who_speaks_over_a_filler_does_not_end_the_turn(line: Line) -> None:
    await scene.answer(line.store, await asked(line), "First.")
    claim = await asked(line, "and then?")
    for heard in ({"spoken_text": "One moment"}, {"spoken_ms": 300}, {"spoken_text": ""}):
        assert await line.send("user.interrupted", **heard) == DONE
    await scene.answer(line.store, claim, "Second.")
    assert [(text, heard) for _, text, heard in await said(line)] == [("First.", None), ("Second.", None)]
