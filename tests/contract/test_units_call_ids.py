"""Calls to which hosts give the id of another one: nothing of these comes into its conversation."""

import logging

import pytest

from gateway.domain.clock import SECOND
from gateway.domain.identity import Address, ContactKind
from gateway.domain.ids import named_id
from gateway.domain.ports.bus import DONE
from gateway.service.calls import RIVAL_SECONDS, end_call
from gateway.service.people import attach_contact
from tests.contract.conftest import MovableStore as Store
from tests.contract.host_line import CALL, HOST, Line, left_out
from tests.contract.scene import ORGANIZATION
from workers.announced import announced
from workers.voice import LATE_SECONDS


@pytest.fixture
async def line(store: Store) -> Line:
    """A call that is up."""
    line = Line(store)
    await line.start()
    return line


async def test_another_host_that_uses_the_id_of_a_call_changes_nothing_of_it(line: Line) -> None:
    assert await line.send("user.speech", text="billing please", final=True, host_id=HOST) == DONE
    await line.start(host_id="host-2")
    (refused,) = await line.told("call.refused")
    assert refused["call_id"] == CALL
    before, foreign = await line.transcript(), left_out("call.ended", "foreign")
    for kind, said in (
        ("user.speech", {"text": "my PIN is 4711", "final": True}),
        ("user.dtmf", {"digits": "4711"}),
        ("user.interrupted", {"spoken_ms": 0}),
        ("call.ended", {"reason": "caller"}),
    ):
        assert await line.send(kind, host_id="host-2", **said) == DONE
    assert await line.transcript() == before == ["Call started.", "billing please"]
    assert (await line.conversation())["status"] == "active"
    assert left_out("call.ended", "foreign") == foreign + 1
    assert await line.send("call.ended", reason="caller", host_id=HOST) == DONE
    assert (await line.conversation())["status"] == "closed"


async def test_the_end_of_a_refused_call_does_not_end_the_one_it_shares_its_id_with(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    """Its host names nobody. Whichever of the two ends first, the call is over once both have ended."""
    with caplog.at_level(logging.WARNING, "workers.voice"):
        await line.start(host_id="host-2")
    assert [vars(one)["action"] for one in caplog.records] == ["voice.call_id_taken"]
    before, end = left_out("call.ended", "rival"), named_id("end")
    for _ in range(2):
        assert await line.send("call.ended", reason="refused", event_id=end) == DONE
    assert left_out("call.ended", "rival") == before + 2
    assert (await line.conversation())["status"] == "active"
    assert await line.transcript() == ["Call started."]
    assert await line.send("call.ended", reason="caller") == DONE
    assert (await line.conversation())["status"] == "closed"


@pytest.mark.parametrize("host_id", [HOST, None], ids=["named", "late"])
async def test_a_host_that_is_known_ends_its_call_also_where_another_was_refused(
    line: Line, host_id: str | None
) -> None:
    """So does one that names nobody, once the refused call must be over."""
    await line.start(host_id="host-2")
    if host_id is None:
        line.store.advance(RIVAL_SECONDS + 1)
    assert await line.send("call.ended", reason="caller", host_id=host_id) == DONE
    assert (await line.conversation())["status"] == "closed"


async def test_the_end_of_a_refused_call_whose_host_names_itself_is_expected_no_more(line: Line) -> None:
    """What the other host, which names nobody, says of an end is about its own call then."""
    await line.start(host_id="host-2")
    assert await line.send("call.ended", reason="refused", host_id="host-2") == DONE
    assert (await line.conversation())["status"] == "active"
    assert await line.send("call.ended", reason="caller") == DONE
    assert (await line.conversation())["status"] == "closed"


async def test_a_host_that_gives_two_callers_one_id_has_the_second_one_refused(line: Line) -> None:
    """They would be in the first one's conversation."""
    await line.start(**{"from": "+14155550177"})
    (refused,) = await line.told("call.refused")
    assert refused["reason"] == "another call has had this call_id"
    assert await line.send("call.ended", reason="refused") == DONE
    assert (await line.conversation())["status"] == "active"


async def test_a_host_cannot_take_up_again_a_call_that_is_over(line: Line) -> None:
    """Nor does anything of the second one come into the conversation of the first."""
    assert await line.send("call.ended", reason="caller") == DONE
    await line.start()
    assert len(await line.told("call.refused")) == 1
    call = await line.store.read(announced, CALL)
    assert call is not None
    assert call.ended_at is not None
    late = call.ended_at + LATE_SECONDS * SECOND
    assert await line.send("user.speech", text="Bye then.", final=True, at=late) == DONE
    before = await line.transcript()
    assert before[-1] == "The caller said as the call ended: Bye then."
    late += SECOND
    assert await line.send("user.speech", text="hello, is it you?", final=True, at=late) == DONE
    assert await line.send("call.ended", reason="caller", at=late) == DONE
    assert await line.transcript() == before


async def test_an_announcement_may_come_twice_also_of_who_rings_back_from_another_phone(line: Line) -> None:
    """Their conversation has the number from which they called first."""
    first = await line.conversation()
    await line.store.write(end_call, HOST, CALL)
    other, person = "+14155550178", first["end_user_id"]
    phone = Address(ContactKind.PHONE, other)
    await line.store.write(attach_contact, ORGANIZATION, person, phone, "olga")
    for _ in range(2):
        await line.start(**{"call_id": "call-2", "from": other})
    accepted = [told["conversation_id"] for told in await line.told("call.accepted")]
    assert accepted == [first["id"]] * 3
    assert await line.told("call.refused") == []
