"""A transfer that a turn wanted and nobody has begun is taken over, but not where a person acts."""

import pytest

from gateway.domain.ids import new_id
from gateway.domain.turn import Path, TurnOutcome
from gateway.domain.warm.held import NewTransfer
from gateway.service.close import close
from gateway.service.handoff import HumanTurn, Operator, human_turn
from gateway.service.outcomes import message_of_receipt
from gateway.service.take_transfer import take_transfer
from gateway.service.warm_transfers import begin_transfer
from tests.contract import scene
from tests.contract.conftest import MovableStore as Store
from tests.contract.on_hold import wanted
from tests.contract.scene import ORGANIZATION, PARTITIONS

AGENT = Operator(ORGANIZATION, "jamie", admin=True)


class Left:
    """A call whose connection broke before its turn ended."""

    def __init__(self, store: Store, new: NewTransfer) -> None:
        self.store, self.new = store, new

    async def take(self, place: str = "s:1") -> TurnOutcome | None:
        """A connection takes it over, for this input of its own."""
        return await self.store.write(
            take_transfer, ORGANIZATION, self.new.conversation_id, "twilio", f"{self.new.call_id}:{place}"
        )


@pytest.fixture
async def left(store: Store) -> Left:
    """The agent has asked for a transfer, and nobody has heard of it."""
    return Left(store, await wanted(store))


async def test_a_transfer_is_taken_over_until_it_has_begun(left: Left) -> None:
    outcome = await left.take()
    assert outcome is not None
    assert outcome.path is Path.HANDOFF
    assert [one["intent_id"] for one in outcome.intents] == [left.new.id]
    assert await left.take() == outcome  # as one that broke again before it kept anything
    known = await left.store.read(message_of_receipt, ORGANIZATION, "twilio", f"{left.new.call_id}:s:1")
    assert known is not None
    assert known[0] == left.new.conversation_id
    await left.store.write(begin_transfer, left.new, ORGANIZATION)
    assert await left.take("s:2") is None
    await scene.consistent(left.store, left.new.conversation_id)


async def test_one_that_cannot_be_read_any_more_is_left_for_a_person(store: Store) -> None:
    """The next look finds it as it was: no input is said to have led to it."""
    new = await wanted(store, destination="")
    assert await Left(store, new).take() is None
    known = await store.read(message_of_receipt, ORGANIZATION, "twilio", f"{new.call_id}:s:1")
    assert known is None


async def test_one_of_a_conversation_that_is_over_is_not(left: Left) -> None:
    await left.store.write(close, ORGANIZATION, left.new.conversation_id, "done", PARTITIONS)
    assert await left.take() is None


async def test_who_waits_for_a_person_and_no_transfer_is_left_alone(store: Store) -> None:
    """A turn may hand off without one, and an operator may step in."""
    accepted = await scene.arrive(store, scene.call("a person", f"CA-{new_id()}"))
    place = (ORGANIZATION, accepted.conversation_id, "twilio", "CA:s:1")
    assert await store.write(take_transfer, *place) is None
    claim = await scene.claimed(store, accepted.conversation_id)
    await scene.answer(store, claim, path=Path.HANDOFF, handoff_reason="asked")
    assert await store.write(take_transfer, *place) is None
    other = await scene.arrive(store, scene.call("hello", f"CA-{new_id()}"))
    turn = HumanTurn(content="Hi.", return_control=False, take_over=True)
    await store.write(human_turn, other.conversation_id, AGENT, turn, PARTITIONS)
    assert await store.write(take_transfer, ORGANIZATION, other.conversation_id, "twilio", "CA:s:1") is None
    assert await store.write(take_transfer, ORGANIZATION, new_id(), "twilio", "CA:s:1") is None
