"""A caller at a voice host whose words wait for a brake to be lifted is told so; others by their session."""

from collections.abc import Callable

from gateway.domain.conversation import Conversation
from gateway.domain.message import Author, Role
from gateway.domain.ports.store import Tx
from gateway.service.calls import hosted
from gateway.service.speak import speak
from gateway.store.records import conversation_of


async def hold_caller(tx: Tx, conversation_id: str, line_of: Callable[[Conversation], str | None]) -> bool:
    """No turn may begin now: tell the caller to hold, once for what they said together; whether it was done.

    `line_of`: what is said; None where nothing is.
    """
    row = await tx.one("call_braked", id=conversation_id)
    if row is None:
        return False
    conversation = conversation_of(row)
    newest = await tx.one("message_newest", conversation_id=conversation_id)
    text = line_of(conversation)
    if not text or newest is None or newest["role"] != Role.USER or await hosted(tx, conversation) is None:
        return False
    await speak(tx, conversation, text, Author.SYSTEM)
    return True
