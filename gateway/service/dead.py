"""Dead letters: failures kept with their reason, to be looked at, requeued or discarded by a person."""

from dataclasses import dataclass
from uuid import UUID

from gateway.domain.clock import rfc3339
from gateway.domain.delivery import Delivery, Part, Refused
from gateway.domain.envelope import Envelope
from gateway.domain.ids import new_id
from gateway.domain.message import InboundMessage, JsonObject
from gateway.domain.ports.store import Row, Tx
from gateway.domain.turn import Claim
from gateway.store.records import pack, unpack

UNREADABLE = "message.unreadable"
"""Type of the dead letter of a message that a person has to read."""
MAX_BODY = 262_144
"""Characters of a body that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A kept failure. `created_at` in µs."""

    id: str
    organization_id: str | None
    queue: str
    reason: str
    body: str
    headers: JsonObject
    conversation_id: str | None
    created_at: int
    settled_how: str | None


async def bury(
    tx: Tx,
    queue: str,
    reason: str,
    body: str,
    *,
    headers: JsonObject | None = None,
    envelope: Envelope | None = None,
) -> str:
    """Keep a failure; `queue` says where it would go again. Returns its id."""
    letter_id = new_id()
    await tx.run(
        "dead_letter_insert",
        id=letter_id,
        organization_id=envelope.organization_id if envelope else None,
        queue=queue,
        reason=reason[:1000],
        body=body[:MAX_BODY].replace("\x00", "\ufffd"),
        headers=pack(headers or {}),
        conversation_id=envelope.conversation_id if envelope else None,
    )
    return letter_id


async def bury_turn(tx: Tx, claim: Claim, reason: str) -> None:
    """A turn that has used up its attempts: which conversation and which messages were not answered."""
    body = Envelope.model_construct(
        v=1,
        id=claim.turn_id,
        type="turn.dead",
        occurred_at=rfc3339(claim.started_at),
        organization_id=claim.conversation.organization_id,
        conversation_id=claim.conversation.id,
        data={
            "turn_id": claim.turn_id,
            "attempts": claim.attempt,
            "inputs": [{"message_id": i.message_id, "seq": i.seq} for i in claim.inputs],
        },
    )
    await bury(tx, "turns", reason, body.model_dump_json(), envelope=body)


async def bury_delivery(tx: Tx, delivery: Delivery, part: Part, refused: Refused) -> None:
    """A delivery that failed for good: which message, and what the provider said."""
    body = Envelope.model_construct(
        v=1,
        id=delivery.id,
        type="delivery.dead",
        occurred_at=rfc3339(delivery.created_at),
        organization_id=delivery.organization_id,
        conversation_id=delivery.conversation_id,
        data={
            "delivery_id": delivery.id,
            "message_id": delivery.message_id,
            "part": part.index,
            "failure": refused.failure.value,
            "code": refused.code,
        },
    )
    reason = f"{refused.failure}: {refused.code}"
    await bury(tx, f"deliveries.{delivery.channel}", reason, body.model_dump_json(), envelope=body)


async def bury_unreadable(
    tx: Tx, message: InboundMessage, organization_id: str, place: tuple[str, str]
) -> None:
    """A message that nobody answers because it cannot be read; `place`: its conversation and its id."""
    body = Envelope.model_construct(
        v=1,
        id=place[1],
        type=UNREADABLE,
        occurred_at=rfc3339(message.received_at),
        organization_id=organization_id,
        conversation_id=place[0],
        data={
            "message_id": place[1],
            "channel": message.channel.value,
            "attachment_id": message.original.id if message.original else None,
        },
    )
    kept = f"GET /v1/attachments/{message.original.id}" if message.original else "nothing is kept of it"
    reason = f"a message that cannot be read, and was not answered; as it came: {kept}"
    await bury(tx, f"inbound.{message.channel}", reason, body.model_dump_json(), envelope=body)


async def open_letters(tx: Tx, limit: int, after: DeadLetter | None = None) -> list[DeadLetter]:
    """A page of the unsettled ones, oldest first; `after`: the last one of the page before."""
    rows = await tx.all(
        "dead_letters_open",
        created_at=after.created_at if after else 0,
        id=after.id if after else _id_like("", "0"),
        limit=limit,
    )
    return [_letter(row) for row in rows]


async def letters_like(tx: Tx, prefix: str) -> list[str]:
    """The ids that begin with `prefix` (hexadecimal digits and dashes), two at most.

    Raises ValueError for a prefix that begins no id.
    """
    rows = await tx.all("dead_letters_between", first=_id_like(prefix, "0"), last=_id_like(prefix, "f"))
    return [row["id"] for row in rows]


async def letter(tx: Tx, letter_id: str) -> DeadLetter | None:
    """One dead letter, whole."""
    row = await tx.one("dead_letter_by_id", id=letter_id)
    return None if row is None else _letter(row)


async def settle(tx: Tx, letter_id: str, how: str) -> bool:
    """Mark one as requeued or discarded; False when that happened before."""
    return bool(await tx.run("dead_letter_settle", id=letter_id, how=how))


def _id_like(prefix: str, digit: str) -> str:
    """The id that begins with a prefix and goes on with one digit. ValueError for what begins no id."""
    return str(UUID(prefix.replace("-", "").ljust(32, digit)))


def _letter(row: Row) -> DeadLetter:
    return DeadLetter(
        id=row["id"],
        organization_id=row["organization_id"],
        queue=row["queue"],
        reason=row["reason"],
        body=row["body"],
        headers=unpack(row["headers"], {}),
        conversation_id=row["conversation_id"],
        created_at=row["created_at"],
        settled_how=row["settled_how"],
    )
