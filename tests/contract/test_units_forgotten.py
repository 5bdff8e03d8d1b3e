"""What is still told of somebody who was erased, or of what was deleted, brings nobody back."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from gateway.domain.delivery import PartState
from gateway.domain.mail_report import ReportKind
from gateway.domain.message import Role, SenderAuth
from gateway.domain.ports.bus import DONE
from gateway.service.accept import accept
from gateway.service.call_over import end_of_call
from gateway.service.close import close
from gateway.service.expire import forget
from gateway.service.forgotten import KEPT
from gateway.service.mail_reports import take_report
from gateway.service.purge import purge
from gateway.service.receive import receive
from tests.contract import scene
from tests.contract.conftest import MovableStore as Store
from tests.contract.host_line import CALL, Line
from tests.contract.scene import ORGANIZATION, PARTITIONS, ROUTE, arrive, mail, rows
from tests.contract.test_units_deliver import receipt
from tests.contract.test_units_deliver import sent as text_sent
from tests.contract.test_units_erase import erase
from tests.contract.test_units_mail_reports import report
from tests.contract.test_units_mail_reports import sent as mail_sent
from tests.contract.test_units_ring_back import WAITS, begin, event, over
from workers.timers import erase_all

Gone = Callable[[Store, str, str], Awaitable[None]]


async def just_erased(store: Store, conversation_id: str, end_user_id: str) -> None:
    """Nothing but the request itself was done yet."""
    await erase(store, end_user_id)


async def wholly_erased(store: Store, conversation_id: str, end_user_id: str) -> None:
    """Every step was."""
    await erase(store, end_user_id)
    await erase_all(store, PARTITIONS)


async def deleted(store: Store, conversation_id: str, end_user_id: str) -> None:
    """The person is there; the conversation is not."""
    await store.write(close, ORGANIZATION, conversation_id, None, PARTITIONS)
    await purge(store, ORGANIZATION, conversation_id)


async def everybody(store: Store) -> tuple[int, int]:
    """How many people have an address, and how many conversations are left to be read."""
    conversations = await rows(store, "test_conversations")
    return len(await rows(store, "test_contacts")), len([c for c in conversations if c["their_address"]])


@pytest.mark.parametrize("gone", [just_erased, wholly_erased, deleted])
async def test_the_end_of_a_call_brings_nobody_back(store: Store, gone: Gone) -> None:
    begun = await begin(store, "CA1")
    await gone(store, begun.conversation_id, begun.end_user_id)
    before = await everybody(store)
    for told in (
        event("CA1", "call.ended", reason="completed"),
        event("CA1", "intent.outcome", state="failed", intent_id="i-1"),
        event("CA1", "call.started", direction="inbound"),
        scene.call("Hello, how can I help you?", "CA1", role=Role.ASSISTANT),
    ):
        accepted = await store.write(accept, told, ROUTE)
        assert (accepted.left_out, accepted.conversation_id, accepted.end_user_id) == (True, "", "")
    assert await everybody(store) == before
    assert before[1] == 0


@pytest.mark.parametrize("gone", [just_erased, wholly_erased])
async def test_an_end_that_overtook_its_beginning_is_remembered(store: Store, gone: Gone) -> None:
    ended = await store.write(accept, event("CA1", "call.ended", reason="completed"), ROUTE)
    assert not ended.left_out  # nobody was erased: the beginning comes in a moment
    await gone(store, ended.conversation_id, ended.end_user_id)
    assert (await begin(store, "CA1")).left_out
    assert await everybody(store) == (0, 0)


async def test_every_call_of_a_conversation_is_remembered(store: Store) -> None:
    first = await begin(store, "CA1")
    await over(store, "CA1")
    second = await begin(store, "CA2")
    assert second.conversation_id == first.conversation_id
    await wholly_erased(store, first.conversation_id, first.end_user_id)
    for call_id in ("CA1", "CA2"):
        late = await store.write(accept, event(call_id, "intent.outcome", state="failed"), ROUTE)
        assert late.left_out
    other = await store.write(accept, event("CA3", "call.ended", reason="completed"), ROUTE)
    assert not other.left_out


async def test_who_speaks_on_is_somebody_new_whose_call_ends_as_any_other(store: Store) -> None:
    begun = await begin(store, "CA1")
    await wholly_erased(store, begun.conversation_id, begun.end_user_id)
    said = await arrive(store, scene.call("still there?", "CA1"))
    assert said.end_user_id != begun.end_user_id
    ended = await store.write(accept, event("CA1", "call.ended", reason="completed"), ROUTE)
    assert ended.conversation_id == said.conversation_id
    await store.write(
        end_of_call, ORGANIZATION, ended.conversation_id, replace(WAITS, ring_back_seconds=0), PARTITIONS
    )
    assert (await scene.conversation(store, said.conversation_id))["status"] == "closed"


async def test_more_open_conversations_than_a_request_ends(store: Store) -> None:
    begun = await begin(store, "CA1")
    for number in range(12):
        await begin(store, f"CB{number}", recipient=f"+1555010{number:04}")
    await erase(store, begun.end_user_id)
    assert (await scene.conversation(store, begun.conversation_id))["ended_at"] is None
    assert (await store.write(accept, event("CA1", "call.ended", reason="completed"), ROUTE)).left_out
    assert (await everybody(store))[0] == 0


async def test_a_trace_names_nobody_and_goes_after_a_month(store: Store) -> None:
    begun = await begin(store, "CA1")
    await wholly_erased(store, begun.conversation_id, begun.end_user_id)
    (trace,) = await rows(store, "test_forgotten_calls")
    assert len(trace["call_hash"]) == 64
    assert set(trace) == {"organization_id", "call_hash", "forgotten_at"}
    store.advance(KEPT / 1_000_000 - 10)
    await store.write(forget)
    assert await rows(store, "test_forgotten_calls") == [trace]
    store.advance(20)
    await store.write(forget)
    assert await rows(store, "test_forgotten_calls") == []


@pytest.mark.parametrize("gone", [just_erased, wholly_erased])
async def test_what_a_host_still_tells_is_no_dead_letter(store: Store, gone: Gone) -> None:
    line = Line(store)
    await line.start()
    conversation = await line.conversation()
    await gone(store, conversation["id"], conversation["end_user_id"])
    assert await line.send("user.speech", text="my number is 17", final=True) == DONE
    assert await line.send("call.ended", reason="caller_hangup") == DONE
    await line.start()
    (refused,) = await line.told("call.refused")
    assert refused["call_id"] == CALL
    assert await everybody(store) == (0, 0)
    assert await rows(store, "test_dead_letters") == []


@pytest.mark.parametrize("gone", [just_erased, wholly_erased, deleted])
async def test_what_a_machine_answers_to_mail_of_ours_brings_nobody_back(store: Store, gone: Gone) -> None:
    mailed = await arrive(store, mail())
    await gone(store, mailed.conversation_id, mailed.end_user_id)
    before = await everybody(store)
    away = replace(mail("I am away.", conversation_id=mailed.conversation_id), role=Role.SYSTEM_EVENT)
    for auth in (SenderAuth.VERIFIED, SenderAuth.UNVERIFIED):
        assert (await arrive(store, replace(away, sender_auth=auth))).left_out
    assert await everybody(store) == before
    # a machine that answers no mail of ours, and a person, are taken as ever
    assert not (await arrive(store, replace(away, conversation_id=None))).left_out
    assert not (await arrive(store, mail("hello again", conversation_id=mailed.conversation_id))).left_out


async def test_a_machine_is_noted_where_the_person_is_known(store: Store) -> None:
    mailed = await arrive(store, mail())
    away = replace(mail("I am away.", conversation_id=mailed.conversation_id), role=Role.SYSTEM_EVENT)
    assert (await arrive(store, away)).conversation_id == mailed.conversation_id


@pytest.mark.parametrize("gone", [just_erased, wholly_erased, deleted])
async def test_what_is_reported_of_texts_and_mails_brings_nobody_back(store: Store, gone: Gone) -> None:
    texted, (part,) = await text_sent(store, "fine")
    mailed, delivery = await mail_sent(store)
    for conversation_id in (texted, mailed):
        row = await scene.conversation(store, conversation_id)
        await gone(store, conversation_id, row["end_user_id"])
    before = await everybody(store)
    for state in (PartState.DELIVERED, PartState.FAILED):
        for by_reference in (True, False):
            await store.write(receive, receipt(part, state, by_reference=by_reference))
    for kind in ReportKind:
        await store.write(take_report, report(kind, "5.1.1", delivery_id=delivery["id"]))
    assert await everybody(store) == before
    assert before[1] == 0
    await erase_all(store, PARTITIONS)
    if gone is not deleted:
        assert await rows(store, "test_conversations") == []
