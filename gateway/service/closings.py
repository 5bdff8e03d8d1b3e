"""What follows once from the end of a live conversation: summary, memory, analytics.

`close.conversation_ended` writes the row of work in the transaction of the end. A worker claims it,
reads, has the summary made outside of any transaction, and stores everything that follows together with
the deletion of that row: whatever is killed in between, it happens once.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from gateway.domain.clock import SECOND
from gateway.domain.conversation import Conversation
from gateway.domain.message import SPOKEN_TEXT, Message
from gateway.domain.ports.store import Row, Tx
from gateway.domain.steps import with_facts
from gateway.domain.summary import Counts, Summary, Transcript
from gateway.domain.usage import Meter
from gateway.service.brake import stopped
from gateway.service.converse import messages_since, newest_messages
from gateway.service.remember import facts_of
from gateway.service.usage import count_tokens
from gateway.store.records import conversation_of, pack, unpack

CLAIM_SECONDS = 60
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
    row = await tx.one(
        "conversation_by_id", organization_id=closing.organization_id, id=closing.conversation_id
    )
    if row is None:
        return None
    found = conversation_of(row)
    beginning = await messages_since(tx, found.id, -1, BEGINNING)
    end = await newest_messages(tx, found, END)
    seen = {m.seq for m in beginning}
    known = await facts_of(tx, found.end_user_id)
    return Transcript(
        found,
        [_heard(m) for m in (*beginning, *(m for m in end if m.seq not in seen))],
        await _counts(tx, found.id),
        known=[*known, *unpack(row["facts"], [])],
        proven=not row["unverified"],
        erased=await _erased(tx, found),
        stopped=await stopped(tx, found.organization_id, found.assigned_agent_id),
    )


def _heard(message: Message) -> Message:
    """Of a reply that was spoken over, what came before that."""
    return replace(message, content=message.metadata.get(SPOKEN_TEXT, message.content))


async def _erased(tx: Tx, conversation: Conversation) -> bool:
    person = await tx.one(
        "end_user_by_id", organization_id=conversation.organization_id, id=conversation.end_user_id
    )
    return person is None or person["erased_at"] is not None


async def _counts(tx: Tx, conversation_id: str) -> Counts:
    said = await tx.one("conversation_counts", conversation_id=conversation_id)
    work = await tx.one("conversation_work", conversation_id=conversation_id)
    counted = {**(said or {}), **(work or {})}
    return Counts(**counted)


async def postpone_closing(tx: Tx, closing: Closing, seconds: int) -> None:
    """Have a conversation summed up later; nothing where another claim was faster."""
    await tx.run(
        "closing_postpone",
        conversation_id=closing.conversation_id,
        attempt=closing.attempt,
        delay=seconds * SECOND,
    )


async def finish_closing(
    tx: Tx,
    closing: Closing,
    transcript: Transcript | None,
    summary: Summary | None,
    meter: Meter | None = None,
) -> bool:
    """Store all that follows from the end; False where another claim was faster.

    `meter` counts what the summary has cost.
    """
    row = await tx.one(
        "conversation_lock", organization_id=closing.organization_id, id=closing.conversation_id
    )
    if not await tx.run("closing_done", conversation_id=closing.conversation_id, attempt=closing.attempt):
        return False
    if row is None or transcript is None:
        return True
    ended = conversation_of(row)
    erased = await _erased(tx, ended)
    text = None if erased or summary is None else summary.text[:MAX_SUMMARY]
    synced = not erased and not row["unverified"]
    facts = with_facts(unpack(row["facts"], []), _new_facts(summary, transcript.known))
    if synced and (text or facts) and ended.archived_at is None:
        await tx.run(
            "memory_insert",
            conversation_id=ended.id,
            organization_id=ended.organization_id,
            end_user_id=ended.end_user_id,
            channel=ended.channel.value,
            text=text or "",
            facts=pack(facts) if facts else None,
        )
    await _analyse(tx, ended, row, transcript.counts)
    await tx.run("conversation_summed_up", id=ended.id, summary=text, memory_synced=synced)
    if summary is not None:
        await count_tokens(tx, meter, summary.input_tokens, summary.output_tokens)
    return True


def _new_facts(summary: Summary | None, known: Sequence[str]) -> list[str]:
    """Those that are remembered of the person for the first time."""
    before = {fact.casefold() for fact in known}
    return [fact for fact in (summary.facts if summary else ()) if fact.casefold() not in before]


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
