"""What happens in a call, noted in the transcript of its conversation as the channels' own events are."""

from dataclasses import dataclass

from gateway.domain.ids import new_id
from gateway.domain.message import Author, JsonObject, Message, Role
from gateway.domain.ports.store import Tx
from gateway.service.timeline import write_messages


@dataclass(frozen=True, slots=True)
class CallNote:
    """One thing that happened."""

    text: str
    event: JsonObject
    """In the form of the queue contract's `voice.event`."""


async def note_call(tx: Tx, conversation_id: str, note: CallNote, message_id: str | None = None) -> None:
    """Write it down. The conversation is locked by the caller."""
    row = await tx.one("conversation_add_note", id=conversation_id)
    if row is None:
        raise AssertionError("the conversation was locked in this unit")
    message = Message(
        id=message_id or new_id(),
        conversation_id=conversation_id,
        seq=row["message_count"] - 1,
        turn_id=None,
        role=Role.SYSTEM_EVENT,
        content=note.text,
        author=Author.SYSTEM,
        created_at=0,
        metadata={"voice_event": note.event},
    )
    await write_messages(tx, [message], row["event_count"] - 1)


async def note_once(
    tx: Tx, organization_id: str, event: tuple[str, str], conversation_id: str, note: CallNote
) -> bool:
    """The same once for each event (provider, its id of it); False where it was noted before."""
    provider, event_id = event
    message_id = new_id()
    receipt = await tx.one(
        "receipt_insert",
        organization_id=organization_id,
        provider=provider,
        provider_message_id=event_id,
        message_id=message_id,
    )
    if receipt is None:
        return False
    await note_call(tx, conversation_id, note, message_id)
    return True
