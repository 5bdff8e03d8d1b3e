"""A call that a voice host has announced, and what happens on it as messages of its conversation."""

from dataclasses import dataclass, replace

from pydantic import BaseModel

from gateway.domain.clock import SECOND
from gateway.domain.errors import GatewayError
from gateway.domain.host_line import HostLine
from gateway.domain.identity import canonical_phone
from gateway.domain.message import Channel, InboundMessage, JsonObject, Role, SenderAuth
from gateway.domain.ports.store import Tx
from gateway.store.records import unpack

STREAMS = "streaming_text"
"""The capability of a host that speaks pieces of text as they come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call, up or over."""

    host_id: str
    call_id: str
    sender: str
    recipient: str
    ended_at: int | None
    """By the clock of the database; None: it is up."""
    streams: bool
    """Whether the host speaks pieces of any size."""
    keys: str | None
    """What was pressed and is not worked off yet."""
    quiet: int | None
    """For how long neither side has said anything, µs; less than 0 while something is being said."""
    reminded: bool
    """Whether nobody has said anything since a line that the gateway says into a silence."""
    line_last: bool
    """Whether the gateway has said nothing since such a line; the caller may be heard already."""

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.ended_at is not None

    @property
    def silent(self) -> bool:
        """Whether nothing was heard just now, so that what is heard is to be noted."""
        return self.reminded or (self.quiet is not None and abs(self.quiet) > SECOND)

    @property
    def place(self) -> tuple[str, str]:
        """What it is called."""
        return self.host_id, self.call_id

    def input(self, message_id: str, text: str, now: int) -> InboundMessage:
        """What the caller has said or pressed. Its answer is spoken while it is made."""
        line = HostLine(self.host_id, self.call_id, streams=self.streams)
        return InboundMessage(
            channel=Channel.VOICE,
            provider=self.host_id,
            provider_message_id=message_id,
            sender=self.sender,
            recipient=self.recipient,
            text=text,
            received_at=now,
            thread_key=self.call_id,
            sender_auth=SenderAuth.VERIFIED,
            reply_to=str(line),
            stream=True,
        )

    def event(self, message_id: str, text: str, event: JsonObject, now: int) -> InboundMessage:
        """Something that happens."""
        told = {"voice_event": event}
        said = self.input(message_id, text, now)
        return replace(said, role=Role.SYSTEM_EVENT, metadata=told, reply_to=None, stream=False)


async def announced(tx: Tx, call_id: str) -> Call | None:
    """The call that a host calls so."""
    row = await tx.one("call_announced", call_id=call_id)
    if row is None:
        return None
    return Call(
        host_id=row["host_id"],
        call_id=call_id,
        sender=row["their_address"],
        recipient=row["our_address"],
        ended_at=row["ended_at"],
        streams=STREAMS in unpack(row["capabilities"], []),
        keys=row["keys"],
        quiet=row["quiet"],
        reminded=row["quiet_lines"] > 0,
        line_last=bool(row["quiet_said"]),
    )


async def announcement_of(tx: Tx, organization_id: str, place: tuple[str, str]) -> JsonObject | None:
    """What a host said of a call when it announced it; None where that is not kept any more."""
    host_id, call_id = place
    row = await tx.one(
        "message_of_receipt",
        organization_id=organization_id,
        provider=host_id,
        provider_message_id=start_of(call_id),
    )
    return None if row is None else unpack(row["metadata"], {}).get("voice_event")


def start_of(call_id: str) -> str:
    """The id of the message that a call's announcement becomes."""
    return f"{call_id}:start"


def caller_of(address: str, call_id: str) -> str:
    """A number is what the carrier says; anything else belongs to this call alone."""
    try:
        return canonical_phone(address)
    except GatewayError:
        return f"anonymous:{call_id}"


def shown(event: BaseModel) -> JsonObject:
    """An event as its message keeps it: what the contract knows of it, and no more."""
    return event.model_dump(mode="json", by_alias=True, exclude_none=True)
