"""Everything that is kept of a person, read in pieces of a bounded size.

Each piece is a snapshot of its own, so what changes meanwhile is there as it was when it was read.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gateway.domain.conversation import Conversation
from gateway.domain.handoff import Handoff
from gateway.domain.identity import KIND_OF_CHANNEL, ContactKind
from gateway.domain.message import Channel, Message
from gateway.domain.ports.store import Row, Store, Tx
from gateway.service.browse import Page, Position
from gateway.service.consent import Consent, consents_page
from gateway.service.converse import messages_since
from gateway.service.history import person_conversations
from gateway.service.identify import EndUser, end_user
from gateway.service.people import known_person
from gateway.service.remember import Memory, memories_page
from gateway.service.suppress import Suppression, suppressions_of
from gateway.store.records import handoff_of, unpack

T = TypeVar("T")

PAGE = 50
"""Rows in a piece."""
_FIRST = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class ExportedPerson:
    """A person: the record that stands for them, the others, and whom not to write to."""

    record: EndUser
    merged: tuple[EndUser, ...]
    suppressions: tuple[Suppression, ...]


@dataclass(frozen=True, slots=True)
class ExportedDelivery:
    """How a message was brought to the person: its row, and those of its parts."""

    row: Row
    parts: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class ExportedMessage:
    """A message and what became of it."""

    message: Message
    deliveries: tuple[ExportedDelivery, ...]


@dataclass(frozen=True, slots=True)
class ExportedBeside:
    """What is kept of a conversation beside its messages."""

    outgoing_call: Row | None
    """The call that it began with, where we made it, whether or not anybody answered."""
    calls: tuple[Row, ...]
    """All calls that a host has had."""
    digest: str | None
    """What its agent is told of its beginning instead of the messages."""
    facts: tuple[str, ...]
    """What its agent was told to remember of the person."""


async def person(tx: Tx, organization_id: str, end_user_id: str) -> ExportedPerson:
    """The person a record is of. Raises GatewayError `not_found`."""
    found = await known_person(tx, organization_id, end_user_id)
    records = [await end_user(tx, organization_id, record) for record in found.records]
    root, *merged = [record for record in records if record is not None]
    return ExportedPerson(root, tuple(merged), tuple(await suppressions_of(tx, organization_id, found)))


class Export:
    """What is kept of one person, item by item."""

    def __init__(self, store: Store, organization_id: str, of: ExportedPerson) -> None:
        self._store = store
        self._organization_id = organization_id
        self._of = of

    async def consents(self) -> AsyncGenerator[Consent, None]:
        """The ledger of their wishes, address by address, newest first."""
        for contact in self._of.record.contacts:
            for channel in _channels(contact.kind):

                async def read(
                    after: Position | None, of: tuple[Channel, str] = (channel, contact.value)
                ) -> Page[Consent]:
                    return await self._store.read(consents_page, self._organization_id, of, after, PAGE)

                async for consent in _items(read):
                    yield consent

    def memories(self) -> AsyncGenerator[Memory, None]:
        """What agents are told of them, newest first."""

        async def read(after: Position | None) -> Page[Memory]:
            return await self._store.read(
                memories_page, self._organization_id, self._of.record.id, after, PAGE
            )

        return _items(read)

    def conversations(self) -> AsyncGenerator[Conversation, None]:
        """Of all channels and records, newest first."""

        async def read(after: Position | None) -> Page[Conversation]:
            return await self._store.read(
                person_conversations, self._organization_id, self._of.record.id, after, PAGE
            )

        return _items(read)

    async def messages(self, conversation_id: str) -> AsyncGenerator[ExportedMessage, None]:
        """What was said in a conversation, in order."""
        since = -1
        while found := await self._store.read(_messages, conversation_id, since):
            for item in found:
                yield item
            since = found[-1].message.seq

    async def handoffs(self, conversation_id: str) -> AsyncGenerator[Handoff, None]:
        """When a person was asked for."""
        async for row in self._rows("handoffs_of_conversation", conversation_id):
            yield handoff_of(row)

    def approvals(self, conversation_id: str) -> AsyncGenerator[Row, None]:
        """What was held for a decision."""
        return self._rows("approvals_of_conversation", conversation_id)

    async def beside(self, conversation_id: str) -> ExportedBeside:
        """What is kept of a conversation beside its messages."""
        return await self._store.read(_beside, conversation_id)

    async def _rows(self, query: str, conversation_id: str) -> AsyncGenerator[Row, None]:
        after = _FIRST
        while rows := await self._store.read(_rows_after, query, conversation_id, after):
            for row in rows:
                yield row
            after = rows[-1]["id"]


def _channels(kind: str) -> list[Channel]:
    return [channel for channel, of in KIND_OF_CHANNEL.items() if of is ContactKind(kind)]


async def _items(read: Callable[[Position | None], Awaitable[Page[T]]]) -> AsyncGenerator[T, None]:
    after: Position | None = None
    while True:
        page = await read(after)
        for item in page.items:
            yield item
        if not page.has_more:
            return
        after = page.end


async def _rows_after(tx: Tx, query: str, conversation_id: str, after: str) -> Sequence[Row]:
    return await tx.all(query, id=conversation_id, after=after, limit=PAGE)


async def _beside(tx: Tx, conversation_id: str) -> ExportedBeside:
    notes = await tx.one("notes_of_conversation", id=conversation_id) or {"digest": None, "facts": None}
    return ExportedBeside(
        outgoing_call=await tx.one("outgoing_call_of_conversation", id=conversation_id),
        calls=tuple(await tx.all("calls_of_conversation", id=conversation_id)),
        digest=unpack(notes["digest"], {}).get("text"),
        facts=tuple(unpack(notes["facts"], [])),
    )


async def _messages(tx: Tx, conversation_id: str, since: int) -> list[ExportedMessage]:
    messages = await messages_since(tx, conversation_id, since, PAGE)
    rows = await tx.all("deliveries_of_messages", ids=[message.id for message in messages])
    parts = await tx.all("parts_of_deliveries", ids=[row["id"] for row in rows])
    deliveries = [
        ExportedDelivery(row, tuple(part for part in parts if part["delivery_id"] == row["id"]))
        for row in rows
    ]
    return [
        ExportedMessage(message, tuple(d for d in deliveries if d.row["message_id"] == message.id))
        for message in messages
    ]
