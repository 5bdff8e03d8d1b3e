"""A caller speaks over a reply: what they heard of it is what was said; a turn that still runs is over.

What was sent stays in the message; what was heard stands beside it, is what the transcript shows and what the
agent is given. A reply of which nothing was heard keeps its place, so that it is known to have been begun.
"""

from dataclasses import dataclass

from gateway.domain.errors import ErrorCode, Fenced, GatewayError
from gateway.domain.ids import new_id
from gateway.domain.message import SPOKEN_TEXT, Author, JsonObject, Message, Role
from gateway.domain.ports.dialogue import CallNews
from gateway.domain.ports.store import Row, Tx
from gateway.domain.speech import BETWEEN_MESSAGES
from gateway.domain.spoken import heard
from gateway.domain.turn import Claim, TurnOutcome, TurnState
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
    await _mark(tx, await _said_in(tx, turn["conversation_id"], turn["id"]), reach.heard)
    return outcome_of(turn, conversation_of(row).status)


async def speak_over(tx: Tx, row: Row, event: JsonObject, partitions: int) -> None:
    """The caller at a voice host speaks over what is being said: `spoken_text` or `spoken_ms` was heard.

    `row`: the conversation, which this unit has locked. What is being said is the reply that is being made,
    as far as its host was told of it, else what was said last. A host that tells nothing leaves it as it is.
    `filler`: what was heard may be a filler, which is nothing of a reply. `line`: it was another line of the
    gateway's, and no reply at all, unless the host does not say what it was, and a reply is being made.
    """
    piece, spoken_ms = event.get("spoken_text"), event.get("spoken_ms")
    turn = None if row["turn_id"] is None else await tx.one("turn_by_id", id=row["turn_id"])
    if event.get("line") and (piece or turn is None or turn["state"] != TurnState.RUNNING):
        return
    last = await _said_last(tx, row)
    sent = BETWEEN_MESSAGES.join(message.content for message in last)
    if turn is not None and turn["state"] == TurnState.RUNNING:
        making = turn["text"] if turn["shown"] and turn["text"] else ""
        known = heard(making, piece, None).certain or heard(sent, piece, None).certain
        if piece and not known and not event.get("filler"):
            making = piece  # it was told more than is noted yet
        if making:
            await _stop(tx, row, turn, Reach(making, _reached(making, piece, spoken_ms)), partitions)
            return
        if not piece or not known or event.get("filler"):
            return  # nothing of its reply was said yet
    if last:
        await _mark(tx, last, _reached(sent, piece, spoken_ms))


async def keep_broken_off(tx: Tx, claim: Claim) -> tuple[int, ...]:
    """An attempt of a turn broke off while a caller was told its reply: what they heard is a message.

    The `seq` of that message. What an attempt after it says is another utterance. Raises Fenced.
    """
    lease = claim.lease
    place = {"organization_id": claim.conversation.organization_id, "id": lease.conversation_id}
    held = await tx.one("conversation_lock", **place)
    if held is None or (held["lease_owner"], held["fence"]) != (lease.worker_id, lease.fence):
        raise Fenced(claim.turn_id)
    turn = await tx.one("turn_by_id", id=claim.turn_id)
    if turn is None or not turn["text"]:
        return ()
    await tx.run("turn_unsaid", id=claim.turn_id)
    row = await tx.one("conversation_add_message", id=lease.conversation_id)
    if row is None:
        raise AssertionError("the conversation is held in this unit")
    message = Message(
        id=new_id(),
        conversation_id=lease.conversation_id,
        seq=row["message_count"] - 1,
        turn_id=claim.turn_id,
        role=Role.ASSISTANT,
        content=turn["text"],
        author=Author.AGENT,
        created_at=row["updated_at"],
        metadata=_interrupted(turn["text"]),
    )
    agent_id = claim.conversation.assigned_agent_id
    await write_messages(tx, [message], row["event_count"] - 1, agent_id=agent_id)
    return (message.seq,)


def _reached(sent: str, piece: str | None, spoken_ms: int | None) -> str:
    return sent if piece is None and spoken_ms is None else heard(sent, piece, spoken_ms).text


async def _said_last(tx: Tx, row: Row) -> list[Message]:
    """All messages of the newest reply, or the one that was said outside of any turn."""
    newest = await tx.one("message_said_last", conversation_id=row["id"])
    if newest is None:
        return []
    if newest["turn_id"] is None:
        return [message_of(newest)]
    return await _said_in(tx, row["id"], newest["turn_id"])


async def _said_in(tx: Tx, conversation_id: str, turn_id: str) -> list[Message]:
    rows = await tx.all(
        "messages_said_in_turn", conversation_id=conversation_id, turn_id=turn_id, limit=MAX_SAID
    )
    return [message_of(row) for row in rows]


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


async def _mark(tx: Tx, said: list[Message], reached: str) -> None:
    """Of these messages, in order, those are marked that were not heard to their end."""
    left = len(reached)
    for message in said:
        if left < len(message.content):
            marked = message.metadata | _interrupted(message.content[: max(0, left)])
            await tx.run("message_mark", id=message.id, metadata=pack(marked))
        left -= len(message.content) + len(BETWEEN_MESSAGES)


def _interrupted(heard: str) -> dict[str, object]:
    return {"interrupted": True, SPOKEN_TEXT: heard}


async def news(tx: Tx, organization_id: str, conversation_id: str, since: int) -> CallNews:
    """How a call's conversation stands, and what was said to the end user after message `since`."""
    row = await tx.one("conversation_by_id", organization_id=organization_id, id=conversation_id)
    if row is None:
        raise GatewayError(ErrorCode.NOT_FOUND, "there is no such conversation")
    rows = await tx.all("messages_said_since", conversation_id=conversation_id, since=since, limit=MAX_SAID)
    said = tuple(message_of(one) for one in rows)
    return CallNews(conversation_of(row).status, said, waits=row["answered"] < row["last_input"])
