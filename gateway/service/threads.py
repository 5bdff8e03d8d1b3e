"""Where a mail reply belongs: below the newest mail of the end user that it answers, which it quotes."""

from dataclasses import dataclass

from gateway.domain.conversation import Conversation
from gateway.domain.delivery import Answered, Thread
from gateway.domain.message import Channel, JsonObject, Role, SenderAuth
from gateway.domain.ports.store import Tx
from gateway.store.records import unpack

MAX_QUOTED = 4_000
"""Characters of a mail that its answer quotes."""
_PROVEN = frozenset(auth.value for auth in SenderAuth if auth.proven)
_LOOK_BACK = 20
"""Messages searched for the end user's newest mail."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail of the end user, as much of it as its answer needs. `at` in µs."""

    content: str
    at: int
    metadata: JsonObject


def thread_position(conversation: Conversation, mail: Mail | None) -> Thread:
    """Answer a mail: its id, and the ids it named before it (RFC 5322 §3.6.4)."""
    if conversation.channel is not Channel.EMAIL:
        return Thread()
    if mail is None:
        return Thread(subject=conversation.subject)
    noted = mail.metadata
    answered = noted.get("message_id")
    references = tuple(noted.get("references") or ())
    return Thread(
        subject=noted.get("subject") or conversation.subject,
        in_reply_to=answered,
        references=(*references, answered) if answered else references,
        answered=_quoted(mail),
    )


def _quoted(mail: Mail) -> Answered | None:
    """The new text of a mail, bounded. Of a forger's nothing, or we would carry it to whom they name."""
    proven = mail.metadata.get("auth") in _PROVEN
    return Answered(mail.content[:MAX_QUOTED], mail.at) if proven and mail.content.strip() else None


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
    mails = (
        Mail(row["content"], row["created_at"], unpack(row["metadata"], {}))
        for row in rows
        if row["role"] == Role.USER
    )
    return thread_position(conversation, next(mails, None))
