"""What voice hosts report, and what they are told: one end of each intent, in whatever order reports come."""

import json

import pytest

from gateway.domain.clock import SECOND, rfc3339
from gateway.domain.conversation import SessionType
from gateway.domain.envelope import Envelope
from gateway.domain.ids import named_id, new_id
from gateway.domain.intent import IntentKind, TransferMode, WarmTransfer
from gateway.domain.message import JsonObject
from gateway.domain.ports.bus import DONE, Ack
from gateway.domain.ports.store import Tx
from gateway.domain.voice import VoiceIntent
from gateway.service.call_intents import (
    GRACE_SECONDS,
    SILENCE_SECONDS,
    lose_overdue,
    lose_unroutable,
    note_intent,
)
from gateway.service.close import close
from tests.contract import scene
from tests.contract.conftest import MovableStore as Store
from tests.contract.host_line import CALL, HOST, MOMENT, Line, left_out
from tests.contract.scene import ORGANIZATION, OURS, PARTITIONS, THEIRS
from workers.announced import Call, announced
from workers.voice import OVERTAKEN_SECONDS


@pytest.fixture
async def line(store: Store) -> Line:
    """A call that is up."""
    line = Line(store)
    await line.start()
    return line


async def test_a_call_is_accepted_with_its_conversation(line: Line) -> None:
    (accepted,) = await line.told("call.accepted")
    assert accepted["call_id"] == CALL
    row = await line.conversation()
    assert (row["our_address"], row["their_address"]) == (OURS, THEIRS)
    await line.start()
    again = await line.told("call.accepted")
    assert {a["conversation_id"] for a in again} == {row["id"]}


async def test_a_call_that_we_made_is_with_whom_we_called(store: Store) -> None:
    line = Line(store)
    await line.start(**{"direction": "outbound", "from": OURS, "to": THEIRS})
    row = await line.conversation()
    assert (row["our_address"], row["their_address"]) == (OURS, THEIRS)


async def test_a_call_to_what_is_no_number_is_refused(store: Store) -> None:
    line = Line(store)
    await line.start(to="reception")
    (refused,) = await line.told("call.refused")
    assert refused["call_id"] == CALL


async def test_a_call_id_is_of_one_call_only(line: Line) -> None:
    await line.start(host_id="host-2")
    (refused,) = await line.told("call.refused")
    assert "call_id" in refused["reason"]
    assert await line.send("call.ended", reason="caller", host_id=HOST) == DONE
    await line.start()
    assert len(await line.told("call.refused")) == 2
    assert (await line.transcript()) == ["Call started.", "Call ended: caller."]


@pytest.mark.parametrize(
    ("kind", "wrong", "where"),
    [
        ("user.speech", {"text": "a\x00b"}, "user.speech.text"),
        ("user.speech", {}, "user.speech.text"),
        ("user.dtmf", {"digits": "1", "n": -1}, "user.dtmf.n"),
        ("user.dtmf", {"digits": "1", "ended_by": "speech"}, "user.dtmf.ended_by"),
        ("user.interrupted", {"spoken_text": "\x00"}, "user.interrupted.spoken_text"),
        ("intent.outcome", {"intent_id": "i", "state": "x" * 65, "seq": 0}, "intent.outcome.state"),
        ("intent.progress", {"intent_id": "i\x00", "state": "dial", "seq": 0}, "intent.progress.intent_id"),
        ("call.ended", {"reason": "\x00"}, "call.ended.reason"),
        ("call.ended", {"recording_url": "file:///etc/passwd"}, "call.ended.recording_url"),
        ("user.dance", {}, "kind"),
    ],
)
async def test_what_is_not_valid_is_a_dead_letter_that_says_where(
    line: Line, kind: str, wrong: JsonObject, where: str
) -> None:
    verdict = await line.send(kind, **wrong)
    assert (verdict.ack, where in verdict.reason or where == "kind") == (Ack.DEAD, True)
    assert "\x00" not in verdict.reason
    assert await line.transcript() == ["Call started."]
    assert await line.send("user.speech", text="hello", final=True) == DONE


async def test_what_the_contract_does_not_know_is_not_kept(line: Line) -> None:
    assert await line.send("user.interrupted", spoken_ms=5, junk="x" * 1000, more={"a": "\x00"}) == DONE
    rows = await scene.rows(line.store, "test_messages", id=(await line.conversation())["id"])
    kept = json.loads(rows[-1]["metadata"])["voice_event"]
    assert kept == {"kind": "user.interrupted", "call_id": CALL, "spoken_ms": 5}


@pytest.mark.parametrize(
    ("state", "settings", "told"),
    [
        ("failed", {}, WarmTransfer().failure_text),
        ("exploded", {}, WarmTransfer().failure_text),
        ("expired", {"mode": TransferMode.WARM, "warm": WarmTransfer(failure_text="No.")}, "No."),
        ("failed", {"on_failure": "hangup"}, None),
        ("returned", {"mode": TransferMode.WARM}, None),
        ("canceled", {}, None),
    ],
)
async def test_a_caller_hears_that_nobody_was_reached_where_their_host_does_not_say_it(
    line: Line, state: str, settings: JsonObject, told: str | None
) -> None:
    intent_id = await line.ask_for_transfer(**settings)
    before = len(await line.told("say"))
    for _ in range(2):
        await line.report(intent_id, state, reason="busy")
    assert (await line.conversation())["status"] == "active"
    said = [say["payload"]["text"] for say in await line.told("say")]
    assert len(said) == before + (told is not None)
    assert (told in said) == (told is not None)
    await scene.consistent(line.store, (await line.conversation())["id"])


async def test_a_second_transfer_that_is_rejected_leaves_the_first_its_end(line: Line) -> None:
    intent_id = await line.ask_for_transfer()
    second = VoiceIntent(
        intent_id=new_id(),
        call_id=CALL,
        conversation_id=(await line.conversation())["id"],
        turn_id=None,
        issued_at=rfc3339(MOMENT),
        not_after=rfc3339(MOMENT),
        kind=IntentKind.TRANSFER,
        payload={"destination": "+15550112"},
    )
    await line.store.write(note_intent, ORGANIZATION, second)
    await line.report(second.intent_id, "rejected_busy")
    assert (await line.conversation())["status"] == "waiting_for_human"
    await line.report(intent_id, "transferred")
    assert (await line.conversation())["status"] == "transferred"


async def test_a_transfer_ends_as_its_host_says_first(line: Line) -> None:
    intent_id = await line.ask_for_transfer()
    assert (await line.conversation())["status"] == "waiting_for_human"
    event_id = new_id()
    for _ in range(2):
        await line.report(intent_id, "failed", reason="busy", event_id=event_id)
    await line.report(intent_id, "transferred")
    assert (await line.conversation())["status"] == "active"
    assert [f["state"] for f in await line.facts()] == ["failed"]
    assert (await line.transcript()).count("Call transfer failed: busy.") == 1
    assert "Call transferred." not in await line.transcript()


async def test_what_was_spoken_does_not_end_the_transfer_it_announces(line: Line) -> None:
    intent_id = await line.ask_for_transfer()
    (said,) = await line.told("say")
    assert said["payload"]["text"] == "connecting you"
    assert await line.report(said["intent_id"], "failed") == DONE
    assert (await line.conversation())["status"] == "waiting_for_human"
    assert await line.report(new_id(), "failed") == DONE
    assert (await line.conversation())["status"] == "waiting_for_human"
    await line.report(intent_id, "transferred", method_used="refer")
    assert (await line.conversation())["status"] == "transferred"


async def test_the_timeline_shows_how_an_intent_goes(line: Line) -> None:
    intent_id = await line.ask_for_transfer()
    await line.report(intent_id, "dialing", kind="intent.progress", attempt=1, destination_index=0)
    await line.send("intent.progress", intent_id=intent_id, state="late", seq=0)
    await line.report(intent_id, "transferred", method_used="bridge")
    await line.report(intent_id, "dialing", kind="intent.progress")
    row = await line.conversation()
    timeline = await scene.rows(line.store, "test_timeline", id=row["id"])
    shown = [json.loads(entry["body"]) for entry in timeline if entry["kind"] == "intent"]
    assert [(i["state"], i["payload"]) for i in shown[1:]] == [
        ("dialing", {"attempt": 1, "destination_index": 0}),
        ("transferred", {"method_used": "bridge"}),
    ]
    await scene.consistent(line.store, row["id"])


async def lost_events(line: Line) -> list[JsonObject]:
    """What the gateway itself reports of hosts that are lost."""
    events = await scene.postings(line.store)
    return [e for exchange, _, e in events if exchange == "voice.events"]


async def test_a_host_that_never_began_is_lost_once(line: Line) -> None:
    intent_id = await line.ask_for_transfer()
    line.store.advance(30 + GRACE_SECONDS - 1)
    assert await line.store.write(lose_overdue) == 0
    line.store.advance(2)
    assert [await line.store.write(lose_overdue) for _ in range(2)] == [1, 0]
    (event,) = await lost_events(line)
    for _ in range(2):
        assert await line.worker.consume(Envelope(**event)) == DONE
    assert (await line.conversation())["status"] == "active"
    assert (await line.transcript()).count("Call transfer failed: host_lost.") == 1
    await line.report(intent_id, "transferred")
    assert (await line.conversation())["status"] == "active"


@pytest.mark.parametrize(
    ("settings", "patience"),
    [
        ({}, SILENCE_SECONDS),
        ({"mode": TransferMode.WARM, "warm": WarmTransfer(max_hold_seconds=600)}, 600 + GRACE_SECONDS),
    ],
)
async def test_a_host_that_dies_in_the_middle_is_lost_later(
    line: Line, settings: JsonObject, patience: int
) -> None:
    intent_id = await line.ask_for_transfer(**settings)
    await line.report(intent_id, "dialing", kind="intent.progress")
    line.store.advance(patience - 1)
    assert await line.store.write(lose_overdue) == 0
    line.store.advance(2)
    assert await line.store.write(lose_overdue) == 1


async def test_a_host_whose_queue_is_gone_is_lost_at_once(line: Line) -> None:
    await line.ask_for_transfer()
    postings = await scene.postings(line.store)
    bodies = [json.dumps(e) for _, _, e in postings if e["data"].get("kind") == "transfer"]
    assert [await line.store.write(lose_unroutable, body) for body in bodies * 2] == [True, False]
    (event,) = await lost_events(line)
    await line.worker.consume(Envelope(**event))
    assert (await line.conversation())["status"] == "active"


async def test_what_else_finds_no_queue_is_nobodys_loss(line: Line) -> None:
    for body in ("{}", "[]", json.dumps((await scene.postings(line.store))[0][2])):
        assert not await line.store.write(lose_unroutable, body)


async def test_how_a_transfer_ended_is_told_after_the_call(line: Line) -> None:
    intent_id = await line.ask_for_transfer()
    assert await line.send("call.ended", reason="caller") == DONE
    assert (await line.conversation())["status"] == "closed"
    assert await line.report(intent_id, "transfer_presumed", method_used="refer") == DONE
    (fact,) = await line.facts()
    assert (fact["state"], fact["session_status"]) == ("transfer_presumed", "closed")
    assert (await line.transcript())[-1] == "Call transferred."


async def test_an_event_that_overtook_the_call_comes_again(store: Store) -> None:
    line = Line(store)
    for kind in ("call.ended", "user.speech"):
        verdict = await line.send(kind, reason="caller", text="hello")
        assert verdict.ack is Ack.RETRY
    late = MOMENT - OVERTAKEN_SECONDS * SECOND
    assert (await line.send("user.speech", text="hello", at=late)).ack is Ack.DEAD


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        ("call.ended", {"reason": "refused"}),
        ("user.dtmf", {"digits": "4711"}),
        ("intent.outcome", {"intent_id": "i", "state": "canceled", "seq": 0}),
    ],
)
async def test_of_a_call_that_was_refused_nothing_is_kept(store: Store, kind: str, event: JsonObject) -> None:
    line = Line(store)
    await line.start(to="reception")
    before = left_out(kind, "unknown")
    assert await line.send(kind, at=MOMENT - OVERTAKEN_SECONDS * SECOND, **event) == DONE
    assert left_out(kind, "unknown") == before + 1


async def test_what_comes_of_nothing_is_counted(line: Line) -> None:
    before = left_out("user.dtmf", "late")
    assert await line.send("call.ended", reason="caller") == DONE
    assert await line.send("user.dtmf", digits="4711", ended_by="timeout") == DONE
    assert left_out("user.dtmf", "late") == before + 1


async def test_nothing_is_heard_after_the_end(line: Line) -> None:
    for _ in range(2):
        assert await line.send("call.ended", reason="caller", event_id=named_id("end")) == DONE
    assert await line.send("user.dtmf", digits="1") == DONE
    assert await line.send("user.interrupted", spoken_text="We") == DONE
    assert await line.transcript() == ["Call started.", "Call ended: caller."]
    assert not await line.told("hang_up")


@pytest.mark.parametrize("seen", [True, False], ids=["known", "ended meanwhile"])
async def test_what_was_said_as_the_call_ended_is_noted_and_begins_nothing(
    line: Line, seen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await line.store.read(announced, CALL)
    assert await line.send("call.ended", reason="caller") == DONE
    if not seen:

        async def as_it_was(_tx: Tx, _call_id: str) -> Call | None:
            return before

        monkeypatch.setattr("workers.voice.announced", as_it_was)
    said, pressed = named_id("said"), named_id("pressed")
    for _ in range(2):
        assert await line.send("user.speech", text="Bye then.", final=True, event_id=said) == DONE
        assert await line.send("user.dtmf", digits="12", ended_by="timeout", event_id=pressed) == DONE
        assert await line.send("user.speech", text="By", final=False) == DONE
    assert (await line.transcript())[1:] == [
        "Call ended: caller.",
        "The caller said as the call ended: Bye then.",
    ]
    assert await scene.posted(line.store, "message.inbound") == []


@pytest.mark.parametrize(
    "broken",
    [
        {"kind": "user.speech", "text": "x" * 100_001},
        {"kind": "user.dtmf", "digits": "1" * 1_001},
        {"kind": "call.started", "host_id": "a.b", "from": THEIRS, "to": OURS},
        {"kind": "intent.outcome", "intent_id": "i", "state": "x" * 65},
        {"kind": "call.dreamt"},
        {"kind": "call.accepted", "conversation_id": new_id(), "end_user_id": new_id()},
    ],
)
async def test_what_is_not_valid_is_a_dead_letter(line: Line, broken: JsonObject) -> None:
    data = dict(broken)
    verdict = await line.send(data.pop("kind"), **data)
    assert verdict.ack is Ack.DEAD
    assert THEIRS not in verdict.reason
    assert "xxx" not in verdict.reason


async def test_an_operator_is_heard_and_a_closed_call_is_hung_up(line: Line) -> None:
    conversation_id = (await line.conversation())["id"]
    await scene.operate(line.store, conversation_id, "This is Olga.", take_over=True)
    (said,) = await line.told("say")
    assert said["payload"]["text"] == "This is Olga."
    assert said["turn_id"] is None
    await line.store.write(close, ORGANIZATION, conversation_id, "done", PARTITIONS)
    (hung_up,) = await line.told("hang_up")
    assert hung_up["payload"] == {"reason": "closed"}
    assert await line.report(hung_up["intent_id"], "done") == DONE


async def test_a_call_of_a_test_is_told_to_nobody(line: Line) -> None:
    intent_id = await line.ask_for_transfer()
    await scene.become(line.store, (await line.conversation())["id"], SessionType.TEST)
    await line.report(intent_id, "transferred")
    assert await line.facts() == []
