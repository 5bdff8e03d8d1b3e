"""What is remembered of a person may be seen, corrected and forgotten, and is what agents are told."""

from collections.abc import Awaitable

import pytest

from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.ids import named_id
from gateway.domain.message import InboundMessage
from gateway.domain.ports.store import Store, Tx
from gateway.service.browse import Position
from gateway.service.close import close
from gateway.service.contents import ROWS
from gateway.service.merge import merge
from gateway.service.remember import (
    Correction,
    correct_memory,
    forget_memories,
    forget_memory,
    memories_page,
)
from tests.contract.conftest import MovableStore
from tests.contract.scene import ORGANIZATION, PARTITIONS, answer, arrive, claimed, mail, rows, sms
from workers.closings import Closer

ELSEWHERE = named_id("another organisation")


async def remembered(store: MovableStore, message: InboundMessage) -> tuple[str, str]:
    """A conversation that is over and remembered: (person, conversation)."""
    accepted = await arrive(store, message)
    await answer(store, await claimed(store, accepted.conversation_id))
    await store.write(close, ORGANIZATION, accepted.conversation_id, None, PARTITIONS)
    await Closer(store).look()
    store.advance(1)
    return accepted.end_user_id, accepted.conversation_id


async def listed(store: Store, person: str, limit: int = 50) -> list[str]:
    seen: list[str] = []
    after: Position | None = None
    while True:
        page = await store.read(memories_page, ORGANIZATION, person, after, limit)
        seen += [memory.conversation_id for memory in page.items]
        after = page.end
        if not page.has_more:
            return seen


async def told(store: Store, message: InboundMessage) -> list[str]:
    accepted = await arrive(store, message)
    claim = await claimed(store, accepted.conversation_id)
    return [memory["text"] for memory in claim.request.memory]


async def test_memories_of_all_channels_are_one_person_s(store: MovableStore) -> None:
    texted, one = await remembered(store, sms("one"))
    mailed, two = await remembered(store, mail("two"))
    assert await listed(store, texted) == [one]
    await store.write(merge, ORGANIZATION, texted, mailed)
    _, three = await remembered(store, sms("three"))
    for person in (texted, mailed):
        assert await listed(store, person) == await listed(store, person, limit=1) == [three, two, one]
    corrected = await store.write(correct_memory, ORGANIZATION, texted, two, Correction(text="Likes tea."))
    assert (corrected.conversation_id, corrected.channel, corrected.text) == (two, "email", "Likes tea.")
    await store.write(forget_memory, ORGANIZATION, mailed, one)
    newest, oldest = await told(store, mail("four"))
    assert "three" in newest
    assert oldest == "Likes tea."
    # what was said stays
    assert await rows(store, "test_messages", id=one) != []


async def refusal(unit: Awaitable[object]) -> ErrorCode:
    with pytest.raises(GatewayError) as refused:
        await unit
    return refused.value.code


async def test_nobody_else_s_memory_is_touched(store: MovableStore) -> None:
    person, one = await remembered(store, sms("one"))
    other, two = await remembered(store, sms("two", sender="+14155550199"))
    for unit in (
        store.write(correct_memory, ORGANIZATION, person, two, Correction(text="text")),
        store.write(forget_memory, ORGANIZATION, other, one),
        store.write(correct_memory, ELSEWHERE, person, one, Correction(text="text")),
        store.write(forget_memory, ELSEWHERE, person, one),
        forget_memories(store, ELSEWHERE, person),
        store.read(memories_page, ELSEWHERE, person, None, 50),
    ):
        assert await refusal(unit) is ErrorCode.NOT_FOUND
    await forget_memories(store, ORGANIZATION, person)
    assert (await listed(store, person), await listed(store, other)) == ([], [two])


async def test_all_memories_are_forgotten_in_steps(store: MovableStore) -> None:
    person, _ = await remembered(store, sms("one"))

    async def many(tx: Tx) -> None:
        for number in range(ROWS + 10):
            await tx.run(
                "memory_insert",
                conversation_id=named_id(f"conversation {number}"),
                organization_id=ORGANIZATION,
                end_user_id=person,
                channel="sms",
                text="text",
                facts=None,
            )

    await store.write(many)
    await forget_memories(store, ORGANIZATION, person)
    assert await rows(store, "test_memories") == []
