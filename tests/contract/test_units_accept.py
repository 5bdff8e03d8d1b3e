"""Accept: durable once, one person and one conversation per address, messages numbered without gaps."""

import asyncio
import json
from dataclasses import replace

import pytest

from gateway.domain.envelope import partition
from gateway.domain.message import Role, SenderAuth
from gateway.domain.ports.store import Store
from gateway.service.close import close
from gateway.service.outcomes import message_of_receipt
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import ORGANIZATION, PARTITIONS, ROUTE, arrive, conversation, mail, rows, sms


async def test_a_new_message_is_stored_with_everything_it_needs(store: Store) -> None:
    accepted = await arrive(store, sms("hello"))
    assert not accepted.duplicate
    assert accepted.turn_expected
    row = await conversation(store, accepted.conversation_id)
    assert (row["status"], row["channel"], row["origin"]) == ("active", "sms", "inbound")
    assert row["end_user_id"] == accepted.end_user_id
    assert row["ttl_expires_at"] == row["updated_at"] + (ROUTE.idle_ttl or 0)
    (message,) = await rows(store, "test_messages", id=accepted.conversation_id)
    assert (message["seq"], message["role"], message["content"]) == (0, "user", "hello")
    ((exchange, key, bell),) = await scene.postings(store)
    assert (exchange, key) == ("inbound", str(partition(accepted.conversation_id, PARTITIONS)))
    assert bell["type"] == "message.inbound"
    assert bell["data"]["message_id"] == accepted.message_id
    await scene.consistent(store, accepted.conversation_id)


async def test_a_duplicate_changes_nothing_and_answers_the_same(store: Store) -> None:
    message = sms()
    first = await arrive(store, message)
    again = await asyncio.gather(*(arrive(store, message) for _ in range(5)))
    assert all(a.duplicate for a in again)
    assert {(a.conversation_id, a.message_id, a.end_user_id) for a in again} == {
        (first.conversation_id, first.message_id, first.end_user_id)
    }
    assert (await conversation(store, first.conversation_id))["message_count"] == 1
    assert len(await scene.postings(store)) == 1
    known = await store.read(message_of_receipt, ORGANIZATION, message.provider, message.provider_message_id)
    assert known == (first.conversation_id, first.message_id)


async def test_the_same_message_five_times_at_once_is_stored_once(store: Store) -> None:
    message = sms()
    accepted = await asyncio.gather(*(arrive(store, message) for _ in range(5)))
    assert sum(not a.duplicate for a in accepted) == 1
    assert len({a.message_id for a in accepted}) == 1


async def test_a_hundred_first_messages_at_once_make_one_person_and_one_conversation(store: Store) -> None:
    accepted = await asyncio.gather(*(arrive(store, sms(f"n {n}")) for n in range(100)))
    assert len({a.end_user_id for a in accepted}) == 1
    (conversation_id,) = {a.conversation_id for a in accepted}
    assert len(await rows(store, "test_end_users")) == 1
    assert (await conversation(store, conversation_id))["last_input"] == 100
    await scene.consistent(store, conversation_id)


async def test_messages_after_the_end_begin_the_next_conversation(store: Store) -> None:
    first = await arrive(store)
    await scene.answer(store, await scene.claimed(store, first.conversation_id))
    await store.write(close, ORGANIZATION, first.conversation_id, None, PARTITIONS)
    later = await asyncio.gather(*(arrive(store) for _ in range(5)))
    (successor,) = {a.conversation_id for a in later}
    assert successor != first.conversation_id
    row = await conversation(store, successor)
    assert json.loads(row["metadata"]) == {"previous_conversation_id": first.conversation_id}
    assert {a.end_user_id for a in later} == {first.end_user_id}


async def test_each_of_our_numbers_has_its_own_conversation(store: Store) -> None:
    first = await arrive(store)
    other = await arrive(store, scene.to(sms(), "+15550199"))
    assert other.end_user_id == first.end_user_id
    assert other.conversation_id != first.conversation_id


@pytest.mark.parametrize("auth", [SenderAuth.UNVERIFIED, SenderAuth.FAILED])
async def test_unproven_mail_belongs_to_a_person_of_its_own(store: Store, auth: SenderAuth) -> None:
    proven = await arrive(store, mail())
    claims = await arrive(store, mail(auth=auth))
    assert claims.end_user_id != proven.end_user_id
    assert (await conversation(store, claims.conversation_id))["unverified"]
    again = await arrive(store, mail(auth=auth))
    assert again.end_user_id == claims.end_user_id


@pytest.mark.parametrize("by_token", [True, False])
async def test_mail_joins_its_thread_only_from_the_same_sender(store: Store, by_token: bool) -> None:
    first_mail = mail()
    first = await arrive(store, first_mail)
    thread: dict[str, object] = (
        {"conversation_id": first.conversation_id}
        if by_token
        else {"answers": ("<unknown@example.org>", first_mail.provider_message_id)}
    )
    joined = await arrive(store, mail(**thread))  # type: ignore[arg-type]
    assert joined.conversation_id == first.conversation_id
    stranger = await arrive(store, mail(sender="eve@example.com", **thread))  # type: ignore[arg-type]
    assert stranger.conversation_id != first.conversation_id
    for auth in (SenderAuth.UNVERIFIED, SenderAuth.FAILED):
        forged = await arrive(store, mail(auth=auth, **thread))  # type: ignore[arg-type]
        assert forged.conversation_id != first.conversation_id
    proven = await arrive(store, mail(auth=SenderAuth.REPLY_TOKEN, **thread))  # type: ignore[arg-type]
    assert proven.conversation_id == first.conversation_id
    await scene.consistent(store, first.conversation_id)


async def test_a_reply_that_names_no_mail_is_known_by_its_subject(store: MovableStore) -> None:
    first = await arrive(store, mail())
    reply = replace(mail("more"), answers_subject="a question")
    assert (await arrive(store, reply)).conversation_id == first.conversation_id
    for other in (
        replace(mail(), answers_subject="another question"),
        replace(mail(sender="eve@example.com"), answers_subject="a question"),
        replace(mail(auth=SenderAuth.UNVERIFIED), answers_subject="a question"),
    ):
        assert (await arrive(store, other)).conversation_id != first.conversation_id
    store.advance(8 * 86_400)
    late = replace(mail("late"), answers_subject="a question")
    assert (await arrive(store, late)).conversation_id != first.conversation_id


async def test_a_thread_is_known_by_any_of_its_names(store: Store) -> None:
    mark = "thread-index:00"
    first = await arrive(store, replace(mail(), thread_names=(mark,)))
    again = await arrive(store, replace(mail(answers=(mark,)), thread_names=(mark,)))
    assert again.conversation_id == first.conversation_id


async def test_mail_to_an_ended_thread_begins_the_next_conversation(store: Store) -> None:
    first_mail = mail()
    first = await arrive(store, first_mail)
    await scene.answer(store, await scene.claimed(store, first.conversation_id))
    await store.write(close, ORGANIZATION, first.conversation_id, None, PARTITIONS)
    next_one = await arrive(store, mail(answers=(first_mail.provider_message_id,)))
    row = await conversation(store, next_one.conversation_id)
    assert json.loads(row["metadata"]) == {"previous_conversation_id": first.conversation_id}


async def test_an_event_of_a_call_is_noted_even_after_the_end_and_rings_nobody(store: Store) -> None:
    first = await arrive(store, scene.call("hello", "CA1"))
    await scene.answer(store, await scene.claimed(store, first.conversation_id))
    await store.write(close, ORGANIZATION, first.conversation_id, None, PARTITIONS)
    await scene.clear_outbox(store)
    event = scene.call("the call ended", "CA1", role=Role.SYSTEM_EVENT)
    noted = await arrive(store, event)
    assert noted.conversation_id == first.conversation_id
    assert not noted.turn_expected
    assert (await arrive(store, event)).conversation_id == first.conversation_id
    assert (await rows(store, "test_messages", id=first.conversation_id))[-1]["content"] == "the call ended"
    assert await scene.postings(store) == []
    await scene.consistent(store, first.conversation_id)


async def test_a_message_while_a_person_has_the_conversation_waits(store: Store) -> None:
    first = await arrive(store)
    await scene.operate(store, first.conversation_id, take_over=True)
    waiting = await arrive(store)
    assert waiting.conversation_id == first.conversation_id
    assert not waiting.turn_expected
