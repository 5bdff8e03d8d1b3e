"""Addresses we must not send to. The delivery worker asks at the moment of sending, not before.

What a person asked for from one address holds for all their addresses of that kind, as long as they are known
to be one person: those suppressions are derived, and follow from the rest anew whenever records are merged,
unmerged or get an address.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.identity import KIND_OF_CHANNEL
from gateway.domain.ids import new_id
from gateway.domain.message import Channel
from gateway.domain.ports import Row, Tx
from gateway.service.identify import Person, person_of

ANY = ""
"""Of our addresses: whichever it is."""
_CHANNELS = (Channel.SMS, Channel.VOICE, Channel.EMAIL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """An address that must not be sent to. `our_address` may be `ANY`."""

    channel: Channel
    our_address: str
    their_address: str
    reason: str
    created_at: int
    derived: bool
    """It holds for another address of the same person, and for this one because of that."""


async def suppressed(
    tx: Tx, organization_id: str, channel: Channel, our_address: str, their_address: str
) -> bool:
    """Whether one of our addresses must not send to one of theirs."""
    row = await tx.one(
        "suppression_between",
        organization_id=organization_id,
        channel=channel.value,
        our_address=our_address,
        their_address=their_address,
    )
    return row is not None


async def suppress(
    tx: Tx, organization_id: str, channel: Channel, pair: tuple[str, str], reason: str
) -> bool:
    """Send nothing from ours to theirs (`pair`) any more; False where that was so before."""
    inserted = await _insert(tx, organization_id, channel, pair, reason, derived=False)
    await _derive_for_address(tx, organization_id, channel, pair[1])
    return inserted


async def lift(tx: Tx, organization_id: str, channel: Channel, pair: tuple[str, str]) -> bool:
    """Take back what was asked for from this very address; False where nothing was.

    What holds for it because of another address of the person holds on.
    """
    lifted = await tx.run(
        "suppression_lift",
        organization_id=organization_id,
        channel=channel.value,
        our_address=pair[0],
        their_address=pair[1],
    )
    await _derive_for_address(tx, organization_id, channel, pair[1])
    return bool(lifted)


async def suppressions_of(tx: Tx, organization_id: str, person: Person) -> list[Suppression]:
    """What is in force for a person's addresses."""
    found: list[Suppression] = []
    for channel, addresses in (await _addresses(tx, organization_id, person)).items():
        found += [_suppression(row) for row in await _in_force(tx, organization_id, channel, addresses)]
    return found


async def derive_suppressions(tx: Tx, organization_id: str, person: Person) -> None:
    """Have every address of a person share what was asked for from any of them."""
    for channel, addresses in (await _addresses(tx, organization_id, person)).items():
        await _derive(tx, organization_id, channel, addresses)


async def _derive_for_address(tx: Tx, organization_id: str, channel: Channel, address: str) -> None:
    owner = await tx.one(
        "contact_end_user",
        organization_id=organization_id,
        kind=KIND_OF_CHANNEL[channel].value,
        value=address,
    )
    if owner is None:
        return
    person = await person_of(tx, organization_id, owner["end_user_id"])
    if person is not None:
        addresses = await _addresses(tx, organization_id, person)
        await _derive(tx, organization_id, channel, addresses[channel])


async def _derive(tx: Tx, organization_id: str, channel: Channel, addresses: Sequence[str]) -> None:
    of_channel = {"organization_id": organization_id, "channel": channel.value}
    await tx.run("suppressions_underive", **of_channel, addresses=list(addresses))
    asked = await _in_force(tx, organization_id, channel, addresses)
    have = {(row["our_address"], row["their_address"]) for row in asked}
    reasons = {row["our_address"]: row["reason"] for row in asked}
    for ours in sorted(reasons):
        for theirs in addresses:
            if (ours, theirs) not in have:
                await _insert(tx, organization_id, channel, (ours, theirs), reasons[ours], derived=True)


async def _insert(
    tx: Tx, organization_id: str, channel: Channel, pair: tuple[str, str], reason: str, *, derived: bool
) -> bool:
    row = await tx.one(
        "suppression_insert",
        id=new_id(),
        organization_id=organization_id,
        channel=channel.value,
        our_address=pair[0],
        their_address=pair[1],
        derived=derived,
        reason=reason,
    )
    return row is not None


async def _in_force(
    tx: Tx, organization_id: str, channel: Channel, addresses: Sequence[str]
) -> Sequence[Row]:
    if not addresses:
        return ()
    return await tx.all(
        "suppressions_of_addresses",
        organization_id=organization_id,
        channel=channel.value,
        addresses=list(addresses),
    )


async def _addresses(tx: Tx, organization_id: str, person: Person) -> dict[Channel, list[str]]:
    contacts = await tx.all(
        "contacts_of_end_users", organization_id=organization_id, ids=list(person.records)
    )
    return {
        channel: [row["value"] for row in contacts if row["kind"] == KIND_OF_CHANNEL[channel].value]
        for channel in _CHANNELS
    }


def _suppression(row: Row) -> Suppression:
    return Suppression(
        channel=Channel(row["channel"]),
        our_address=row["our_address"],
        their_address=row["their_address"],
        reason=row["reason"],
        created_at=row["created_at"],
        derived=bool(row["derived"]),
    )
