"""Count what an organisation uses on a day, and brake where a cap is reached.

Counted where something has a cap, in the transaction of what used it. What is stopped waits, as under a
pause: by `messages` all that is to be sent, by `spend` also every turn. A turn that runs is committed, since
its money is spent; of messages not one more than the cap leaves. The brake is lifted on the next day, or
where the cap was raised.
"""

from dataclasses import dataclass, replace

from gateway.domain.clock import rfc3339
from gateway.domain.envelope import Exchange
from gateway.domain.errors import Braked
from gateway.domain.ports.store import Row, Tx
from gateway.domain.turn import Reply
from gateway.domain.usage import DAY, Cap, Caps, Meter, Usage
from gateway.domain.wire import FactType
from gateway.service.brake import ring_for_all
from gateway.service.postings import envelope, post


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """How a day stands. `ends_at` in µs: nothing is used up any more from then on."""

    used: Usage
    reached: tuple[Cap, ...]
    ends_at: int


@dataclass(frozen=True, slots=True)
class Applied:
    """How a look has left the caps, and which of them it has lifted."""

    in_force: frozenset[Cap]
    lifted: tuple[Cap, ...] = ()


async def count_turn(tx: Tx, meter: Meter | None, reply: Reply) -> None:
    """Count a turn that is committed; without a meter there is nothing to count for."""
    if meter is not None:
        await _count(tx, meter, meter.turn(reply.input_tokens, reply.output_tokens, reply.embedded_tokens))


async def count_tokens(tx: Tx, meter: Meter | None, read: int, written: int) -> None:
    """Count what a model was asked outside of a turn."""
    if meter is not None and (read or written):
        await _count(tx, meter, replace(meter.turn(read, written), turns=0))


async def _count(tx: Tx, meter: Meter, used: Usage) -> None:
    row = await tx.one(
        "usage_add",
        organization_id=meter.caps.organization_id,
        messages=used.messages,
        turns=used.turns,
        tokens=used.tokens,
        spend=used.spend,
    )
    if row is None:
        raise AssertionError("an upsert returns its row")
    await _brake(tx, meter.caps, row)


async def count_part(tx: Tx, meter: Meter, delivery_id: str, segments: int) -> None:
    """Count a part that is about to leave. Raises Braked where a cap leaves no room for it."""
    used = meter.part(segments)
    row = await tx.one(
        "usage_add_of_delivery",
        organization_id=meter.caps.organization_id,
        delivery_id=delivery_id,
        messages=used.messages,
        spend=used.spend,
    )
    if row is None:
        return
    before = {Cap.MESSAGES: row["messages"] - used.messages, Cap.SPEND: row["spend"] - used.spend}
    if any(limit is not None and before[cap] >= limit for cap, limit in meter.caps.limits().items()):
        raise Braked(delivery_id)
    await _brake(tx, meter.caps, row)


async def apply_caps(tx: Tx, caps: Caps, partitions: int) -> Applied:
    """Lift what is over, on a new day or because a cap was raised; brake where one was lowered."""
    clock = await tx.one("usage_clock")
    if clock is None:
        raise AssertionError("a SELECT without a table returns a row")
    # else a cap that is reached meanwhile would be lifted for what was used before
    found = await tx.one("usage_lock", organization_id=caps.organization_id)
    usage = found or {"messages": 0, "spend": 0}
    over = await _brake(tx, caps, {**usage, **clock})
    lifted = [
        cap
        for cap in Cap
        if cap not in over and await tx.run("cap_lift", organization_id=caps.organization_id, cause=cap.value)
    ]
    if lifted:
        await ring_for_all(tx, partitions)
    return Applied(frozenset(over), tuple(lifted))


async def today(tx: Tx, organization_id: str) -> Today:
    """What was used today so far, as far as it is counted, and which caps are reached."""
    clock = await tx.one("usage_clock")
    if clock is None:
        raise AssertionError("a SELECT without a table returns a row")
    row = await tx.one("usage_of_day", organization_id=organization_id)
    used = Usage() if row is None else Usage(**{name: row[name] for name in Usage.__slots__})
    reached = await tx.all("caps_reached", organization_id=organization_id)
    return Today(
        used=used,
        reached=tuple(Cap(found["cause"]) for found in reached),
        ends_at=(clock["day"] + 1) * DAY,
    )


async def _brake(tx: Tx, caps: Caps, usage: Row) -> list[Cap]:
    """Put on the brakes of the caps that are reached: these. Who was not told of one yet is told."""
    limits = caps.limits()
    reached = [cap for cap, limit in limits.items() if limit is not None and usage[cap.value] >= limit]
    for cap in reached:
        if await tx.one("cap_set", organization_id=caps.organization_id, cause=cap.value) is None:
            continue
        fact = envelope(
            FactType.CAP_REACHED.value,
            {"cap": cap.value, "resets_at": rfc3339((usage["day"] + 1) * DAY)},
            at=usage["at"],
            organization_id=caps.organization_id,
            conversation_id=None,
        )
        await post(tx, Exchange.EVENTS, fact.type, fact)
    return reached
