"""Something said in a conversation outside of any turn: an operator's reply, an agent's first word."""

from dataclasses import replace

from gateway.domain.conversation import Conversation
from gateway.domain.ids import new_id
from gateway.domain.message import Author, Channel, Message, Role
from gateway.domain.ports.store import Tx
from gateway.domain.quiet import QuietHours, quiet_until, zones_of
from gateway.service.calls import say_on_call
from gateway.service.deliver import Leave, enqueue
from gateway.service.threads import newest_thread
from gateway.service.timeline import write_messages


async def speak(
    tx: Tx,
    conversation: Conversation,
    text: str,
    author: Author,
    *,
    despite_suppression: bool = False,
    quiet: QuietHours | None = None,
) -> Message:
    """Store a message to the end user and queue it for delivery. The conversation is locked by the caller.

    `despite_suppression`: it is the answer to their wish to get no more. `quiet`: it is unasked, and is held
    while it is quiet where they are.
    """
    row = await tx.one("conversation_add_message", id=conversation.id)
    if row is None:
        raise AssertionError("the conversation was locked in this unit")
    message = Message(
        id=new_id(),
        conversation_id=conversation.id,
        seq=row["message_count"] - 1,
        turn_id=None,
        role=Role.ASSISTANT,
        content=text,
        author=author,
        created_at=row["updated_at"],
        delivery_status="pending" if conversation.channel.delivers else None,
    )
    agent_id = conversation.assigned_agent_id if author is Author.AGENT else None
    await write_messages(tx, [message], row["event_count"] - 1, agent_id=agent_id)
    theirs = conversation.their_address
    is_text = conversation.channel is Channel.SMS and theirs is not None
    held = quiet_until(row["updated_at"], zones_of(theirs or ""), quiet) if quiet and is_text else None
    thread = await newest_thread(tx, conversation)
    if author is Author.HUMAN_OPERATOR and conversation.channel is Channel.EMAIL:
        thread = replace(thread, by_person=True)
    await enqueue(
        tx,
        conversation,
        message,
        thread,
        at=row["updated_at"],
        leave=Leave(despite_suppression=despite_suppression, held_until=held),
    )
    await say_on_call(tx, conversation, message)
    return message
