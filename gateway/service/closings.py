"""What follows once from the end of a live conversation: summary, memory, analytics.

`close.conversation_ended` writes the row of work in the transaction of the end. A worker claims it,
reads, has the summary made outside of any transaction, and stores everything that follows together with
the deletion of that row: whatever is killed in between, it happens once.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from gateway.domain.clock import SECOND
from gateway.domain.conversation import Conversation
from gateway.domain.ports.store import Row, Tx
from gateway.domain.summary import Counts, Transcript
from gateway.service.converse import conversation, messages_since, newest_messages
from gateway.store.records import conversation_of, unpack

CLAIM_SECONDS = 30
"""After this long a claim counts as its worker's death, and the work is taken again."""
BEGINNING = 10
END = 40
"""Messages that a summary is made of: so many of the beginning, so many of the end."""
MAX_SUMMARY = 4000
"""Characters that are kept of a summary."""


@dataclass(frozen=True, slots=True)
class Closing:
    """Work that was claimed."""

    conversation_id: str
    organization_id: str
    attempt: int


async def claim_closings(tx: Tx) -> Sequence[Closing]:
    """Take what is due, at most 20."""
    rows = await tx.all("closings_claim", claim=CLAIM_SECONDS * SECOND)
    return [Closing(row["conversation_id"], row["organization_id"], row["attempt"]) for row in rows]


async def transcript_of(tx: Tx, closing: Closing) -> Transcript | None:
    """What there is to sum up; None where the conversation was deleted meanwhile."""
    found = await conversation(tx, closing.organization_id, closing.conversation_id)
    if found is None:
        return None
    beginning = await messages_since(tx, found.id, -1, BEGINNING)
    end = await newest_messages(tx, found, END)
    seen = {m.seq for m in beginning}
    return Transcript(
        found, [*beginning, *(m for m in end if m.seq not in seen)], await _counts(tx, found.id)
    )


async def _counts(tx: Tx, conversation_id: str) -> Counts:
    said = await tx.one("conversation_counts", conversation_id=conversation_id)
    work = await tx.one("conversation_work", conversation_id=conversation_id)
    counted = {**(said or {}), **(work or {})}
    return Counts(**counted)


async def finish_closing(
    tx: Tx, closing: Closing, transcript: Transcript | None, summary: str | None
) -> bool:
    """Store all that follows from the end; False where another claim was faster."""
    row = await tx.one(
        "conversation_lock", organization_id=closing.organization_id, id=closing.conversation_id
    )
    if not await tx.run("closing_done", conversation_id=closing.conversation_id, attempt=closing.attempt):
        return False
    if row is None or transcript is None:
        return True
    ended = conversation_of(row)
    person = await tx.one("end_user_by_id", organization_id=ended.organization_id, id=ended.end_user_id)
    erased = person is None or person["erased_at"] is not None
    text = None if erased or summary is None else summary[:MAX_SUMMARY]
    synced = not erased and not row["unverified"]
    remembered = _remembered(text, unpack(row["facts"], []))
    if synced and remembered and ended.archived_at is None:
        await tx.run(
            "memory_insert",
            conversation_id=ended.id,
            organization_id=ended.organization_id,
            end_user_id=ended.end_user_id,
            channel=ended.channel.value,
            text=remembered,
        )
    await _analyse(tx, ended, row, transcript.counts)
    await tx.run("conversation_summed_up", id=ended.id, summary=text, memory_synced=synced)
    return True


def _remembered(summary: str | None, facts: Sequence[str]) -> str:
    """What later conversations are told: what the agent wanted remembered first, as budgets cut the end."""
    return "\n".join([*facts, *([summary] if summary else [])])


async def _analyse(tx: Tx, ended: Conversation, row: Row, counts: Counts) -> None:
    await tx.run(
        "analytics_insert",
        conversation_id=ended.id,
        organization_id=ended.organization_id,
        agent_id=ended.assistant_id,
        channel=ended.channel.value,
        status=ended.status.value,
        started_at=ended.started_at,
        ended_at=row["ended_at"],
        duration_ms=ended.duration_ms or 0,
        **asdict(counts),
    )
