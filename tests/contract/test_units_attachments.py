"""Attachments are kept with their message, gone with their conversation, never removed while referred to."""

from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from gateway.domain.agent import AgentFailed
from gateway.domain.attachment import AttachmentState
from gateway.domain.errors import FileMissing, GatewayError, Unavailable
from gateway.domain.ids import new_id
from gateway.domain.message import Accepted, InboundAttachment, InboundMessage
from gateway.domain.ports.files import FileKey
from gateway.domain.ports.store import Tx
from gateway.domain.turn import Path, Reply, ReplyFile, ReplyMessage
from gateway.service.accept import accept
from gateway.service.attachments import (
    UNCLAIMED_KEPT,
    Attachments,
    attachment,
    note_file,
    unreferred_files,
)
from gateway.service.close import close
from gateway.service.purge import purge
from gateway.service.reply_files import ReplyFiles
from gateway.service.respond import finish_turn
from gateway.service.retire import retire
from gateway.store.records import attachments_of
from tests.contract.conftest import MovableStore
from tests.contract.scene import (
    ORGANIZATION,
    PARTITIONS,
    ROUTE,
    answer,
    arrive,
    claimed,
    posted,
    rows,
    sms,
)

DAY = UNCLAIMED_KEPT / 1_000_000


class Shelf:
    """An attachment store in memory."""

    def __init__(self) -> None:
        self.files: dict[FileKey, bytes] = {}

    async def check(self) -> None:
        """It always takes them."""

    async def put(self, key: FileKey, content: bytes) -> None:
        self.files[key] = content

    async def read(self, key: FileKey) -> AsyncGenerator[bytes, None]:
        if key not in self.files:
            raise FileMissing(key.sha256)
        yield self.files[key]

    async def remove(self, key: FileKey) -> None:
        self.files.pop(key, None)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def attachments(store: MovableStore, shelf: Shelf) -> Attachments:
    return Attachments(store, shelf, ORGANIZATION, 1000)


def with_files(message: InboundMessage, *files: InboundAttachment) -> InboundMessage:
    return replace(message, attachments=files)


async def gone(store: MovableStore, conversation_id: str) -> None:
    await store.write(close, ORGANIZATION, conversation_id, None, PARTITIONS)
    await purge(store, ORGANIZATION, conversation_id)


async def test_the_agent_is_told_where_they_are_read(store: MovableStore, attachments: Attachments) -> None:
    kept = await attachments(b"picture", media_type="image/PNG", name="../cat.png")
    waiting = InboundAttachment(id=new_id(), media_type="image/jpeg", source="https://provider.example/1")
    accepted = await store.write(
        accept,
        with_files(sms(), kept, waiting),
        replace(ROUTE, attachments_url="https://here/v1/attachments"),
    )
    store.advance(21)  # the file that is not here yet is not waited for any longer
    claim = await claimed(store, accepted.conversation_id)
    told = [(a.media_type, a.size, a.name, a.url) for a in claim.request.messages[-1].attachments]
    url = "https://here/v1/attachments"
    assert told == [
        ("image/png", 7, "cat.png", f"{url}/{kept.id}"),
        ("image/jpeg", None, None, f"{url}/{waiting.id}"),
    ]
    (inbound,) = await posted(store, "message.inbound")
    assert [a["url"] for a in inbound["data"]["attachments"]] == [f"{url}/{a.id}" for a in (kept, waiting)]
    first = await store.read(attachment, ORGANIZATION, kept.id)
    assert first is not None
    assert (first.state, first.size, first.name) == (AttachmentState.KEPT, 7, "cat.png")
    assert first.key is not None
    second = await store.read(attachment, ORGANIZATION, waiting.id)
    assert second is not None
    assert (second.state, second.key) == (AttachmentState.PENDING, None)
    assert await store.read(attachment, new_id(), kept.id) is None


async def test_a_file_is_too_large(attachments: Attachments, shelf: Shelf) -> None:
    with pytest.raises(GatewayError) as refused:
        await attachments(b"x" * 1001, media_type="a/b", name=None)
    assert refused.value.status == 413
    assert not shelf.files


async def test_they_go_with_the_last_conversation_that_has_them(
    store: MovableStore, attachments: Attachments, shelf: Shelf
) -> None:
    accepted: list[Accepted] = []
    for sender in ("+14155550101", "+14155550102"):
        kept = await attachments(b"picture", media_type="image/png", name=None)
        accepted.append(await store.write(accept, with_files(sms(sender=sender), kept), ROUTE))
    assert len(shelf.files) == 1
    store.advance(DAY + 1)
    assert await attachments.remove_unreferred() == 0
    await gone(store, accepted[0].conversation_id)
    assert await attachments.remove_unreferred() == 0
    assert len(shelf.files) == 1
    await gone(store, accepted[1].conversation_id)
    assert await attachments.remove_unreferred() == 1
    assert not shelf.files
    assert await attachments.remove_unreferred() == 0


async def test_they_go_when_the_retention_is_over(
    store: MovableStore, attachments: Attachments, shelf: Shelf
) -> None:
    kept = await attachments(b"picture", media_type="image/png", name=None)
    accepted = await store.write(accept, with_files(sms(), kept), replace(ROUTE, retention=1))
    await answer(store, await claimed(store, accepted.conversation_id))
    await store.write(close, ORGANIZATION, accepted.conversation_id, None, PARTITIONS)

    async def summed_up(tx: Tx) -> None:
        await tx.run("closing_purge", id=accepted.conversation_id)

    await store.write(summed_up)
    store.advance(1)
    while await store.write(retire):
        pass
    assert await store.read(attachment, ORGANIZATION, kept.id) is None
    assert await attachments.remove_unreferred() == 1
    assert not shelf.files


async def test_what_no_message_was_accepted_with_goes_after_a_day(
    store: MovableStore, attachments: Attachments, shelf: Shelf
) -> None:
    await attachments(b"picture", media_type="image/png", name=None)
    store.advance(DAY / 2)
    await attachments(b"picture", media_type="image/png", name=None)
    store.advance(DAY / 2 + 1)
    assert await attachments.remove_unreferred() == 0
    store.advance(DAY / 2)
    assert await attachments.remove_unreferred() == 1
    assert not shelf.files


async def test_a_file_that_is_being_removed_is_not_relied_on(
    store: MovableStore, attachments: Attachments, shelf: Shelf
) -> None:
    kept = await attachments(b"picture", media_type="image/png", name=None)
    store.advance(DAY + 1)
    marked = await store.write(unreferred_files)
    assert marked == list(shelf.files)
    # from here the process that marked it may be dead: nobody is told that the file is there
    with pytest.raises(Unavailable):
        await store.write(note_file, marked[0], 7)
    with pytest.raises(Unavailable):
        await store.write(accept, with_files(sms(), kept), ROUTE)
    assert await attachments.remove_unreferred() == 1
    again = await attachments(b"picture", media_type="image/png", name=None)
    await store.write(accept, with_files(sms(), again), ROUTE)
    assert len(shelf.files) == 1


async def test_a_message_that_comes_twice_has_its_files_once(
    store: MovableStore, attachments: Attachments
) -> None:
    first = await attachments(b"picture", media_type="image/png", name=None)
    second = await attachments(b"picture", media_type="image/png", name=None)
    message = sms(provider_id="SM-twice")
    accepted = await store.write(accept, with_files(message, first), ROUTE)
    again = await store.write(accept, with_files(message, second), ROUTE)
    assert again.duplicate
    assert await store.read(attachment, ORGANIZATION, second.id) is None
    assert await store.read(attachment, ORGANIZATION, first.id) is not None
    assert accepted.conversation_id == again.conversation_id
    await arrive(store)


async def test_a_message_itself_is_kept_whatever_its_size(attachments: Attachments) -> None:
    with pytest.raises(GatewayError):
        await attachments(bytes(1001), media_type="message/rfc822", name=None)
    kept = await attachments(bytes(1001), media_type="message/rfc822", name=None, whole=True)
    assert kept.size == 1001


async def replied(store: MovableStore, kept: Attachments, content: bytes = b"%PDF") -> str:
    """The agent has answered with a file; the conversation."""
    accepted = await arrive(store, sms())
    files = ReplyFiles(kept, "http://g/v1/attachments")
    given = (ReplyFile("bill.pdf", "application/pdf", content),)
    whole = Reply(messages=(ReplyMessage(text="Here", files=given), ReplyMessage(text="!")), path=Path.SINGLE)
    claim = await claimed(store, accepted.conversation_id)
    await store.write(finish_turn, claim, await files.keep(whole), PARTITIONS)
    return accepted.conversation_id


async def test_a_file_of_a_reply_is_delivered_shown_and_kept(
    store: MovableStore, attachments: Attachments
) -> None:
    conversation_id = await replied(store, attachments)
    first, second = await rows(store, "test_deliveries", id=conversation_id)
    assert second["attachments"] is None
    (sent,) = attachments_of(first["attachments"])
    assert (sent.name, sent.media_type, sent.size) == ("bill.pdf", "application/pdf", 4)
    assert sent.url == f"http://g/v1/attachments/{sent.id}"
    message = next(
        m for m in await rows(store, "test_messages", id=conversation_id) if m["role"] == "assistant"
    )
    assert attachments_of(message["attachments"]) == (sent,)
    told = {
        bell["data"]["text"]: bell["data"]["attachments"] for bell in await posted(store, "message.outbound")
    }
    assert [one["id"] for one in told["Here"]] == [sent.id]
    assert told["!"] == []

    assert await attachments.read(ORGANIZATION, sent.id) == b"%PDF"
    with pytest.raises(FileMissing):
        await attachments.read(new_id(), sent.id)
    store.advance(2 * DAY)
    assert await attachments.remove_unreferred() == 0


async def test_it_goes_with_its_conversation(
    store: MovableStore, shelf: Shelf, attachments: Attachments
) -> None:
    await gone(store, await replied(store, attachments))
    assert await attachments.remove_unreferred() == 1
    assert not shelf.files


async def test_a_file_that_is_too_large_fails_the_answer(
    store: MovableStore, attachments: Attachments
) -> None:
    with pytest.raises(AgentFailed, match="GATEWAY_ATTACHMENT_MAX_BYTES"):
        await replied(store, attachments, bytes(1001))
