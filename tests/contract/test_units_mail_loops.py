"""Loops by mail that no header tells of: so many answers and no more, the same words are answered once."""

import json
from dataclasses import replace

import pytest

from gateway.domain.message import Role, SenderAuth
from gateway.service import admit
from gateway.service.accept import accept
from gateway.service.admit import A_DAY, LATELY, MOST_A_DAY, MOST_BEGUN, MOST_LATELY, MOST_OF_DOMAIN
from gateway.service.expire import forget
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import ROUTE, arrive, mail, rows


async def written(
    store: MovableStore, text: str, conversation_id: str | None, *, received_at: int = 0
) -> tuple[str, bool]:
    """A mail of the conversation, answered where it is to be; which conversation, and whether it was."""
    message = replace(mail(text, conversation_id=conversation_id), received_at=received_at)
    accepted = await arrive(store, message)
    if accepted.turn_expected:
        await scene.answer(store, await scene.claimed(store, accepted.conversation_id))
    return accepted.conversation_id, accepted.turn_expected


async def test_a_machine_that_answers_at_once_is_answered_five_times(store: MovableStore) -> None:
    conversation_id: str | None = None
    for number in range(MOST_LATELY):
        conversation_id, answered = await written(store, f"Thank you, number {number}", conversation_id)
        assert answered
    assert conversation_id is not None
    for number in range(2):
        same, answered = await written(store, f"Thank you again, number {number}", conversation_id)
        assert (same, answered) == (conversation_id, False)
    last = (await rows(store, "test_messages", id=conversation_id))[-1]
    assert json.loads(last["metadata"])["unanswered"] == "loop"
    elsewhere, answered = await written(store, "Something else", None)
    assert answered
    assert elsewhere != conversation_id
    store.advance(LATELY / 1_000_000 + 1)
    assert (await written(store, "A person after all", conversation_id))[1]
    await scene.consistent(store, conversation_id)


async def test_a_slow_machine_is_answered_twenty_times_a_day(store: MovableStore) -> None:
    conversation_id, _ = await written(store, "number 0", None)
    for number in range(1, MOST_A_DAY):
        store.advance(LATELY / 1_000_000)
        assert (await written(store, f"number {number}", conversation_id))[1]
    store.advance(LATELY / 1_000_000)
    assert not (await written(store, "one more", conversation_id))[1]
    store.advance(A_DAY / 1_000_000)
    assert (await written(store, "tomorrow", conversation_id))[1]


async def test_the_same_words_are_answered_once_an_hour(store: MovableStore) -> None:
    conversation_id, _ = await written(store, "Hello", None)
    answer = (await rows(store, "test_messages", id=conversation_id))[-1]
    assert (await written(store, "We got your mail.", conversation_id, received_at=answer["created_at"]))[1]
    assert not (await written(store, "We got your mail.", conversation_id))[1]
    assert (await written(store, "Really.", conversation_id))[1]
    store.advance(3601)
    assert (await written(store, "We got your mail.", conversation_id))[1]


async def test_a_robot_that_begins_anew_each_time_is_answered_a_hundred_times_an_hour(
    store: MovableStore,
) -> None:
    accepted = [await arrive(store, mail(f"alert {number}")) for number in range(MOST_BEGUN + 2)]
    assert [a.turn_expected for a in accepted] == [True] * MOST_BEGUN + [False] * 2
    store.advance(3601)
    assert (await arrive(store, mail("later"))).turn_expected


async def unproven(store: MovableStore, sender: str) -> bool:
    """Somebody claims to write from there; whether it is answered."""
    return (await arrive(store, mail("hello", sender=sender, auth=SenderAuth.UNVERIFIED))).turn_expected


async def test_our_answers_fill_no_domain_in_anothers_name(store: MovableStore) -> None:
    answered = [await unproven(store, f"box{number}@victim.net") for number in range(MOST_OF_DOMAIN + 2)]
    assert answered == [True] * MOST_OF_DOMAIN + [False] * 2
    assert await unproven(store, "ana@elsewhere.net")
    assert (await arrive(store, mail("it is me", sender="box1@victim.net"))).turn_expected
    store.advance(3601)
    assert await unproven(store, "box1@victim.net")


async def test_so_many_unproven_mails_are_answered_at_all(
    store: MovableStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admit, "MOST_UNPROVEN", 5)
    assert [await unproven(store, f"a@domain{number}.net") for number in range(7)] == [True] * 5 + [False] * 2
    assert (await arrive(store, mail("it is me"))).turn_expected
    store.advance(2 * 3600)
    await store.write(forget)
    assert await unproven(store, "a@domain1.net")


async def proven(store: MovableStore, sender: str, domain: str = "") -> str | None:
    """Somebody proves to write from there; why it is not answered."""
    message = replace(mail("hello", sender=sender), sender_domain=domain)
    route = replace(ROUTE, pace=replace(ROUTE.pace, domain_messages_per_hour=3))
    return (await store.write(accept, message, route)).unanswered


async def test_whoever_has_a_domain_has_not_any_number_of_answers(store: MovableStore) -> None:
    answered = [await proven(store, f"box{n}@mx{n}.evil.net", "evil.net") for n in range(5)]
    assert answered == [None, None, None, "flood", "flood"]
    assert await proven(store, "ana@other.net") is None
    assert await unproven(store, "box@evil.net")  # counted beside
    store.advance(3601)
    assert await proven(store, "box@evil.net", "evil.net") is None


async def test_a_domain_may_have_as_many_answers_as_it_likes(store: MovableStore) -> None:
    route = replace(ROUTE, pace=replace(ROUTE.pace, domain_messages_per_hour=0))
    for number in range(3):
        accepted = await store.write(accept, mail("hello", sender=f"box{number}@big.net"), route)
        assert accepted.turn_expected


async def test_what_is_not_answered_is_not_counted(store: MovableStore) -> None:
    await arrive(store, mail("it is me", sender="ana@big.net"))
    await arrive(store, replace(mail("I am away", sender="ana@big.net"), role=Role.SYSTEM_EVENT))
    await arrive(store, replace(mail("no reply", sender="ana@big.net"), answerable=False))
    again = mail("it is me again", sender="ana@big.net")
    for _ in range(2):
        await arrive(store, again)
    counted = {row["domain"]: row["mails"] for row in await rows(store, "test_counted_mail")}
    assert counted == {"proven:big.net": 2}
