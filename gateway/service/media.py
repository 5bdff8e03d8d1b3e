"""Files that a provider keeps of a message: fetched once it is accepted, and the turn that waits for them.

An attempt is claimed until it may be made again: a worker that dies in the middle loses nothing but time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.domain.attachment import AttachmentState
from gateway.domain.clock import SECOND
from gateway.domain.message import Attachment, Channel, InboundAttachment
from gateway.domain.ports.files import FileKey, NotFetched
from gateway.domain.ports.store import Row, Tx
from gateway.domain.send_rules import ATTEMPTS, backoff
from gateway.service.attachments import claim_file
from gateway.service.postings import ring_turns
from gateway.store.records import attachments_of, pack

CLAIMED_SECONDS = 120
"""How long an attempt is somebody's."""
AT_ONCE = 8
"""Files that one look claims."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingFile:
    """A file to fetch."""

    id: str
    organization_id: str
    conversation_id: str
    message_id: str
    provider: str
    source: str
    media_type: str
    attempt: int
    channel: Channel
    our_address: str | None
    """With `channel`: where it came to."""


async def claim_files(tx: Tx) -> Sequence[PendingFile]:
    """Take some that are due."""
    rows = await tx.all("attachments_claim", claimed=CLAIMED_SECONDS * SECOND, limit=AT_ONCE)
    return [await _pending(tx, row) for row in rows]


async def _pending(tx: Tx, row: Row) -> PendingFile:
    conversation = await tx.one("conversation_of_any", id=row["conversation_id"])
    return PendingFile(
        id=row["id"],
        organization_id=row["organization_id"],
        conversation_id=row["conversation_id"],
        message_id=row["message_id"],
        provider=row["provider"],
        source=row["source"] or "",
        media_type=row["media_type"],
        attempt=row["attempt"],
        channel=Channel.SMS if conversation is None else Channel(conversation["channel"]),
        our_address=None if conversation is None else conversation["our_address"],
    )


async def file_kept(tx: Tx, file: PendingFile, kept: InboundAttachment, window: int, partitions: int) -> None:
    """The file is in the attachment store, and its message shows it. `window`: µs a turn waits for more."""
    if kept.sha256 is None or not await _locked(tx, file):
        return
    await claim_file(tx, FileKey(file.organization_id, kept.sha256))
    changed = await tx.run(
        "attachment_kept",
        id=file.id,
        sha256=kept.sha256,
        size=kept.size,
        media_type=kept.media_type,
        name=kept.name,
    )
    if changed:
        await _show(tx, file, kept)
        await _go_on(tx, file, window, partitions)


async def file_not_fetched(
    tx: Tx, file: PendingFile, failed: NotFetched, window: int, partitions: int
) -> None:
    """Try again later, or give up: the agent is asked without it."""
    if not await _locked(tx, file):
        return
    if failed.again and file.attempt < ATTEMPTS:
        delay = backoff(file.attempt) * SECOND
        await tx.run("attachment_postpone", id=file.id, error=failed.reason, delay=delay)
        return
    await tx.run("attachment_failed", id=file.id, error=failed.reason, state=AttachmentState.FAILED.value)
    await _go_on(tx, file, window, partitions)


async def _locked(tx: Tx, file: PendingFile) -> bool:
    """Hold the conversation first, as everywhere; False where it has been deleted."""
    row = await tx.one("conversation_lock", organization_id=file.organization_id, id=file.conversation_id)
    return row is not None


async def _show(tx: Tx, file: PendingFile, kept: InboundAttachment) -> None:
    """What is known of a file now stands with its message."""
    row = await tx.one("message_attachments", id=file.message_id)
    if row is None:
        return

    def shown(one: Attachment) -> Attachment:
        if one.id != file.id:
            return one
        return replace(one, size=kept.size, media_type=kept.media_type, name=kept.name)

    attachments = [shown(one) for one in attachments_of(row["attachments"])]
    await tx.run("message_show_attachments", id=file.message_id, attachments=pack(attachments))


async def _go_on(tx: Tx, file: PendingFile, window: int, partitions: int) -> None:
    """Nothing is fetched any more: the turn that waits for it may begin."""
    others = await tx.one("attachments_pending", conversation_id=file.conversation_id)
    if others is not None and others["pending"]:
        return
    row = await tx.one("conversation_wait_no_more", id=file.conversation_id, window=window)
    if row is not None:
        await ring_turns(
            tx,
            organization_id=file.organization_id,
            conversation_id=file.conversation_id,
            partitions=partitions,
            at=row["updated_at"],
            delay_seconds=max(row["wait"], 0) / SECOND,
        )
