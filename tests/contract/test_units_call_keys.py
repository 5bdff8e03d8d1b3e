"""Keys that a host reports one by one become inputs, whichever process hears of them, once."""

from typing import Any

import pytest

from gateway.domain.conversation import SessionType
from gateway.domain.digits import DEFAULT_DIGITS
from gateway.domain.envelope import Envelope
from gateway.domain.ids import new_id
from gateway.domain.ports.bus import DONE, Ack
from gateway.domain.ports.store import Tx
from gateway.service.call_keys import press
from tests.contract import scene
from tests.contract.conftest import MovableStore as Store
from tests.contract.host_line import CALL, HOST, Line
from workers.announced import Call, announced

PIN: dict[str, Any] = {
    "max_digits": 4,
    "termination_digit": "#",
    "inter_digit_timeout_ms": 2000,
    "prefix": "PIN ",
}


@pytest.fixture
async def line(store: Store) -> Line:
    """A call at a host that reports keys, and only keys."""
    line = Line(store)
    await line.start(capabilities=["dtmf_events"])
    return line


async def pressed(line: Line, keys: str) -> None:
    """Keys, one by one."""
    for key in keys:
        assert await line.send("user.dtmf", digits=key, ended_by=None) == DONE


async def rung(line: Line) -> None:
    """What was to be looked at later is looked at now."""
    for event in await scene.posted(line.store, "voice.due"):
        assert await line.worker.consume(Envelope(**event)) == DONE


async def ask_for_keys(line: Line, *, meanwhile: str = "", **spec: Any) -> str:
    """The agent wants a number, and the caller types ahead; the intent's id."""
    assert await line.send("user.speech", text="my account", final=True) == DONE
    intent_id = new_id()
    claim = await scene.claimed(line.store, (await line.conversation())["id"])
    await pressed(line, meanwhile)
    wanted = {"intent_id": intent_id, "kind": "collect_dtmf", "payload": spec}
    await scene.answer(line.store, claim, "Your PIN?", intents=(wanted,))
    return intent_id


async def test_keys_are_collected_as_the_agent_asked(line: Line) -> None:
    intent_id = await ask_for_keys(line, **PIN)
    assert await line.told("collect_dtmf") == []
    await pressed(line, "12345")
    assert (await line.transcript())[-1] == "PIN 1234"
    await rung(line)
    assert (await line.transcript())[-1] == "PIN 1234"
    line.store.advance(4)
    await rung(line)
    assert (await line.transcript())[-1] == "5"  # the wish held for one input
    row = await line.conversation()
    timeline = await scene.rows(line.store, "test_timeline", id=row["id"])
    assert [e["body"].count('"collected"') for e in timeline if e["kind"] == "intent"] == [0, 1]
    assert intent_id in str(timeline)
    inputs = await scene.rows(line.store, "test_inputs", id=row["id"])
    assert [i["reply_to"] for i in inputs] == [f"voice:{HOST}:sentences:{CALL}"] * 2
    await scene.consistent(line.store, row["id"])


async def test_keys_are_all_when_no_more_come(line: Line) -> None:
    await pressed(line, "77")
    line.store.advance(2)
    await rung(line)
    assert (await line.transcript())[-1] == "Call started."
    line.store.advance(1)
    await rung(line)
    await rung(line)
    assert (await line.transcript())[-1] == "77"
    messages = await scene.rows(line.store, "test_messages", id=(await line.conversation())["id"])
    assert '"timeout"' in str(messages[-1]["metadata"])


async def test_the_same_key_twice_is_one_and_two_keys_are_two(line: Line) -> None:
    event_id = new_id()
    for _ in range(2):
        assert await line.send("user.dtmf", digits="4", ended_by=None, event_id=event_id) == DONE
    await pressed(line, "4#")
    assert (await line.transcript())[-1] == "44"


def numbered(keys: str) -> list[tuple[int, str]]:
    """Keys with their numbers."""
    return list(enumerate(keys))


@pytest.mark.parametrize("order", [[1, 0, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3], [0, 1, 2, 4, 3]])
async def test_numbered_keys_are_one_input_whichever_process_gets_them_first(
    line: Line, order: list[int]
) -> None:
    workers, keys = (line, Line(line.store)), numbered("1234#")
    for place, which in enumerate(order):
        n, key = keys[which]
        sent: dict[str, Any] = {"digits": key, "ended_by": None, "n": n, "event_id": new_id()}
        for _ in range(2):
            assert await workers[place % 2].send("user.dtmf", **sent) == DONE
        line.store.advance(1)
    assert (await line.transcript())[1:] == ["1234"]


async def test_a_key_that_comes_after_a_retry_belongs_where_it_was_pressed(line: Line) -> None:
    await pressed_as(line, "12#", 0, 2)
    line.store.advance(6)
    await rung(line)
    assert (await line.transcript())[1:] == []
    await pressed_as(line, "12#", 1)
    assert (await line.transcript())[1:] == ["12"]


async def test_a_key_that_never_comes_is_not_waited_for_for_ever(line: Line) -> None:
    await pressed_as(line, "1x3#", 0, 2, 3)
    line.store.advance(7)
    await rung(line)
    assert (await line.transcript())[1:] == ["13"]
    await pressed_as(line, "1x3#4#", 4, 5)
    assert (await line.transcript())[1:] == ["13", "4"]


async def test_what_is_said_and_the_end_come_after_the_keys_that_wait(line: Line) -> None:
    await pressed_as(line, "12", 1)
    assert await line.send("user.speech", text="never mind", final=True) == DONE
    line.store.advance(3)
    await rung(line)
    assert (await line.transcript())[1:] == ["2", "never mind"]
    await pressed_as(line, "1234", 3)
    assert await line.send("call.ended", reason="caller") == DONE
    assert (await line.transcript())[-2] == "Keys were pressed and not finished."


async def test_numbers_go_on_after_a_transfer(line: Line) -> None:
    intent_id = await line.ask_for_transfer()
    await pressed_as(line, "12", 0, 1)
    await line.report(intent_id, "failed", reason="busy")
    await pressed_as(line, "123#", 2, 3)
    assert (await line.transcript())[-1] == "3"


async def pressed_as(line: Line, keys: str, *which: int) -> None:
    """Some of these keys, each with its number, in this order."""
    for n in which:
        assert await line.send("user.dtmf", digits=keys[n], ended_by=None, n=n) == DONE


async def test_what_was_complete_when_its_process_died_is_accepted_by_another(line: Line) -> None:
    await pressed(line, "12")
    event_id = new_id()
    await line.store.write(press, (HOST, CALL), event_id, "#")  # and no more of that process
    other = Line(line.store)
    assert await other.send("user.dtmf", digits="#", ended_by=None, event_id=event_id) == DONE
    assert await other.send("user.dtmf", digits="#", ended_by=None, event_id=event_id) == DONE
    assert (await line.transcript()).count("12") == 1


async def test_what_was_pressed_before_it_was_asked_for_counts(line: Line) -> None:
    await ask_for_keys(line, meanwhile="1234", **PIN)
    await rung(line)
    assert (await line.transcript())[-1] == "PIN 1234"


async def test_what_is_said_between_keys_comes_after_them(line: Line) -> None:
    await pressed(line, "1")
    assert await line.send("user.speech", text="wait", final=True) == DONE
    await pressed(line, "2#")
    assert (await line.transcript())[-2:] == ["12", "wait"]
    assert await line.send("user.speech", text="done", final=True) == DONE
    assert (await line.transcript())[-1] == "done"


async def test_keys_in_a_transfer_are_nobodys(line: Line) -> None:
    intent_id = await line.ask_for_transfer()
    await pressed(line, "2#")
    await line.report(intent_id, "failed", reason="busy")
    await pressed(line, "3#")
    said = await line.transcript()
    assert said[-1] == "3"
    assert "2" not in said


async def test_keys_that_were_not_finished_are_noted_without_them(line: Line) -> None:
    await pressed(line, "99")
    assert await line.send("call.ended", reason="caller") == DONE
    said = await line.transcript()
    assert said[-2:] == ["Keys were pressed and not finished.", "Call ended: caller."]
    messages = await scene.rows(line.store, "test_messages", id=(await line.conversation())["id"])
    assert "99" not in str([(m["content"], m["metadata"]) for m in messages if "Keys" in m["content"]])
    await rung(line)
    assert await line.send("user.dtmf", digits="1") == DONE


async def test_keys_that_lose_the_race_with_the_end_are_kept_nowhere(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await line.store.read(announced, CALL)
    assert await line.send("call.ended", reason="caller") == DONE

    async def as_it_was(_tx: Tx, _call_id: str) -> Call | None:
        return before

    monkeypatch.setattr("workers.voice.announced", as_it_was)
    await pressed(line, "4711#")
    (call,) = await scene.rows(line.store, "call_by_id", provider=HOST, call_id=CALL)
    assert call["keys"] is None
    assert await scene.posted(line.store, "voice.due") == []


async def test_a_host_that_collects_digits_itself_is_asked_to(store: Store) -> None:
    line = Line(store)
    await line.start(capabilities=["dtmf_events", "dtmf_collected"])
    intent_id = await ask_for_keys(line, **PIN)
    (asked,) = await line.told("collect_dtmf")
    assert (asked["intent_id"], asked["payload"]) == (intent_id, {"expects_input": True, **PIN})
    assert await line.send("user.dtmf", digits="PIN 1234", ended_by="max_digits") == DONE
    assert (await line.transcript())[-1] == "PIN 1234"


async def test_a_host_is_told_all_of_how_digits_are_collected(store: Store) -> None:
    line = Line(store)
    await line.start(capabilities=["dtmf_collected"])
    await ask_for_keys(line, max_digits=6, prefix=None)
    (asked,) = await line.told("collect_dtmf")
    assert asked["payload"] == {**DEFAULT_DIGITS.model_dump(), "expects_input": True, "max_digits": 6}


async def test_a_host_that_hears_no_keys_is_not_asked_for_them(store: Store) -> None:
    line = Line(store)
    await line.start(capabilities=["refer"])
    await ask_for_keys(line, **PIN)
    assert await line.told("collect_dtmf") == []
    messages = await scene.rows(store, "test_messages", id=(await line.conversation())["id"])
    assert "capability_downgrade" in messages[-1]["metadata"]
    await scene.consistent(store, (await line.conversation())["id"])


async def test_what_is_no_key_is_left_out_and_what_is_no_call_is_not_looked_at(line: Line) -> None:
    await pressed(line, "x1y#")
    assert (await line.transcript())[-1] == "1"
    for wrong in ({}, {"host_id": HOST, "call_id": "other"}):
        due = Envelope(id=new_id(), type="voice.due", occurred_at="2026-01-01T00:00:00Z", data=wrong)
        assert (await line.worker.consume(due)).ack is (Ack.DONE if wrong else Ack.DEAD)
    await scene.become(line.store, (await line.conversation())["id"], SessionType.TEST)
