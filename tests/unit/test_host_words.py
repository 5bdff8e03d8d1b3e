"""What voice hosts on the queues are told: a reply in pieces or whole, and what follows it."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.voice.host.say import Piece, Utterances
from gateway.domain.conversation import Status
from gateway.domain.digits import DEFAULT_DIGITS
from gateway.domain.host_line import HostLine
from gateway.domain.turn import Path, TurnOutcome, TurnState, Uttered
from gateway.domain.voice import piece, utterance_of, voice_intents
from workers.queues import Queues

TURN = "0190a000-0000-7000-8000-000000000001"
NOW = 1_700_000_000_000_000


def outcome(text: str, *kinds: str, status: Status = Status.ACTIVE, fence: int = 3) -> TurnOutcome:
    """A turn's outcome."""
    return TurnOutcome(
        turn_id=TURN,
        conversation_id="c",
        state=TurnState.DONE,
        path=Path.SINGLE,
        decision_source=None,
        text=text,
        agent_id=None,
        message_seqs=(),
        session_status=status,
        ttft_ms=None,
        started_at=0,
        intents=tuple({"intent_id": f"id-of-{kind}", "kind": kind, "payload": {}} for kind in kinds),
        fence=fence,
    )


def test_queue_hosts_get_an_outcome_as_intents() -> None:
    given = outcome("Bye.", "collect_dtmf", "dance", status=Status.CLOSED)
    say, digits, hang_up = voice_intents(given, "call-1", now=NOW)
    assert say.model_dump(mode="json") == {
        "intent_id": say.intent_id,
        "call_id": "call-1",
        "conversation_id": "c",
        "turn_id": TURN,
        "issued_at": "2023-11-14T22:13:20.000000Z",
        "not_after": "2023-11-14T22:13:50.000000Z",
        "kind": "say",
        "payload": {
            "utterance_id": utterance_of(TURN, 3),
            "n": 0,
            "text": "Bye.",
            "final": True,
            "interruptible": True,
        },
    }
    resolved = {**DEFAULT_DIGITS.model_dump(), "expects_input": True}
    assert (digits.intent_id, digits.payload) == ("id-of-collect_dtmf", resolved)
    assert (hang_up.kind, hang_up.payload) == (
        "hang_up",
        {"reason": "closed", "after": utterance_of(TURN, 3)},
    )
    again = voice_intents(given, "call-1", now=2 * NOW)
    assert [one.intent_id for one in again] == [say.intent_id, digits.intent_id, hang_up.intent_id]
    assert len({one.intent_id for one in again}) == 3


def test_of_a_reply_that_was_streamed_the_last_piece_is_left() -> None:
    line = HostLine("h1", "call-1", streams=True)
    spoken = [piece(line, "c", TURN, NOW, (utterance_of(TURN, 3), n, text)) for n, text in enumerate("ab")]
    (last, transfer) = voice_intents(
        outcome("ab, c", "transfer"), "call-1", NOW, Uttered(utterance_of(TURN, 3), 2, "ab")
    )
    assert [(p.payload["n"], p.payload["text"], p.payload["final"]) for p in (*spoken, last)] == [
        (0, "a", False),
        (1, "b", False),
        (2, ", c", True),
    ]
    assert last.payload["whole"] == "ab, c"
    assert transfer.payload == {"after": utterance_of(TURN, 3)}
    assert len({p.intent_id for p in (*spoken, last, transfer)}) == 4


def test_each_attempt_of_a_turn_is_an_utterance_of_its_own() -> None:
    first, second = (voice_intents(outcome("a", fence=n), "call-1", NOW)[0] for n in (3, 4))
    assert first.intent_id != second.intent_id
    assert first.payload["utterance_id"] != second.payload["utterance_id"]


@given(st.from_regex(r"[A-Za-z0-9_-]{1,100}", fullmatch=True), st.text(max_size=255), st.booleans())
def test_a_line_is_read_as_it_was_written(host_id: str, call_id: str, streams: bool) -> None:
    line = HostLine(host_id, call_id, streams=streams)
    assert HostLine.read(str(line)) == line


@pytest.mark.parametrize("address", ["", "local", "gateway.reply.7", "voice:h1:loudly:c", "voice:h1"])
def test_other_listeners_have_no_line(address: str) -> None:
    assert HostLine.read(address) is None


def said(n: int, text: str, last: int, whole: str | None = None) -> Piece:
    """A piece of an utterance."""
    return Piece(utterance_id="u", n=n, text=text, final=n == last, whole=whole, intent_id=f"i{n}")


@given(st.permutations(range(6)), st.lists(st.integers(0, 5), max_size=6))
def test_an_utterance_is_spoken_once_and_in_order(order: list[int], again: list[int]) -> None:
    utterances = Utterances()
    spoken: list[int] = []
    for n in [*order, *again]:
        spoken += [ready.n for ready in utterances.add(said(n, str(n), 5))]
    assert spoken == list(range(6))


@given(st.permutations(range(7)), st.sets(st.integers(0, 5)), st.lists(st.integers(0, 6), max_size=6))
def test_what_was_lost_of_an_utterance_is_spoken_with_its_last_piece(
    order: list[int], lost: set[int], again: list[int]
) -> None:
    texts = ["One, ", "two, ", "three, ", "four, ", "five, ", "six", "."]
    utterances, spoken, ends = Utterances(), "", 0
    for n in [*(n for n in order if n not in lost), *again]:
        for ready in utterances.add(said(n, texts[n], 6, "".join(texts) if n == 6 else None)):
            spoken += ready.text
            ends += ready.final
    assert (spoken, ends) == ("".join(texts), 1)


async def test_an_utterance_is_finished_by_its_last_piece() -> None:
    utterances = Utterances()
    waiting = asyncio.create_task(utterances.finished("u"))
    for n in (0, 1):
        await asyncio.sleep(0)
        assert not waiting.done()
        utterances.add(said(n, "x", 1))
    await waiting
    await utterances.finished("u")


async def test_what_belongs_together_goes_one_after_the_other() -> None:
    queues, done = Queues(), list[str]()
    first = asyncio.Event()

    async def work(key: str, name: str, begin: asyncio.Event | None = None) -> None:
        async with queues.of(key):
            if begin is not None:
                await begin.wait()
            done.append(name)

    tasks = [asyncio.create_task(work("a", "a1", first))]
    tasks += [asyncio.create_task(work(key, name)) for key, name in (("a", "a2"), ("b", "b1"), ("a", "a3"))]
    await tasks[2]
    assert done == ["b1"]
    tasks[1].cancel()
    first.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert done == ["b1", "a1", "a3"]
    await work("a", "a4")
    assert done[-1] == "a4"
