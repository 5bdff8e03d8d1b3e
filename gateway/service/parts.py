"""Parts of a reply: cut once, claimed before they are sent, settled after, or put off (rule 4)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from gateway.domain.clock import SECOND
from gateway.domain.delivery import Failure, Part, PartState, PartText, Refused
from gateway.domain.errors import Braked, Fenced
from gateway.domain.ports.store import Row, Tx
from gateway.domain.send_rules import RECONCILE_AFTER, SendRules
from gateway.service.lanes import LaneRef, check_held, let_go, postpone_lane
from gateway.service.senders import halted, slot
from gateway.service.usage import count_part
from gateway.store.engine import at_once


async def store_parts(tx: Tx, delivery_id: str, texts: Sequence[PartText], first: int = 0) -> None:
    """Keep how a reply was cut, before the first part is sent: a retry sends the same. From `first` on."""
    for number, text in enumerate(texts[first:], first):
        await tx.later("part_insert", **_content(delivery_id, number, text))


def _content(delivery_id: str, number: int, text: PartText) -> dict[str, str | int | None]:
    return {
        "delivery_id": delivery_id,
        "number": number,
        "text": text.text,
        "hash": hashlib.sha256(text.text.encode()).hexdigest(),
        "encoding": text.encoding,
        "segments": text.segments,
    }


SUPPRESSED = Refused(Failure.OPTED_OUT, "suppressed")
"""We refuse it ourselves: nobody has to look at it, and to requeue it would be wrong."""


EXPIRED = Refused(Failure.PERMANENT, "expired")
"""It was held for a time that is long over."""


@dataclass(frozen=True, slots=True)
class PartClaim:
    """An attempt that is committed: the provider may be called now."""

    attempt: int
    claimed_at: int
    first_claimed_at: int
    """Since when the part holds up what is behind it, µs; what we were late by ourselves does not count."""
    trying: bool = False
    """Its sender is stopped, and this attempt shows whether it still is."""


class Waiting(Enum):
    """The part may not leave yet."""

    WAITING = "waiting"
    """For its place in the sender's rate, or for a sender that is stopped; the lane was let go until then."""
    STOPPED = "stopped"
    """Its sender is stopped, and another may take over; the lane is held."""


WAITING: Final = Waiting.WAITING
STOPPED: Final = Waiting.STOPPED


NO_RULES = SendRules()


@at_once
async def claim_part(
    tx: Tx,
    ref: LaneRef,
    part: Part,
    provider: str,
    texts: Sequence[PartText] = (),
    rules: SendRules = NO_RULES,
) -> PartClaim | Waiting | Refused | None:
    """Commit an attempt before the provider is called; with `texts`, store the parts first.

    None when there is nothing to send: the delivery was canceled, or the provider has the part. Refused
    when the recipient wants nothing from us, as it is at this moment.
    Raises Fenced when the lane is another's, Braked when nothing may leave now.
    """
    if texts:
        first = await _claim_first(tx, ref, part, provider, texts, rules)
        if first is not None:
            return first
        await store_parts(tx, part.delivery_id, texts)
        await tx.later("delivery_state", id=part.delivery_id, state="sending", error_code=None)
    if rules.cancel_unsent:
        await tx.run("delivery_supersede", id=part.delivery_id)
    if rules.segments_per_second is not None and part.slot_at is None:
        slot_at, wait = await slot(tx, part.delivery_id, part.segments, rules.segments_per_second)
        if wait > 0:
            await tx.run("part_slot", delivery_id=part.delivery_id, number=part.index, slot_at=slot_at)
            await postpone_lane(tx, ref, wait)
            return WAITING
    claim: PartClaim | Waiting | Refused | None = await _claim(
        tx, ref, part, provider, trying=False, alone=not texts and rules.meter is None
    )
    if claim is None:
        claim = await _unclaimed(tx, ref, part, provider, rules)
    if isinstance(claim, PartClaim) and claim.attempt == 1 and rules.meter is not None:
        await count_part(tx, rules.meter, part.delivery_id, part.segments)
    return claim


async def _unclaimed(
    tx: Tx, ref: LaneRef, part: Part, provider: str, rules: SendRules
) -> PartClaim | Waiting | Refused | None:
    """Why a part could not be claimed, and what follows."""
    await check_held(tx, ref)
    refused = await _refused(tx, part.delivery_id)
    if refused is not None:
        return refused
    following = await tx.one("delivery_next", lane=ref.lane)
    if following is not None and following["braked"]:
        raise Braked(ref.lane)
    stopped = await halted(tx, part.delivery_id)
    if stopped is None:
        return None
    if stopped.may_try:
        return await _claim(tx, ref, part, provider, trying=True)
    if rules.failover is not None:
        return STOPPED
    await postpone_lane(tx, ref, stopped.wait_seconds)
    return WAITING


async def _refused(tx: Tx, delivery_id: str) -> Refused | None:
    """Why a delivery is not to leave any more."""
    if await tx.one("delivery_suppressed", id=delivery_id) is not None:
        return SUPPRESSED
    return None if await tx.one("delivery_expired", id=delivery_id) is None else EXPIRED


async def _claim_first(
    tx: Tx, ref: LaneRef, part: Part, provider: str, texts: Sequence[PartText], rules: SendRules
) -> PartClaim | None:
    """The first part of a reply, stored with its attempt; None where more is to be seen to before."""
    if part.index or rules.cancel_unsent or rules.segments_per_second is not None or rules.meter is not None:
        return None
    content = _content(part.delivery_id, 0, texts[0])
    row = await _attempt(tx, ref, content, provider, trying=False, alone=True)
    if row is None:
        return None
    await store_parts(tx, part.delivery_id, texts, first=1)
    await tx.later("delivery_state", id=part.delivery_id, state="sending", error_code=None)
    row = await tx.known(row)
    return PartClaim(row["attempt"], row["claimed_at"], row["first_claimed_at"])


async def _claim(
    tx: Tx, ref: LaneRef, part: Part, provider: str, *, trying: bool, alone: bool = False
) -> PartClaim | None:
    text = PartText(text=part.text, encoding=part.encoding, segments=part.segments)
    content = _content(part.delivery_id, part.index, text)
    row = await _attempt(tx, ref, content, provider, trying=trying, alone=alone)
    if row is None:
        return None
    row = await tx.known(row)
    return PartClaim(row["attempt"], row["claimed_at"], row["first_claimed_at"], trying)


async def _attempt(
    tx: Tx, ref: LaneRef, content: dict[str, str | int | None], provider: str, *, trying: bool, alone: bool
) -> Row | None:
    """`alone`: nothing else of the unit touches the part, or is written after it."""
    return await (tx.expect if alone else tx.one)(
        "part_claim",
        **content,
        provider=provider,
        lane=ref.lane,
        fence=ref.fence,
        worker_id=ref.worker_id,
        trying=trying,
        patience=RECONCILE_AFTER * SECOND,
    )


async def settle_part_and_wait(
    tx: Tx, ref: LaneRef, part: Part, provider_message_id: str | None, gap_seconds: float
) -> None:
    """The provider has a part, the next one leaves after a gap; the lane, if still ours, is let go."""
    await settle_part(tx, part, provider_message_id)
    await let_go(tx, ref, gap_seconds)


async def settle_part(tx: Tx, part: Part, provider_message_id: str | None) -> Row:
    """Record that the provider has the part; needs no lease, since it is a fact about the world.

    How it stands now: a receipt may have come first. Raises Fenced where the part is gone.
    """
    row = await tx.expect(
        "part_settle",
        {"state": PartState.ACCEPTED.value, "error_code": None},
        delivery_id=part.delivery_id,
        number=part.index,
        state=PartState.ACCEPTED.value,
        rank=PartState.ACCEPTED.rank,
        provider_message_id=provider_message_id,
        error_code=None,
    )
    if row is None:
        raise Fenced(part.delivery_id)  # its conversation was deleted while it was on its way
    return row


async def postpone_part(
    tx: Tx, ref: LaneRef, part: Part, state: PartState, *, error_code: str | None, delay_seconds: float
) -> None:
    """Refused for now, or unknown: let the lane go until it is to be tried, or looked up.

    Not at all where a receipt was faster and has shown that the provider has it.
    """
    still_open = await reset_part(tx, part, state, error_code)
    await postpone_lane(tx, ref, delay_seconds if still_open else 0)


async def unclaim_part(tx: Tx, ref: LaneRef, part: Part, claim: PartClaim, delay_seconds: float) -> None:
    """An attempt came too late to be begun: it does not count, and the lane is let go for a while.

    `part`: as it was before; what has passed since it was due, and the while, are no time in which it held up
    others. Raises Fenced, and then it stays an attempt of unknown outcome.
    """
    began = part.first_claimed_at is not None
    since = claim.first_claimed_at + int(delay_seconds * SECOND) if began else None
    await take_back(tx, part, part.error_code, since=since)
    await postpone_lane(tx, ref, delay_seconds)


async def take_back(tx: Tx, part: Part, error_code: str | None, *, since: int | None = None) -> None:
    """The attempt that was claimed of `part`, as it was before, does not count. Needs the lane's lease.

    `since`: when it began to hold up what is behind it, µs, less what has passed since its claim; None: that
    begins anew.
    """
    await tx.run(
        "part_unclaim",
        delivery_id=part.delivery_id,
        number=part.index,
        error_code=error_code,
        first_claimed_at=since,
    )
    if part.attempt == 0:  # what is counted of a part is its first attempt
        await tx.run("usage_take_back", delivery_id=part.delivery_id)


async def reset_part(tx: Tx, part: Part, state: PartState, error_code: str | None) -> bool:
    """The part is as before its attempt, or unknown. False where a receipt has shown that it was taken."""
    reset = await tx.run(
        "part_reset",
        delivery_id=part.delivery_id,
        number=part.index,
        state=state.value,
        rank=state.rank,
        error_code=error_code,
    )
    return reset > 0
