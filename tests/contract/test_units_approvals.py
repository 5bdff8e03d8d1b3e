"""Approvals: a parked turn waits, is decided once, and goes on or ends."""

import asyncio
import json

from gateway.domain.conversation import Status
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.fallback import SAFE_MESSAGE
from gateway.domain.ports.store import Row, Store
from gateway.domain.turn import Claim, NotNow, Path, TurnOutcome, TurnState
from gateway.service.approve import Decision, Resolution, resolve_approval
from gateway.service.claim import next_turn
from gateway.service.expire import overdue_approvals
from gateway.service.outcomes import progress
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import (
    ORGANIZATION,
    PARTITIONS,
    answer,
    arrive,
    claimed,
    conversation,
    refused,
    rows,
    say,
    sms,
    texts_of,
)
from workers.audience import mark_shown


async def parked(store: Store, **wanted: object) -> tuple[Claim, str]:
    """A turn that waits for a decision, and the approval's id."""
    accepted = await arrive(store, sms("refund"))
    claim = await claimed(store, accepted.conversation_id)
    finished = await answer(
        store, claim, "one moment", path=Path.APPROVAL, approval={**scene.APPROVAL, **wanted}
    )
    assert finished.session_status is Status.AWAITING_APPROVAL
    (approval,) = await rows(store, "test_approvals", id=accepted.conversation_id)
    return claim, approval["id"]


async def decide(
    store: Store, approval_id: str, decision: Decision = Decision.APPROVE, note: str | None = None
) -> Row:
    made = Resolution(decision=decision, decided_by="olga", note=note)
    return await store.write(resolve_approval, ORGANIZATION, approval_id, made, PARTITIONS)


async def contents(store: Store, conversation_id: str) -> list[str]:
    return [m["content"] for m in await rows(store, "test_messages", id=conversation_id)]


async def test_a_parked_turn_frees_its_lease_and_waits(store: Store) -> None:
    claim, _ = await parked(store)
    conversation_id = claim.conversation.id
    assert await refused(store, conversation_id) is NotNow.NO_TURNS
    assert await contents(store, conversation_id) == ["refund", "one moment"]
    (turn,) = await rows(store, "test_turns", id=conversation_id)
    assert (turn["state"], turn["path"]) == ("parked", "approval")
    outcome = await store.read(progress, conversation_id, claim.inputs[0].message_id)
    assert isinstance(outcome, TurnOutcome)
    assert (outcome.path, outcome.text, outcome.state) == (Path.APPROVAL, "one moment", TurnState.PARKED)
    (fact,) = await scene.posted(store, "approval.requested")
    assert (fact["data"]["tool"], fact["data"]["conversation_id"]) == ("refund", conversation_id)
    await scene.consistent(store, conversation_id)


async def test_an_approved_turn_goes_on_before_newer_input(store: Store) -> None:
    claim, approval_id = await parked(store)
    conversation_id = claim.conversation.id
    await arrive(store, sms("hello?"))
    await scene.clear_outbox(store)
    row = await decide(store, approval_id, note="fine")
    assert (row["status"], row["decision"], row["decided_by"]) == ("approved", "approve", "olga")
    assert len(await scene.posted(store, "turn.due")) == 1
    again = await claimed(store, conversation_id)
    assert again.turn_id == claim.turn_id
    assert texts_of(again.request) == ["refund"]
    assert again.request.approval is not None
    assert (again.request.approval.decision, again.request.approval.note) == ("approve", "fine")
    assert again.request.approval.tool_call_id == "call-1"
    finished = await answer(store, again, "refunded")
    assert finished.more
    assert finished.message_seqs == (0, 1, 3)
    later = await store.write(next_turn, again.lease)
    assert isinstance(later, Claim)
    assert texts_of(later.request) == ["hello?"]
    assert later.request.approval is None
    assert not (await answer(store, later)).more
    await scene.consistent(store, conversation_id)


async def test_a_second_hold_of_the_same_turn(store: Store) -> None:
    claim, first = await parked(store)
    await decide(store, first)
    again = await claimed(store, claim.conversation.id)
    second_hold = {**scene.APPROVAL, "tool_call_id": "call-2"}
    await answer(store, again, "and another", path=Path.APPROVAL, approval=second_hold)
    _, second = await rows(store, "test_approvals", id=claim.conversation.id)
    await decide(store, second["id"])
    last = await claimed(store, claim.conversation.id)
    assert last.request.approval is not None
    assert last.request.approval.tool_call_id == "call-2"
    finished = await answer(store, last, "both done")
    assert finished.message_seqs == (0, 1, 2, 3)


async def test_a_streamed_turn_goes_on_after_any_number_of_holds(store: Store) -> None:
    conversation_id = await scene.api_conversation(store)
    await say(store, conversation_id, "refund")
    for number in range(7):
        claim = await claimed(store, conversation_id)
        assert (claim.attempt, claim.shown) == (1, False)
        assert claim.tells_caller is (number == 0)
        await store.write(mark_shown, claim.turn_id, claim.lease.fence)
        hold = {**scene.APPROVAL, "tool_call_id": f"call-{number}"}
        await answer(store, claim, f"{number}", path=Path.APPROVAL, approval=hold)
        await store.write(mark_shown, claim.turn_id, claim.lease.fence)  # it was slow
        *_, approval = await rows(store, "test_approvals", id=conversation_id)
        await decide(store, approval["id"])
    finished = await answer(store, await claimed(store, conversation_id), "done")
    assert finished.message_seqs == tuple(range(9))


async def test_a_rejected_turn_ends_with_the_safe_message(store: Store) -> None:
    claim, approval_id = await parked(store)
    conversation_id = claim.conversation.id
    await decide(store, approval_id, Decision.REJECT)
    row = await conversation(store, conversation_id)
    assert (row["status"], row["answered"]) == ("closed", row["last_input"])
    assert await contents(store, conversation_id) == ["refund", "one moment", SAFE_MESSAGE]
    (turn,) = await rows(store, "test_turns", id=conversation_id)
    assert (turn["state"], turn["path"], json.loads(turn["message_seqs"])) == ("done", "blocked", [0, 1, 2])
    deliveries = await rows(store, "test_deliveries", id=conversation_id)
    assert [(d["text"], d["state"]) for d in deliveries] == [
        ("one moment", "pending"),
        (SAFE_MESSAGE, "pending"),
    ]
    # the question was answered: it does not come back in a conversation of its own
    assert len(await rows(store, "test_conversations")) == 1
    await scene.consistent(store, conversation_id)


async def test_what_came_after_a_rejected_turn_opens_the_next_conversation(store: Store) -> None:
    claim, approval_id = await parked(store)
    await arrive(store, sms("hello?"))
    await decide(store, approval_id, Decision.REJECT)
    _, successor = await rows(store, "test_conversations")
    assert texts_of((await claimed(store, successor["id"])).request) == ["hello?"]
    assert successor["status"] == "active"
    assert claim.conversation.id in successor["metadata"]


async def test_a_rejection_may_let_the_agent_go_on(store: Store) -> None:
    claim, approval_id = await parked(store, on_reject="continue")
    await decide(store, approval_id, Decision.REJECT, note="too much")
    again = await claimed(store, claim.conversation.id)
    assert again.request.approval is not None
    assert (again.request.approval.decision, again.request.approval.note) == ("reject", "too much")


async def test_one_of_fifty_deciders_wins(store: Store) -> None:
    claim, approval_id = await parked(store)
    made = [Decision.APPROVE, Decision.REJECT] * 25
    answers = await asyncio.gather(
        *(decide(store, approval_id, decision) for decision in made), return_exceptions=True
    )
    errors = [a for a in answers if isinstance(a, BaseException)]
    assert len(errors) == 49
    assert all(isinstance(e, GatewayError) and e.code is ErrorCode.ALREADY_RESOLVED for e in errors)
    row = await conversation(store, claim.conversation.id)
    assert row["status"] in ("active", "closed")
    await scene.consistent(store, claim.conversation.id)


async def test_an_overdue_approval_is_rejected_by_the_clock(store: MovableStore) -> None:
    claim, _ = await parked(store, timeout_seconds=60)
    assert await store.write(overdue_approvals, PARTITIONS) == 0
    store.advance(61)
    both = await asyncio.gather(*(store.write(overdue_approvals, PARTITIONS) for _ in range(2)))
    assert sum(both) == 1
    (approval,) = await rows(store, "test_approvals", id=claim.conversation.id)
    assert (approval["status"], approval["decision"], approval["decided_by"]) == (
        "timed_out",
        "reject",
        "timeout",
    )
    assert (await conversation(store, claim.conversation.id))["status"] == "closed"
