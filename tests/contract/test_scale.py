"""Nothing that a client waits for takes longer because there is much of it (counted, see `effort`)."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.bench.crowd import Place, add_conversations, add_messages
from gateway.domain.clock import SECOND
from gateway.domain.conversation import Origin, Priority, SessionType, Status
from gateway.domain.handoff import ApprovalStatus, HandoffStatus
from gateway.domain.ids import named_id
from gateway.domain.message import Channel
from gateway.domain.ports.store import Tx
from gateway.domain.turn import Claim
from gateway.service.browse import (
    ConversationFilter,
    Position,
    approvals_page,
    conversations_page,
    handoffs_page,
)
from gateway.service.claim import claim_turn
from gateway.service.converse import NewConversation, conversation, create, messages_since, newest_messages
from gateway.service.follow import look
from gateway.service.respond import finish_turn
from gateway.service.submit import submit
from tests.contract.conftest import MovableStore
from tests.contract.effort import effort
from tests.contract.scene import (
    ORGANIZATION,
    PARTITIONS,
    ROUTE,
    answer,
    api_conversation,
    api_input,
    arrive,
    claimed,
    clear_outbox,
    operate,
    reply,
    say,
    sms,
    worker,
)

PLACE = Place(ORGANIZATION, ROUTE.agent_id)
MANY = 40_000
LONG = 10_000
NEWEST = 1_700_000_000 * SECOND
HOUR = 3600 * SECOND

FILTERS = {
    "all": ConversationFilter(),
    "those that wait": ConversationFilter(statuses=[Status.WAITING_FOR_HUMAN]),
    "those of several statuses": ConversationFilter(statuses=[Status.WAITING_FOR_HUMAN, Status.PAUSED]),
    "an hour": ConversationFilter(started_from=NEWEST - HOUR, started_before=NEWEST),
    "an hour long ago": ConversationFilter(started_before=NEWEST - MANY * 25 * SECOND),
    "after all": ConversationFilter(started_from=NEWEST + 2 * 24 * HOUR),
    "a person's": ConversationFilter(end_user_id=named_id("nobody")),
    "an agent's": ConversationFilter(assigned_agent_id=ROUTE.agent_id),
}


async def _create(tx: Tx, end_user_id: str) -> str:
    new = NewConversation(
        end_user_id=end_user_id,
        channel=Channel.API,
        our_address=None,
        session_type=SessionType.LIVE,
        priority=Priority.NORMAL,
        origin=Origin.INBOUND,
        external_session_id=None,
        subject=None,
        metadata={},
        context_variables={},
    )
    made, _ = await create(tx, new, ROUTE)
    return made.id


async def test_lists_and_new_conversations_do_not_grow_with_the_table(
    store: MovableStore, database_url: str
) -> None:
    known = await store.read(conversation, ORGANIZATION, await api_conversation(store))
    assert known is not None

    async def efforts() -> dict[str, int]:
        found = {
            name: (await effort(database_url, conversations_page, ORGANIZATION, wanted, None, 20))[1]
            for name, wanted in FILTERS.items()
        }
        middle = Position(NEWEST - MANY * 15 * SECOND, known.id)
        page = await effort(database_url, conversations_page, ORGANIZATION, ConversationFilter(), middle, 20)
        created = await effort(database_url, _create, known.end_user_id)
        return {**found, "a page in the middle": page[1], "create": created[1]}

    await add_conversations(database_url, PLACE, 60, waiting=2, newest=NEWEST - MANY * 30 * SECOND)
    small = await efforts()
    await add_conversations(database_url, PLACE, MANY, waiting=2, newest=NEWEST, first=60)
    large = await efforts()
    # a page that was not full before is now; no list reads more than one page of each status
    full = max(small.values()) * 2 + 100
    assert {name: number for name, number in large.items() if number > full} == {}
    assert large["create"] <= small["create"] * 1.2 + 10
    assert large["all"] <= small["all"] * 1.2 + 10


async def test_what_waits_for_operators_is_found_among_what_is_settled(
    store: MovableStore, database_url: str
) -> None:
    for number in range(30):
        accepted = await arrive(store, sms(sender=f"+1415555{number:04}"))
        await answer(store, await claimed(store, accepted.conversation_id))
        await operate(store, accepted.conversation_id, "Hi", take_over=True, return_control=number < 28)
    (handoffs, few), (_, requested) = [
        await effort(database_url, handoffs_page, ORGANIZATION, statuses, None, 50)
        for statuses in ([HandoffStatus.ACCEPTED], [HandoffStatus.REQUESTED])
    ]
    assert [item.status for item in handoffs.items] == [HandoffStatus.ACCEPTED] * 2
    assert requested <= few
    _, all_of_them = await effort(database_url, handoffs_page, ORGANIZATION, (), None, 50)
    assert few * 3 < all_of_them
    pending, _ = await effort(database_url, approvals_page, ORGANIZATION, [ApprovalStatus.PENDING], None, 50)
    assert pending.items == ()


Unit = Callable[[Tx, str], Awaitable[Any]]


async def _poll(tx: Tx, conversation_id: str) -> None:
    found = await conversation(tx, ORGANIZATION, conversation_id)
    assert found is not None
    assert len(await messages_since(tx, found.id, found.message_count - 4, 501)) == 3


async def _read(tx: Tx, conversation_id: str) -> None:
    found = await conversation(tx, ORGANIZATION, conversation_id)
    assert found is not None
    assert len(await newest_messages(tx, found, 20)) == 20


async def _follow(tx: Tx, conversation_id: str) -> None:
    found = await conversation(tx, ORGANIZATION, conversation_id)
    assert found is not None
    assert (await look(tx, ORGANIZATION, conversation_id, found.message_count - 5)).entries


@pytest.mark.parametrize("unit", [_poll, _read, _follow])
async def test_a_long_conversation_is_read_like_a_short_one(
    store: MovableStore, database_url: str, unit: Unit
) -> None:
    short, long = await api_conversation(store), await api_conversation(store)
    await add_messages(database_url, [short], 60, first=0, at=NEWEST)
    await add_messages(database_url, [long], LONG, first=0, at=NEWEST)
    _, little = await effort(database_url, unit, short)
    _, much = await effort(database_url, unit, long)
    assert much <= little * 1.2 + 10


async def test_a_turn_in_a_long_conversation_takes_what_it_takes_in_a_short_one(
    store: MovableStore, database_url: str
) -> None:
    took = []
    for count in (60, LONG):  # both are longer than what an agent is given
        conversation_id = await api_conversation(store)
        await add_messages(database_url, [conversation_id], count, first=0, at=NEWEST)
        said, worker_id = api_input("hello"), await worker(store)
        _, asked = await effort(database_url, submit, ORGANIZATION, conversation_id, said, PARTITIONS)
        claim, taken = await effort(database_url, claim_turn, conversation_id, worker_id)
        assert isinstance(claim, Claim), claim
        assert len(claim.request.messages) == 50
        done, finished = await effort(database_url, finish_turn, claim, reply("fine"), PARTITIONS)
        assert done.message_seqs == (count, count + 1)
        took.append(asked + taken + finished)
        await clear_outbox(store)
    assert took[1] <= took[0] * 1.2 + 10


async def test_effort_is_counted(store: MovableStore, database_url: str) -> None:
    """What is read is what is counted."""
    conversation_id = await api_conversation(store)
    await say(store, conversation_id)
    await add_messages(database_url, [conversation_id], 400, first=0, at=NEWEST)
    few, many = [
        (await effort(database_url, messages_since, conversation_id, -1, limit))[1] for limit in (20, 400)
    ]
    assert many > few * 10
