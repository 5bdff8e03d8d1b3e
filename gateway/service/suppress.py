"""Addresses we must not send to. The delivery worker asks at the moment of sending, not before.

What a person asked for from one address holds for all their addresses of that kind, as long as they are known
to be one person: those suppressions are derived, and follow from the rest anew whenever records are merged,
unmerged or get an address.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.clock import SECOND
from gateway.domain.identity import KIND_OF_CHANNEL
from gateway.domain.ids import new_id
from gateway.domain.message import Channel
from gateway.domain.ports.store import Row, Tx
from gateway.service.browse import Page, Position, newest_page, of_address
from gateway.service.identify import Person, person_of

ANY = ""
"""Of our addresses: whichever it is."""
HARD_BOUNCE = "hard_bounce"
"""Why an address is suppressed that there is not."""
SOFT_BOUNCES = "soft_bounces"
"""Why an address is suppressed that has sent so many mails back."""
_OF_ADDRESS = frozenset({HARD_BOUNCE, SOFT_BOUNCES})
"""What is wrong with an address, and not the wish of its person: it holds for no other."""
BOUNCES_KEPT = 90 * 86_400 * SECOND
"""How long mail that came back counts against an address, µs."""
_CHANNELS = (Channel.SMS, Channel.VOICE, Channel.EMAIL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """An address that must not be sent to. `our_address` may be `ANY`."""

    id: str
    channel: Channel
    our_address: str
    their_address: str
    reason: str
    created_at: int
    firm: bool
    """A START of the person does not lift it."""
    derived: bool
    """It holds for another address of the same person, and for this one because of that."""

    @property
    def wished(self) -> bool:
        """Whether somebody asked for it; else something is wrong with the address."""
        return self.reason not in _OF_ADDRESS


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
    tx: Tx, organization_id: str, channel: Channel, pair: tuple[str, str], reason: str, *, firm: bool = True
) -> bool:
    """Send nothing from ours to theirs (`pair`) any more; False where that was so before.

    One that a START would lift, or that ends with the next mail from there, is made firm by one that neither
    lifts.
    """
    inserted = await _hold(tx, _key(organization_id, channel, pair), reason, firm=firm)
    await _derive_for_address(tx, organization_id, channel, pair[1])
    return inserted


async def lift(tx: Tx, organization_id: str, channel: Channel, pair: tuple[str, str]) -> bool:
    """Take back what was asked for from this very address; False where nothing was.

    What holds for it because of another address of the person holds on.
    """
    lifted = await tx.run("suppression_lift", **_key(organization_id, channel, pair))
    await _derive_for_address(tx, organization_id, channel, pair[1])
    return bool(lifted)


async def lift_by_start(tx: Tx, organization_id: str, channel: Channel, pair: tuple[str, str]) -> bool:
    """The same, but for what is firm; False where nothing is lifted."""
    lifted = await tx.run("suppression_lift_by_start", **_key(organization_id, channel, pair))
    if lifted:
        await _derive_for_address(tx, organization_id, channel, pair[1])
    return bool(lifted)


async def forget_bounces(tx: Tx) -> int:
    """Have addresses written to again that sent mail back long ago, a bounded number at once; how many."""
    return await tx.run("bounce_suppressions_forget", age=BOUNCES_KEPT)


async def liftable_by_start(tx: Tx, organization_id: str, channel: Channel, pair: tuple[str, str]) -> bool:
    """Whether a START would lift something."""
    return await tx.one("suppression_not_firm", **_key(organization_id, channel, pair)) is not None


async def suppression(tx: Tx, organization_id: str, suppression_id: str) -> Suppression | None:
    """One that is in force; None where the organisation has no such one."""
    row = await tx.one("suppression_by_id", organization_id=organization_id, id=suppression_id)
    return None if row is None else _suppression(row)


async def suppression_of(
    tx: Tx, organization_id: str, channel: Channel, pair: tuple[str, str]
) -> Suppression | None:
    """What was asked for from this very address and is in force."""
    row = await tx.one("suppression_of_pair", **_key(organization_id, channel, pair))
    return None if row is None else _suppression(row)


async def suppressions_page(
    tx: Tx, organization_id: str, of: tuple[Channel, str] | None, after: Position | None, limit: int
) -> Page[Suppression]:
    """What is in force, newest first, for one address of theirs or for all."""
    query, chosen = of_address("suppressions_page", of)
    return await newest_page(tx, query, _suppression, after, limit, organization_id=organization_id, **chosen)


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


async def keep_suppressions(tx: Tx, organization_id: str, person: Person) -> None:
    """What holds for a person's addresses goes on to hold for each by itself: the person is being erased."""
    for channel, addresses in (await _addresses(tx, organization_id, person)).items():
        of_channel = {"organization_id": organization_id, "channel": channel.value}
        in_force = await _in_force(tx, organization_id, channel, addresses)
        await tx.run("suppressions_underive", **of_channel, addresses=list(addresses))
        firm = {row["our_address"] for row in in_force if row["firm"] and not row["derived"]}
        for row in in_force:
            if row["derived"]:
                key = _key(organization_id, channel, (row["our_address"], row["their_address"]))
                await _hold(tx, key, row["reason"], firm=row["our_address"] in firm)


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
    # mail that came back is left out: what holds because of it may end sooner than the wish
    wishes = [row for row in asked if row["reason"] not in _OF_ADDRESS]
    have = {(row["our_address"], row["their_address"]) for row in wishes}
    reasons = {row["our_address"]: row["reason"] for row in wishes}
    for ours in sorted(reasons):
        for theirs in addresses:
            if (ours, theirs) not in have:
                key = _key(organization_id, channel, (ours, theirs))
                await _insert(tx, key, reasons[ours], firm=True, derived=True)


async def _hold(tx: Tx, key: dict[str, str], reason: str, *, firm: bool) -> bool:
    """Hold it for this very address, firmly where that is asked for; False where it was held before."""
    inserted = await _insert(tx, key, reason, firm=firm)
    if not inserted and firm and reason not in _OF_ADDRESS:
        await tx.run("suppression_firm", **key, reason=reason)
    return inserted


async def _insert(tx: Tx, key: dict[str, str], reason: str, *, firm: bool, derived: bool = False) -> bool:
    row = await tx.one("suppression_insert", id=new_id(), **key, firm=firm, derived=derived, reason=reason)
    return row is not None


def _key(organization_id: str, channel: Channel, pair: tuple[str, str]) -> dict[str, str]:
    return {
        "organization_id": organization_id,
        "channel": channel.value,
        "our_address": pair[0],
        "their_address": pair[1],
    }


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
        id=row["id"],
        channel=Channel(row["channel"]),
        our_address=row["our_address"],
        their_address=row["their_address"],
        reason=row["reason"],
        created_at=row["created_at"],
        firm=bool(row["firm"]),
        derived=bool(row["derived"]),
    )
