"""Attachments: kept by content in the attachment store, referred to by messages, gone when those are.

The row of a file comes before its bytes and goes after them, and a file is only removed by who has marked its
row first: a file that is put while it is being removed is refused for that moment, never lost.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.attachment import AttachmentState, media_type_of, safe_name
from gateway.domain.clock import SECOND
from gateway.domain.errors import ErrorCode, FileMissing, GatewayError, Unavailable
from gateway.domain.ids import new_id
from gateway.domain.message import InboundAttachment, InboundMessage, ReplyAttachment
from gateway.domain.ports.files import AttachmentStore, FileKey
from gateway.domain.ports.store import Row, Store, Tx

OURS = "agent"
"""The provider of a file that did not come from outside."""
UNCLAIMED_KEPT = 24 * 3600 * SECOND
"""How long a file waits for the message it came with to be accepted, µs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAttachment:
    """A row of `attachments`."""

    id: str
    key: FileKey | None
    """None while its bytes are not here."""
    state: AttachmentState
    media_type: str
    size: int | None
    name: str | None
    error: str | None


class Attachments:
    """The `KeepAttachment` port, and the removal of files that nothing refers to any more."""

    def __init__(self, store: Store, files: AttachmentStore, organization_id: str, max_bytes: int) -> None:
        self._store = store
        self._files = files
        self._organization_id = organization_id
        self.max_bytes = max_bytes

    async def __call__(
        self, content: bytes, *, media_type: str, name: str | None, whole: bool = False
    ) -> InboundAttachment:
        """Keep a file. Raises GatewayError `payload_too_large`, Unavailable."""
        key = await self._key(content, whole=whole)
        await self._store.write(note_file, key, len(content))
        return await self._put(key, content, media_type, name)

    async def put_unnoted(
        self, content: bytes, *, media_type: str, name: str | None, whole: bool = False
    ) -> InboundAttachment:
        """Keep a file; the database is not told. Raises GatewayError `payload_too_large`, Unavailable."""
        return await self._put(await self._key(content, whole=whole), content, media_type, name)

    async def _put(
        self, key: FileKey, content: bytes, media_type: str, name: str | None
    ) -> InboundAttachment:
        await self._files.put(key, content)
        return InboundAttachment(
            id=new_id(),
            media_type=media_type_of(media_type),
            size=len(content),
            name=safe_name(name),
            sha256=key.sha256,
        )

    async def _key(self, content: bytes, *, whole: bool) -> FileKey:
        """Its hash is made in a thread: of a large mail it takes some hundredths of a second."""
        if not whole and len(content) > self.max_bytes:
            raise GatewayError(
                ErrorCode.PAYLOAD_TOO_LARGE, f"an attachment may have at most {self.max_bytes} bytes"
            )
        digest = await asyncio.to_thread(hashlib.sha256, content)
        return FileKey(self._organization_id, digest.hexdigest())

    async def read(self, organization_id: str, attachment_id: str) -> bytes:
        """The `ReadAttachment` port. Raises FileMissing, Unavailable."""
        found = await self._store.read(attachment, organization_id, attachment_id)
        if found is None or found.key is None:
            raise FileMissing(attachment_id)
        return b"".join([piece async for piece in self._files.read(found.key)])

    async def remove_unreferred(self) -> int:
        """Delete the files that nothing refers to, a bounded number at once; how many."""
        keys = await self._store.write(unreferred_files)
        for key in keys:
            await self._files.remove(key)
            await self._store.write(forget_file, key)
        return len(keys)


async def note_file(tx: Tx, key: FileKey, size: int) -> None:
    """Say that a file is about to be put. Raises Unavailable while one of its content is being removed."""
    row = await tx.one(
        "file_note",
        organization_id=key.organization_id,
        sha256=key.sha256,
        size=size,
        keep=UNCLAIMED_KEPT,
    )
    if row is None:
        raise Unavailable("an attachment with this content is being removed; try again")


async def claim_file(tx: Tx, key: FileKey) -> None:
    """Refer to a file from this unit on. Raises Unavailable where it has been removed: put it again."""
    row = await tx.one("file_claim", organization_id=key.organization_id, sha256=key.sha256)
    if row is None:
        raise Unavailable("an attachment was removed before its message was accepted; try again")


async def attach(tx: Tx, message: InboundMessage, organization_id: str, place: tuple[str, str]) -> None:
    """Store what came with a message; `place`: its conversation and its id. Raises Unavailable."""
    original = () if message.original is None else (message.original,)
    for attachment in (*message.attachments, *original):
        if attachment.sha256 is not None:
            key = FileKey(organization_id, attachment.sha256)
            if not attachment.noted:
                await note_file(tx, key, attachment.size or 0)
            await claim_file(tx, key)
        state = AttachmentState.PENDING if attachment.sha256 is None else AttachmentState.KEPT
        await tx.later(
            "attachment_insert",
            id=attachment.id,
            organization_id=organization_id,
            conversation_id=place[0],
            message_id=place[1],
            state=state.value,
            media_type=attachment.media_type,
            size=attachment.size,
            name=attachment.name,
            sha256=attachment.sha256,
            provider=message.provider,
            source=attachment.source,
        )


async def attach_to_reply(
    tx: Tx, files: Sequence[ReplyAttachment], organization_id: str, place: tuple[str, str]
) -> None:
    """Store what goes with a reply; `place`: its conversation and its id. Raises Unavailable."""
    for file in files:
        await claim_file(tx, FileKey(organization_id, file.sha256))
        await tx.later(
            "attachment_insert",
            id=file.shown.id,
            organization_id=organization_id,
            conversation_id=place[0],
            message_id=place[1],
            state=AttachmentState.KEPT.value,
            media_type=file.shown.media_type,
            size=file.shown.size,
            name=file.shown.name,
            sha256=file.sha256,
            provider=OURS,
            source=None,
        )


async def attachment(tx: Tx, organization_id: str, attachment_id: str) -> StoredAttachment | None:
    """One attachment; None where the organisation has no such one."""
    row = await tx.one("attachment_by_id", organization_id=organization_id, id=attachment_id)
    return None if row is None else _stored(row)


async def release_attachments(tx: Tx, conversation_id: str) -> int:
    """Forget at most 200 attachments of a conversation, and have their files looked at; how many."""
    rows = await tx.all("attachments_take", conversation_id=conversation_id)
    hashes: dict[str, list[str]] = {}
    for row in rows:
        if row["sha256"] is not None:
            hashes.setdefault(row["organization_id"], []).append(row["sha256"])
    for organization_id, found in hashes.items():
        await tx.run("files_look", organization_id=organization_id, hashes=found)
    return len(rows)


async def unreferred_files(tx: Tx) -> list[FileKey]:
    """Mark files that nothing refers to; whoever marked them deletes them, then forgets them."""
    await tx.run("files_referred_to")
    rows = await tx.all("files_unreferred")
    return [FileKey(row["organization_id"], row["sha256"]) for row in rows]


async def forget_file(tx: Tx, key: FileKey) -> None:
    """The file has been deleted."""
    await tx.run("file_removed", organization_id=key.organization_id, sha256=key.sha256)


def _stored(row: Row) -> StoredAttachment:
    sha256: str | None = row["sha256"]
    return StoredAttachment(
        id=row["id"],
        key=None if sha256 is None else FileKey(row["organization_id"], sha256),
        state=AttachmentState(row["state"]),
        media_type=row["media_type"],
        size=row["size"],
        name=row["name"],
        error=row["error"],
    )
