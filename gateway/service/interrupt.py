"""A caller speaks over a reply: what they heard of it is what was said; a turn that still runs is over.

What was sent stays in the message; what was heard stands beside it, is what the transcript shows and what the
agent is given. A reply of which nothing was heard keeps its place, so that it is known to have been begun.
"""

from dataclasses import dataclass

from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.ids import new_id
from gateway.domain.message import SPOKEN_TEXT, Author, Message, Role
from gateway.domain.ports.dialogue import CallNews
from gateway.domain.ports.store import Row, Tx
from gateway.domain.speech import BETWEEN_MESSAGES
from gateway.domain.turn import TurnOutcome, TurnState
from gateway.service.postings import ring_turns
from gateway.service.timeline import write_messages
from gateway.store.records import conversation_of, message_of, outcome_of, pack

MAX_SAID = 50
"""Messages of one turn, and of one look at what there is to be said."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a reply came."""

    sent: str
    """What was shown of it."""
    heard: str
    """The beginning of `sent` that was heard."""


async def interrupt(
    tx: Tx, organization_id: str, receipt: tuple[str, str], reach: Reach, partitions: int
) -> TurnOutcome | None:
    """The reply to a provider's message was spoken over; the turn's outcome where it was over already."""
    known = await tx.one(
        "receipt_accepted",
        organization_id=organization_id,
        provider=receipt[0],
        provider_message_id=receipt[1],
    )
    if known is None or known["conversation_id"] is None:
        return None
    row = await tx.one("conversation_lock", organization_id=organization_id, id=known["conversation_id"])
    turn = await tx.one("turn_of_message", message_id=known["message_id"])
    if row is None or turn is None:
        return None
    if turn["state"] == TurnState.RUNNING:
        await _stop(tx, row, turn, reach, partitions)
        return None
    await _cut(tx, turn, reach.heard)
    return outcome_of(turn, conversation_of(row).status)


async def _stop(tx: Tx, row: Row, turn: Row, reach: Reach, partitions: int) -> None:
    """What was shown becomes the turn's reply; its worker can no longer commit another."""
    stopped = await tx.one("conversation_interrupt_turn", id=row["id"], turn_id=turn["id"])
    if stopped is None:
        return
    await tx.run(
        "turn_abandon", id=turn["id"], state=TurnState.SUPERSEDED.value, session_status=row["status"]
    )
    await tx.run("inputs_done", conversation_id=row["id"], turn_id=turn["id"])
    message = Message(
        id=new_id(),
        conversation_id=row["id"],
        seq=stopped["message_count"] - 1,
        turn_id=turn["id"],
        role=Role.ASSISTANT,
        content=reach.sent,
        author=Author.AGENT,
        created_at=0,
        metadata=_interrupted(reach.heard),
    )
    await write_messages(tx, [message], stopped["event_count"] - 1, agent_id=row["assigned_agent_id"])
    if stopped["answered"] < stopped["last_input"]:
        await ring_turns(
            tx,
            organization_id=row["organization_id"],
            conversation_id=row["id"],
            partitions=partitions,
            at=stopped["updated_at"],
        )


async def _cut(tx: Tx, turn: Row, heard: str) -> None:
    """Of the turn's messages, in order, those are marked that were not heard to their end."""
    rows = await tx.all(
        "messages_said_in_turn",
        conversation_id=turn["conversation_id"],
        turn_id=turn["id"],
        limit=MAX_SAID,
    )
    left = len(heard)
    for message in (message_of(row) for row in rows):
        if left < len(message.content):
            spoken = message.content[: max(0, left)]
            marked = message.metadata | _interrupted(spoken)
            await tx.run("message_mark", id=message.id, metadata=pack(marked))
        left -= len(message.content) + len(BETWEEN_MESSAGES)


def _interrupted(heard: str) -> dict[str, object]:
    return {"interrupted": True, SPOKEN_TEXT: heard}


async def news(tx: Tx, organization_id: str, conversation_id: str, since: int) -> CallNews:
    """How a call's conversation stands, and what was said to the end user after message `since`."""
    row = await tx.one("conversation_by_id", organization_id=organization_id, id=conversation_id)
    if row is None:
        raise GatewayError(ErrorCode.NOT_FOUND, "there is no such conversation")
    rows = await tx.all("messages_since", conversation_id=conversation_id, since=since, limit=MAX_SAID)
    said = (message_of(r) for r in rows)
    return CallNews(
        conversation_of(row).status, tuple(m for m in said if m.role is Role.ASSISTANT and m.content)
    )
