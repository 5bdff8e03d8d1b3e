"""Addresses of ours as senders: the rate they keep over all processes; stopped by a provider, and resumed.

A stopped sender's deliveries wait in their lanes; none fails. Where a POST has shown that it is stopped, one
part tries again every two minutes; where a receipt has (the carrier does not take what this sender sends),
only a person resumes it, by requeueing the dead letter that tells of it.
"""

from dataclasses import dataclass

from gateway.domain.clock import SECOND, rfc3339
from gateway.domain.envelope import Envelope
from gateway.domain.errors import Fenced
from gateway.domain.ids import new_id
from gateway.domain.message import Channel
from gateway.domain.ports.store import Row, Tx
from gateway.service.dead import bury, settle

TRY_AGAIN_SECONDS = 120
"""How often one part tries whether a stopped sender is well again."""
LOOK_AGAIN_SECONDS = 600
"""How often a lane looks whether a sender was resumed that only a person resumes."""
HALTED = "sender.halted"
RESUMED = "resumed"


@dataclass(frozen=True, slots=True)
class SenderKey:
    """One of our addresses."""

    organization_id: str
    channel: str
    address: str

    def params(self) -> dict[str, str]:
        """As the queries know it."""
        return {
            "organization_id": self.organization_id,
            "channel": self.channel,
            "address": self.address,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltedSender:
    """A sender that is stopped. Times in µs; `retry_at` None: until a person resumes it."""

    channel: Channel
    address: str
    code: str
    halted_at: int
    retry_at: int | None


@dataclass(frozen=True, slots=True)
class Halted:
    """The sender of a delivery is stopped: how many seconds to wait, or that this part may try it."""

    wait_seconds: float
    may_try: bool


async def slot(tx: Tx, delivery_id: str, segments: int, per_second: float) -> tuple[int, float]:
    """A place in the sender's rate: when it is (µs), and how many seconds until then (0 or less: now)."""
    row = await tx.one("sender_slot", delivery_id=delivery_id, cost=int(segments / per_second * SECOND))
    if row is None:
        raise Fenced(delivery_id)  # its conversation was deleted meanwhile
    return row["slot_at"], row["wait"] / SECOND


async def halted(tx: Tx, delivery_id: str) -> Halted | None:
    """Whether the sender of a delivery is stopped; if so, one asker in two minutes may try it."""
    row = await tx.one("sender_halted", delivery_id=delivery_id)
    if row is None:
        return None
    if row["wait"] is None:
        return Halted(LOOK_AGAIN_SECONDS, may_try=False)
    if row["wait"] > 0:
        return Halted(row["wait"] / SECOND, may_try=False)
    key = SenderKey(row["organization_id"], row["channel"], row["address"])
    won = await tx.run("sender_try", **key.params(), again=TRY_AGAIN_SECONDS * SECOND)
    return Halted(TRY_AGAIN_SECONDS, may_try=bool(won))


async def halt(tx: Tx, key: SenderKey, code: str, *, delivery: Row | None, tries: bool) -> bool:
    """Stop a sender, and keep a dead letter that tells of it; False where it was stopped already.

    `delivery`: what showed it. `tries`: one part tries from time to time whether it is well again.
    """
    again = TRY_AGAIN_SECONDS * SECOND if tries else None
    row = await tx.one("sender_halt", **key.params(), code=code, again=again)
    if row is None:
        return False
    body = Envelope.model_construct(
        v=1,
        id=new_id(),
        type=HALTED,
        occurred_at=rfc3339(row["halted_at"]),
        organization_id=key.organization_id,
        conversation_id=None,  # it tells of the sender, and is not deleted with a conversation
        data={
            "channel": key.channel,
            "address": key.address,
            "code": code,
            "delivery_id": delivery["id"] if delivery else None,
        },
    )
    reason = f"the provider does not let {key.address} send: {code}; requeue resumes it"
    letter_id = await bury(tx, f"deliveries.{key.channel}", reason, body.model_dump_json(), envelope=body)
    await tx.later("sender_told", **key.params(), letter_id=letter_id)
    return True


async def resume(tx: Tx, key: SenderKey) -> bool:
    """Let a sender send again, and what waits for it be sent; False where it was not stopped."""
    row = await tx.one("sender_resume", **key.params())
    if row is None:
        return False
    await tx.run("lanes_resume", prefix=f"{key.organization_id}|{key.channel}|{key.address}|")
    await settle(tx, row["letter_id"], RESUMED)
    return True


async def halted_senders(tx: Tx) -> list[HaltedSender]:
    """The senders that are stopped, of all organisations."""
    return [
        HaltedSender(
            channel=Channel(row["channel"]),
            address=row["address"],
            code=row["halted_code"],
            halted_at=row["halted_at"],
            retry_at=row["retry_at"],
        )
        for row in await tx.all("senders_halted")
    ]
