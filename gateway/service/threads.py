"""Where a mail reply belongs: below the newest mail of the end user that it answers, which it quotes."""

from collections.abc import Sequence

from gateway.domain.conversation import Conversation
from gateway.domain.delivery import Answered, Thread
from gateway.domain.message import Channel, Message, Role, SenderAuth
from gateway.domain.ports import Tx
from gateway.store.records import message_of

MAX_QUOTED = 4_000
"""Characters of a mail that its answer quotes."""
_PROVEN = frozenset(auth.value for auth in SenderAuth if auth.proven)
_LOOK_BACK = 20
"""Messages searched for the end user's newest mail."""


def thread_position(conversation: Conversation, mails: Sequence[Message]) -> Thread:
    """Answer the last of `mails`: its id, and the ids it named before it (RFC 5322 §3.6.4)."""
    if conversation.channel is not Channel.EMAIL:
        return Thread()
    if not mails:
        return Thread(subject=conversation.subject)
    mail = mails[-1].metadata
    answered = mail.get("message_id")
    references = tuple(mail.get("references") or ())
    return Thread(
        subject=mail.get("subject") or conversation.subject,
        in_reply_to=answered,
        references=(*references, answered) if answered else references,
        answered=_quoted(mails[-1]),
    )


def _quoted(mail: Message) -> Answered | None:
    """The new text of a mail, bounded. Of a forger's nothing, or we would carry it to whom they name."""
    proven = mail.metadata.get("auth") in _PROVEN
    return Answered(mail.content[:MAX_QUOTED], mail.created_at) if proven and mail.content.strip() else None


async def newest_thread(tx: Tx, conversation: Conversation) -> Thread:
    """The position of a reply that no particular mail asked for, such as an operator's."""
    if conversation.channel is not Channel.EMAIL:
        return Thread()
    rows = await tx.all(
        "messages_recent",
        conversation_id=conversation.id,
        before=conversation.message_count,
        limit=_LOOK_BACK,
    )
    messages = [message_of(row) for row in reversed(rows)]
    return thread_position(conversation, [m for m in messages if m.role is Role.USER])
