"""Recordings of calls: where the newest one of a conversation is, and that there is one in its transcript."""

from gateway.domain.outgoing_call import Recording
from gateway.domain.ports.store import Tx
from gateway.service.call_notes import CallNote, note_once


async def record_call(tx: Tx, organization_id: str, recording: Recording) -> bool:
    """A recording can be fetched; False where it is known already, or its call is not."""
    call = await tx.one("call_by_id", provider=recording.provider, call_id=recording.call_id)
    if call is None or call["organization_id"] != organization_id:
        return False
    conversation_id = call["conversation_id"]
    if await tx.one("conversation_lock", organization_id=organization_id, id=conversation_id) is None:
        return False
    told = {
        "kind": "call.recorded",
        "call_id": recording.call_id,
        "recording_id": recording.recording_id,
        "recording_url": recording.url,
        "seconds": recording.seconds,
    }
    event = (recording.provider, f"{recording.call_id}:recording:{recording.recording_id}")
    note = CallNote("The call was recorded.", told)
    if not await note_once(tx, organization_id, event, conversation_id, note):
        return False
    await tx.run("conversation_recorded", id=conversation_id, recording_url=recording.url)
    return True
